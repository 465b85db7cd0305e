"""The outbox, what retention and erasure leave behind, and how far a screening is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Columns added to tables of the first release. All may be empty, or have a default, so that old rows stay as
# they are and no table has to be made anew.
SUBMISSION_COLUMNS = ("sid", "recording_removed_at", "erased_at")
JOB_COLUMNS = ("deferrals", "phase", "fraction")


def upgrade() -> None:
    """Add what is named above."""
    op.add_column("submissions", sa.Column("sid", sa.String(64)))
    op.add_column("submissions", sa.Column("recording_removed_at", sa.DateTime(timezone=True)))
    op.add_column("submissions", sa.Column("erased_at", sa.DateTime(timezone=True)))
    op.create_index("ix_submissions_sid", "submissions", ["sid"])
    op.create_index("ix_submissions_received_at", "submissions", ["received_at"])
    op.create_index("ix_evidence_pcm_sha256", "evidence", ["pcm_sha256"])
    op.add_column("jobs", sa.Column("deferrals", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("phase", sa.String(16)))
    op.add_column("jobs", sa.Column("fraction", sa.Float))
    _make_outbox()
    op.create_table(
        "chores",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_chores"),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("chores")
    op.drop_table("outbox")
    op.drop_index("ix_evidence_pcm_sha256", "evidence")
    op.drop_index("ix_submissions_received_at", "submissions")
    op.drop_index("ix_submissions_sid", "submissions")
    # Dropped one by one: making the table anew would drop the old one, which other tables' rows refer to.
    for name in JOB_COLUMNS:
        op.drop_column("jobs", name)
    for name in SUBMISSION_COLUMNS:
        op.drop_column("submissions", name)


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column(
            "submission_id",
            sa.String(32),
            sa.ForeignKey("submissions.id", name="fk_outbox_submission_id"),
            nullable=False,
        ),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("last_result", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_state_due_at", "outbox", ["state", "due_at"])
    op.create_index("ix_outbox_submission_id", "outbox", ["submission_id"])
