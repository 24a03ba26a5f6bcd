"""Give people accounts and more to say: comments, edits, own prompts; and pairs to check them."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every pair until now was sampled for the queue, and nobody had a password."""
    with op.batch_alter_table("prompt", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pooled", sa.Boolean(), nullable=False, server_default="1"))
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.add_column(sa.Column("comment", sa.String(), nullable=True))
        batch_op.create_index(
            "standing_votes",
            ["source", "created_at", "choice", "seconds", "used_in_update"],
            sqlite_where=sa.text("superseded_by IS NULL"),
            postgresql_where=sa.text("superseded_by IS NULL"),
        )
    with op.batch_alter_table("rater", schema=None) as batch_op:
        batch_op.add_column(sa.Column("password", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("invite", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("invite_expires_at", sa.Float(), nullable=True))
    _widen_pairs()
    _create_logins()
    op.create_table(
        "ask",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("messages", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done_tokens", sa.Integer(), nullable=False),
        sa.Column("most_tokens", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["pair_id"], ["pair.id"]),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("rater_id", "state", "pair_id"):
        op.create_index(f"ix_ask_{column}", "ask", [column])


def _widen_pairs() -> None:
    with op.batch_alter_table("pair", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("purpose", sa.String(length=16), nullable=False, server_default="loop")
        )
        batch_op.add_column(sa.Column("for_rater_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("source_pair_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("source_vote_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("answer", sa.String(), nullable=True))
        batch_op.add_column(
            sa.Column("needs_tokens", sa.Boolean(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("aside_at", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("aside_by", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("aside_reason", sa.String(), nullable=True))
        for column, table in (
            ("for_rater_id", "rater"),
            ("source_pair_id", "pair"),
            ("aside_by", "rater"),
        ):
            batch_op.create_foreign_key(f"fk_pair_{column}", table, [column], ["id"])
        for column in ("source_pair_id", "source_vote_id", "needs_tokens"):
            batch_op.create_index(f"ix_pair_{column}", [column])
        batch_op.create_index(
            "pairs_set_aside",
            ["aside_at"],
            sqlite_where=sa.text("aside_at IS NOT NULL"),
            postgresql_where=sa.text("aside_at IS NOT NULL"),
        )


def _create_logins() -> None:
    op.create_table(
        "login",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("rater_id", "expires_at"):
        op.create_index(f"ix_login_{column}", "login", [column])
    op.create_table(
        "failed_login",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("key", "at"):
        op.create_index(f"ix_failed_login_{column}", "failed_login", [column])
