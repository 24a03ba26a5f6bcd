"""Let one update be open, whatever its mode; and name a bound as bounds are named."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of two open updates the older goes on. The other one fails, and its labels are free again."""
    op.execute(
        """
        UPDATE "update"
        SET state = 'failed', reason = 'another update was open already', finished_at = opened_at
        WHERE finished_at IS NULL
            AND id > (SELECT min(id) FROM "update" WHERE finished_at IS NULL)
        """
    )
    op.drop_index("one_open_update", "update")
    op.create_index(
        "one_open_update",
        "update",
        [sa.text("(finished_at IS NULL)")],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    with op.batch_alter_table("ask", schema=None) as batch_op:
        batch_op.alter_column("most_tokens", new_column_name="max_tokens")
