"""The first tables: uploads, tokens, findings, evidence, decisions, cases, jobs, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. A released migration is never edited: later changes are migrations of their own."""
    _make_submissions()
    _make_results()
    _make_cases()
    _make_jobs()


def downgrade() -> None:
    """Drop everything that this migration made."""
    for table in (
        "workers",
        "jobs",
        "cases",
        "decisions",
        "evidence",
        "findings",
        "spent_tokens",
        "submissions",
    ):
        op.drop_table(table)


def _make_submissions() -> None:
    op.create_table(
        "submissions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("declared", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hint_check", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
        sa.UniqueConstraint(
            "action", "idempotency_key", "sha256", name="uq_submissions_action_idempotency_key_sha256"
        ),
    )
    op.create_index("ix_submissions_sha256", "submissions", ["sha256"])
    op.create_table(
        "spent_tokens",
        sa.Column("cid", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("sid", sa.String(64)),
        sa.Column("submission_id", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("cid", name="pk_spent_tokens"),
    )


def _make_results() -> None:
    op.create_table(
        "findings",
        _submission_id("findings"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("check", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("spoof_score", sa.Float),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "position", name="pk_findings"),
        sa.UniqueConstraint("submission_id", "check", name="uq_findings_submission_id_check"),
    )
    op.create_table(
        "evidence",
        _submission_id("evidence"),
        sa.Column("pcm_sha256", sa.String(64)),
        sa.Column("hint", sa.JSON),
        sa.Column("analysed_s", sa.Float),
        sa.Column("total_s", sa.Float),
        sa.Column("container", sa.JSON, nullable=False),
        sa.Column("pieces", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name="pk_evidence"),
    )
    op.create_table(
        "decisions",
        _submission_id("decisions"),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("policy_version", sa.String(100), nullable=False),
        sa.Column("evidence_sha256", sa.String(64), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name="pk_decisions"),
    )


def _make_cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String(32), nullable=False),
        _submission_id("cases"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("reviewer", sa.String(100)),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint("submission_id", name="uq_cases_submission_id"),
    )
    op.create_index("ix_cases_outcome_opened_at", "cases", ["outcome", "opened_at"])


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("submission_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(64)),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state_due_at", "jobs", ["state", "due_at"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _submission_id(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("submissions.id", name=f"fk_{table}_submission_id")
    return sa.Column("submission_id", sa.String(32), key, nullable=False)
