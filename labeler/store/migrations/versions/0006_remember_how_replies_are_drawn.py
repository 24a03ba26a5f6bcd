"""Remember how replies are drawn, so that every process can tell."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The worker says it when it starts."""
    with op.batch_alter_table("service", schema=None) as batch_op:
        batch_op.add_column(sa.Column("drawing", sa.JSON(none_as_null=True), nullable=True))
