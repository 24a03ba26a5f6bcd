"""Let pairs that tell more come first."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those that are there come as they were made."""
    with op.batch_alter_table("pair", schema=None) as batch_op:
        batch_op.add_column(sa.Column("worth", sa.Float(), nullable=True))
