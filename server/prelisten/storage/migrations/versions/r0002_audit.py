"""The audit chain and what the policy needs to be replayed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# `INSERT OR REPLACE` deletes the old row without asking the trigger for deletions. So the one for insertions lets
# nothing in but the next number, whose `previous` is the last entry's hash. Who alters this table later by Alembic's
# batch mode makes it anew, and has to make these again.
SQLITE = (
    """
    CREATE TRIGGER audit_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows: an entry is never changed'); END
    """,
    """
    CREATE TRIGGER audit_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows: an entry is never deleted'); END
    """,
    """
    CREATE TRIGGER audit_insert BEFORE INSERT ON audit
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
      OR NEW.previous IS NOT coalesce((SELECT sha256 FROM audit ORDER BY seq DESC LIMIT 1), printf('%064d', 0))
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows: this is not its next entry'); END
    """,
)
POSTGRESQL = (
    """
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit log only grows: an entry is never changed or deleted'; END $$
    """,
    """
    CREATE FUNCTION audit_next() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM audit)
        OR NEW.previous IS DISTINCT FROM
          coalesce((SELECT sha256 FROM audit ORDER BY seq DESC LIMIT 1), repeat('0', 64))
      THEN RAISE EXCEPTION 'the audit log only grows: this is not its next entry'; END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER audit_update BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_insert BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_next()",
)


def upgrade() -> None:
    """Make the audit table, which the database itself keeps from being changed."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """Drop everything that this migration made; SQLite drops a table's triggers with it."""
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuse(); DROP FUNCTION audit_next();")
