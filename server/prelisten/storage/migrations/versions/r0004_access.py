"""API keys with their quotas, and the counters that the metrics are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is named above."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("uploads_per_day", sa.Integer),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "api_usage",
        sa.Column(
            "key_id",
            sa.String(16),
            sa.ForeignKey("api_keys.id", name="fk_api_usage_key_id"),
            nullable=False,
        ),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("uploads", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "day", name="pk_api_usage"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("labels", sa.String(200), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name="pk_counters"),
    )


def downgrade() -> None:
    """Take it away again."""
    for table in ("counters", "api_usage", "api_keys"):
        op.drop_table(table)
