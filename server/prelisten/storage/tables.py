"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from prelisten.times import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


submissions = Table(
    "submissions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("idempotency_key", String(200)),
    Column("declared", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("hint_check", JSON, nullable=False),
    Column("context", String(8), nullable=False, server_default="feed"),
    # Keyed digest of the host page's session: finds what a person sent without saying who it was.
    Column("sid", String(64), index=True),
    Column("recording_removed_at", UtcDateTime),
    Column("erased_at", UtcDateTime),
    # The action belongs to the key: a file decided under a lax action must not answer for a strict one.
    UniqueConstraint("action", "idempotency_key", "sha256"),
    Index(None, "sha256"),
    Index(None, "received_at"),
)

spent_tokens = Table(
    "spent_tokens",
    metadata,
    Column("cid", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("idempotency_key", String(200)),
    Column("sid", String(64)),
    Column("submission_id", String(32), nullable=False),
    Column("expires_at", Integer, nullable=False),
)

# What `POST verify` answered, so that the same question gets the same answer; gone with the token's record.
verifications = Table(
    "verifications",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("answer", JSON, nullable=False),
    Column("expires_at", Integer, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("submission_id", ForeignKey("submissions.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("check", String(32), nullable=False),
    Column("version", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("spoof_score", Float),
    Column("reasons", JSON, nullable=False),
    Column("details", JSON, nullable=False),
    UniqueConstraint("submission_id", "check"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("submission_id", ForeignKey("submissions.id"), primary_key=True),
    Column("pcm_sha256", String(64), index=True),
    Column("hint", JSON(none_as_null=True)),
    Column("analysed_s", Float),
    Column("total_s", Float),
    Column("container", JSON, nullable=False),
    Column("pieces", JSON, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("submission_id", ForeignKey("submissions.id"), primary_key=True),
    Column("action", String(16), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("policy_version", String(100), nullable=False),
    Column("evidence_sha256", String(64), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("spoof_score", Float),
    Column("context", String(8), nullable=False, server_default="feed"),
    Column("is_over_budget", Boolean, nullable=False, server_default=false()),
)

cases = Table(
    "cases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("submission_id", ForeignKey("submissions.id"), nullable=False, unique=True),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("outcome", String(16)),
    Column("note", Text, nullable=False),
    Column("reviewer", String(100)),
    Column("resolved_at", UtcDateTime),
    Index(None, "outcome", "opened_at"),
    Index(None, "opened_at"),
)

outbox = Table(
    "outbox",
    metadata,
    # The receiver's `webhook-id`: the same at every attempt, so that it can tell a repetition.
    Column("id", String(40), primary_key=True),
    Column("event", String(40), nullable=False),
    Column("submission_id", ForeignKey("submissions.id"), nullable=False, index=True),
    # The text that is sent, byte for byte the same at every attempt.
    Column("body", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    # When a pending message may be sent; pushed ahead while somebody sends it.
    Column("due_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("last_result", Text, nullable=False),
    Index(None, "state", "due_at"),
)

chores = Table(
    "chores",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    # HMAC-SHA256 of the whole key; the key itself is nowhere.
    Column("digest", String(64), nullable=False),
    Column("name", String(80), nullable=False),
    Column("scopes", JSON, nullable=False),
    # Empty: the setting counts.
    Column("uploads_per_day", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

api_usage = Table(
    "api_usage",
    metadata,
    Column("key_id", ForeignKey("api_keys.id"), primary_key=True),
    # In UTC, as ISO 8601 writes it.
    Column("day", String(10), primary_key=True),
    Column("uploads", Integer, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(100), primary_key=True),
    # JSON, in the order of the names.
    Column("labels", String(200), primary_key=True),
    Column("value", Float, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("version", String(100), primary_key=True),
    # What the version says, so that its decisions can be made again after the file has changed.
    Column("text", Text, nullable=False),
    Column("first_used_at", UtcDateTime, nullable=False),
)

# What a model that is being tried says. Nothing acts on it.
shadow_scores = Table(
    "shadow_scores",
    metadata,
    Column("submission_id", ForeignKey("submissions.id", ondelete="CASCADE"), primary_key=True),
    Column("detector", String(100), primary_key=True),
    Column("spoof_score", Float),
    Column("band", String(16), nullable=False),
)

# What a policy that is being tried would have decided. Nothing acts on it.
shadow_decisions = Table(
    "shadow_decisions",
    metadata,
    Column("submission_id", ForeignKey("submissions.id", ondelete="CASCADE"), primary_key=True),
    Column("policy_version", String(100), primary_key=True),
    Column("action", String(16), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("evidence_sha256", String(64), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("spoof_score", Float),
    Column("context", String(8), nullable=False),
    Column("is_over_budget", Boolean, nullable=False),
)
