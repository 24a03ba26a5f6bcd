"""Give the labels of an update roles, and remember when which version was live."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was listed until now was trained on; versions went live once each."""
    roles = sa.Enum(
        "train",
        "held_out",
        "replay",
        "remembered",
        name="labelrole",
        native_enum=False,
        length=16,
    )
    with op.batch_alter_table("update_label", schema=None) as batch_op:
        batch_op.add_column(sa.Column("role", roles, nullable=False, server_default="train"))
    op.create_table(
        "live_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["policy_version.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        "INSERT INTO live_change (version_id, at) SELECT id, live_at FROM policy_version "
        "WHERE live_at IS NOT NULL ORDER BY live_at, id"
    )
