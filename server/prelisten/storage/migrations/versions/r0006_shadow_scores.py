"""What models that are being tried say of a recording."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is named above."""
    submission = sa.ForeignKey("submissions.id", name="fk_shadow_scores_submission_id", ondelete="CASCADE")
    op.create_table(
        "shadow_scores",
        sa.Column("submission_id", sa.String(32), submission, nullable=False),
        sa.Column("detector", sa.String(100), nullable=False),
        sa.Column("spoof_score", sa.Float),
        sa.Column("band", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "detector", name="pk_shadow_scores"),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("shadow_scores")
