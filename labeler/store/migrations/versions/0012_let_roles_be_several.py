"""Let roles be several processes: who is the trainer, who answers an ask, whose service it is."""

import uuid

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has a role yet; the service gets a name that no other one has."""
    op.create_table(
        "role_lease",
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("beat_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("role"),
    )
    with op.batch_alter_table("ask") as ask:
        ask.add_column(sa.Column("worker", sa.String(), nullable=True))
        ask.add_column(sa.Column("beat_at", sa.Float(), nullable=True))
    with op.batch_alter_table("service") as service:
        service.add_column(sa.Column("identity", sa.String(), nullable=True))
    named = sa.text("UPDATE service SET identity = :identity")
    op.get_bind().execute(named.bindparams(identity=uuid.uuid4().hex))
    with op.batch_alter_table("service") as service:
        service.alter_column("identity", existing_type=sa.String(), nullable=False)
