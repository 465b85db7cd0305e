"""The audit chain and what the policy needs to be replayed."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is named above."""


def downgrade() -> None:
    """Take it away again."""
