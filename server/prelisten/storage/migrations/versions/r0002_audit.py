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
    """Make the audit table, which the database itself keeps from being changed, and what a replay needs."""
    _make_audit()
    _make_policies()


def downgrade() -> None:
    """Drop everything that this migration made; SQLite drops a table's triggers with it."""
    for table in ("shadow_decisions", "policies", "audit"):
        op.drop_table(table)
    op.drop_index("ix_cases_opened_at", "cases")
    for column in ("is_over_budget", "context", "spoof_score"):
        op.drop_column("decisions", column)
    op.drop_column("submissions", "context")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuse(); DROP FUNCTION audit_next();")


def _make_policies() -> None:
    """Decisions made before have no stored policy; they were all made for the one context that there was."""
    op.add_column("submissions", sa.Column("context", sa.String(8), nullable=False, server_default="feed"))
    op.add_column("decisions", sa.Column("spoof_score", sa.Float))
    op.add_column("decisions", sa.Column("context", sa.String(8), nullable=False, server_default="feed"))
    op.add_column(
        "decisions", sa.Column("is_over_budget", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_index("ix_cases_opened_at", "cases", ["opened_at"])
    op.create_table(
        "policies",
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_policies"),
    )
    submission = sa.ForeignKey("submissions.id", name="fk_shadow_decisions_submission_id", ondelete="CASCADE")
    op.create_table(
        "shadow_decisions",
        sa.Column("submission_id", sa.String(32), submission, nullable=False),
        sa.Column("policy_version", sa.String(100), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("evidence_sha256", sa.String(64), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spoof_score", sa.Float),
        sa.Column("context", sa.String(8), nullable=False),
        sa.Column("is_over_budget", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "policy_version", name="pk_shadow_decisions"),
    )


def _make_audit() -> None:
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
    op.create_index("ix_audit_kind_seq", "audit", ["kind", "seq"])
    op.create_index("ix_audit_subject_kind", "audit", ["subject", "kind"])
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
