"""Give judges their place: verdicts, runs, votes without a lease, and versions that are pruned."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was judged until now, and nothing pruned."""
    with op.batch_alter_table("policy_version", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kept", sa.Boolean(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("pruned_at", sa.Float(), nullable=True))
    with op.batch_alter_table("pair", schema=None) as batch_op:
        batch_op.add_column(sa.Column("logp_a", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("logp_b", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("double", sa.Boolean(), nullable=False, server_default="0"))
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.alter_column("lease_id", existing_type=sa.String(), nullable=True)
        batch_op.drop_index("one_vote_a_rater")
        batch_op.drop_index("ix_vote_superseded_by")
    _index_votes()
    op.drop_index("ix_lease_rater_id", "lease")
    op.create_index(
        "active_leases",
        "lease",
        ["rater_id"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "verdict",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("forward", sa.Float(), nullable=True),
        sa.Column("backward", sa.Float(), nullable=True),
        sa.Column("score_a", sa.Float(), nullable=True),
        sa.Column("score_b", sa.Float(), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("vote_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["pair_id"], ["pair.id"]),
        sa.ForeignKeyConstraint(["vote_id"], ["vote.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("pair_id", "vote_id", "created_at"):
        op.create_index(f"ix_verdict_{column}", "verdict", [column])
    op.create_index(
        "one_verdict_a_judge",
        "verdict",
        ["pair_id", "judge"],
        unique=True,
        sqlite_where=sa.text("probability IS NOT NULL"),
        postgresql_where=sa.text("probability IS NOT NULL"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("spent", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "failed_verdicts",
        "verdict",
        ["cause", "created_at"],
        sqlite_where=sa.text("probability IS NULL"),
        postgresql_where=sa.text("probability IS NULL"),
    )
    op.create_table(
        "tidied_verdicts",
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("verdicts", sa.Integer(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("judge", "cause"),
    )


def _index_votes() -> None:
    """Partial indexes: what is asked often is asked of the few votes that stand or wait."""
    op.create_index(
        "one_vote_a_rater",
        "vote",
        ["rater_id", "pair_id"],
        unique=True,
        sqlite_where=sa.text("superseded_by IS NULL"),
        postgresql_where=sa.text("superseded_by IS NULL"),
    )
    op.create_index(
        "unused_votes",
        "vote",
        ["choice", "staleness"],
        sqlite_where=sa.text("used_in_update IS NULL AND superseded_by IS NULL"),
        postgresql_where=sa.text("used_in_update IS NULL AND superseded_by IS NULL"),
    )
    op.create_index(
        "undone_votes",
        "vote",
        ["superseded_by"],
        sqlite_where=sa.text("superseded_by IS NOT NULL"),
        postgresql_where=sa.text("superseded_by IS NOT NULL"),
    )
