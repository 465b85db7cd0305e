"""The outbox, deliveries, retention."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is named above."""


def downgrade() -> None:
    """Take it away again."""
