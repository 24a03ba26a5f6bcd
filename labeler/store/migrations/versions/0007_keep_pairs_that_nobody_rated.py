"""Keep the pairs that an update was trained on and nobody rated."""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There are none yet."""
    op.create_table(
        "filled_pair",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("update_id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("first", sa.String(), nullable=False),
        sa.Column("second", sa.String(), nullable=False),
        sa.Column("target", sa.Float(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"]),
        sa.ForeignKeyConstraint(["update_id"], ["update.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["policy_version.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("filled_pair", schema=None) as batch_op:
        batch_op.create_index("ix_filled_pair_update_id", ["update_id"], unique=False)
