"""The audit log: a chain of entries in which each names the hash of the one before. It only ever grows.

An entry is written inside the caller's transaction, so that what happened and its entry are stored together or
not at all. Entries hold ids, fixed words and keyed digests, never what a person sent or wrote: erasing a recording
adds an entry (a tombstone) and breaks nothing. The database itself refuses to change or delete an entry (triggers
of migration 0002). Somebody who can take the triggers away can still rewrite the chain from some entry to its end,
or cut its tail: both are found against a signed head that was kept elsewhere (`prelisten audit head`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    cast,
    column,
    insert,
    select,
    table,
    text,
)

from prelisten.errors import PrelistenError

if TYPE_CHECKING:
    from prelisten.keys import Keys

FIRST_PREVIOUS = "0" * 64
HEAD_SALT = b"prelisten.audit.head.v1"
# Any number does, as long as nothing else of this database locks the same one.
POSTGRESQL_LOCK = 7_310_018_331
MAX_BODY_CHARACTERS = 4_000
MAX_DEPTH = 4
# An id, a digest, a version, a word of ours: no spaces, so that nobody's sentence gets in by mistake.
_WORD = re.compile(r"[A-Za-z0-9_.:+/=-]{0,128}")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_INTEGER = 2**53  # Past this, readers of JSON in other languages see another number.

metadata = MetaData()

# Everything that is hashed is text, exactly as it was hashed: no driver rounds, pads or re-orders it on the way.
entries = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Index("ix_audit_kind_seq", "kind", "seq"),
    Index("ix_audit_subject_kind", "subject", "kind"),
)


class Kind(StrEnum):
    """What the server itself writes down. An application may add kinds of its own."""

    RECEIVED = "received"
    DECISION = "decision"
    REVIEW_OUTCOME = "review_outcome"
    ERASURE = "erasure"
    KEY_MADE = "key_made"
    KEY_REVOKED = "key_revoked"
    POLICY_ACTIVATED = "policy_activated"


class HasConnection(Protocol):
    """An open transaction of any kind."""

    @property
    def connection(self) -> Connection:
        """The database connection that the transaction runs on."""


class HeadError(PrelistenError):
    """A kept head cannot be used: it is no head, or no key of ours signed it."""

    code = "bad_audit_head"
    http_status = 400


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as it is stored. `at` is UTC in ISO 8601, `body` canonical JSON, `previous` and `sha256` hex."""

    seq: int
    at: str
    kind: str
    subject: str
    body: str
    previous: str
    sha256: str

    def computed_sha256(self) -> str:
        """Return the hash of everything but the hash itself."""
        return _sha256({name: value for name, value in asdict(self).items() if name != "sha256"})


@dataclass(frozen=True, slots=True)
class Problem:
    """The first entry at which the chain is broken, and why."""

    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class Verification:
    """How far the chain holds: the number of good entries, the last one's hash, and what is wrong after them."""

    entries: int
    sha256: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at some time, signed: `entries` is how many there were, `sha256` the last one's hash."""

    entries: int
    sha256: str
    at: str
    key: str
    signature: str

    def to_json(self) -> str:
        """Return the head as one line of JSON."""
        return canonical_json({"v": 1, **asdict(self)})

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read what `to_json` wrote. Raises `HeadError`."""
        try:
            fields = json.loads(line)
            if fields.pop("v") != 1:
                raise ValueError("its version is not 1")
            head = cls(**fields)
            if type(head.entries) is not int or any(
                type(value) is not str for name, value in asdict(head).items() if name != "entries"
            ):
                raise TypeError("a field is of another type")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HeadError(
                f"{line[:80]!r} is no head of an audit log ({error}). `prelisten audit head` prints one."
            ) from error
        return head


def canonical_json(value: Any) -> str:
    """Return the one spelling of a value: keys in order, no spaces, no NaN, characters as they are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def append(tx: HasConnection, kind: str, subject: str, body: Mapping[str, Any]) -> None:
    """Add an entry inside the caller's transaction; it exists when that is committed.

    `subject` is the id of what it is about. `body` holds ids, fixed words, keyed digests, whole numbers, booleans,
    and lists and mappings of these. Writers of entries wait for each other from here to the end of their
    transaction, so call this late in it. Raises `ValueError` for a body that may hold more than that: a person's
    words in here could never be erased.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"got the kind {kind!r}, expected up to 40 small letters, digits and underscores")
    _admit(subject, depth=0)
    _admit(body, depth=0)
    text_of_body = canonical_json(body)
    if len(text_of_body) > MAX_BODY_CHARACTERS:
        raise ValueError(f"got a body of {len(text_of_body)} characters, {MAX_BODY_CHARACTERS} is the most")
    connection = tx.connection
    _wait_for_other_writers(connection)
    last = connection.execute(
        select(entries.c.seq, entries.c.sha256).order_by(entries.c.seq.desc()).limit(1)
    ).first()
    fields = {
        "seq": last.seq + 1 if last else 1,
        "at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "kind": str(kind),
        "subject": str(subject),
        "body": text_of_body,
        "previous": last.sha256 if last else FIRST_PREVIOUS,
    }
    connection.execute(insert(entries).values(**fields, sha256=_sha256(fields)))


def is_word(text: str) -> bool:
    """Return whether a text may stand in an entry."""
    return _WORD.fullmatch(text) is not None


def read_entries(connection: Connection) -> Iterator[Entry]:
    """Yield every entry in order, a few at a time: a long log is never in memory as a whole."""
    columns: list[Any] = list(entries.c)
    if connection.dialect.name == "sqlite":
        # As bytes: a changed byte may leave no UTF-8, which the driver would refuse to read at all.
        columns = [entries.c.seq, *(cast(column, LargeBinary) for column in columns[1:])]
    statement = select(*columns).order_by(entries.c.seq).execution_options(yield_per=500)
    with connection.execute(statement) as found:  # Closed also when nobody reads to the end.
        for seq, *texts in found:
            yield Entry(seq, *map(_as_text, texts))


def last_of_kind(tx: HasConnection, kind: str) -> Entry | None:
    """Return the latest entry of a kind, or `None`."""
    statement = select(entries).where(entries.c.kind == kind).order_by(entries.c.seq.desc()).limit(1)
    row = tx.connection.execute(statement).first()
    return None if row is None else Entry(*row)


def last_about(tx: HasConnection, subject: str, kind: str) -> Entry | None:
    """Return the latest entry of a kind about a subject, or `None`."""
    is_wanted = (entries.c.subject == subject) & (entries.c.kind == kind)
    row = tx.connection.execute(select(entries).where(is_wanted).order_by(entries.c.seq.desc())).first()
    return None if row is None else Entry(*row)


def entries_about(tx: HasConnection, subject: str) -> list[Entry]:
    """Return every entry about a subject, in order."""
    statement = select(entries).where(entries.c.subject == subject).order_by(entries.c.seq)
    return [Entry(*row) for row in tx.connection.execute(statement)]


def subjects_of_lost_decisions(tx: HasConnection) -> Iterator[str]:
    """Yield the subjects whose decision is in the log and not in the table of decisions (any more)."""
    stored = table("decisions", column("submission_id"))
    is_stored = select(stored.c.submission_id).where(stored.c.submission_id == entries.c.subject).exists()
    statement = select(entries.c.subject).where(entries.c.kind == Kind.DECISION, ~is_stored).distinct()
    with tx.connection.execute(statement.execution_options(yield_per=500)) as found:
        for (subject,) in found:
            yield subject


def verify(found: Iterable[Entry], *, heads: Sequence[Head] = ()) -> Verification:
    """Follow the chain from its first entry and return how far it holds.

    1. Every entry has the number after the one before: none is missing, none stands twice.
    2. Every entry names the hash of the one before, and its own hash is that of what it says.
    3. Where a kept head says how the chain ended once, it must have passed through there.

    `heads` were checked by `check_head` already.
    """
    expected: dict[int, set[str]] = {}
    for head in heads:
        expected.setdefault(head.entries, set()).add(head.sha256)
    seq, sha256 = 0, FIRST_PREVIOUS
    for entry in found:
        if (why := _broken(entry, seq=seq + 1, previous=sha256)) is not None:
            return Verification(seq, sha256, Problem(seq + 1, why))
        seq, sha256 = entry.seq, entry.sha256
        if expected.pop(seq, {sha256}) != {sha256}:
            why = "it is not the entry that the kept head saw here: it, or one before it, was rewritten"
            return Verification(seq - 1, entry.previous, Problem(seq, why))
    if expected and (most := max(expected)) > seq:
        why = f"the tail was cut: a kept head saw {most} entries, and {seq} are left"
        return Verification(seq, sha256, Problem(seq + 1, why))
    return Verification(seq, sha256)


def sign_head(found: Verification, keys: Keys) -> Head:
    """Return the signed head of a chain that holds. Raises `HeadError` for a broken one: nobody should sign that."""
    if found.problem is not None:
        raise HeadError(
            f"Entry {found.problem.seq} of the audit log is broken: {found.problem.why}. No head was signed."
        )
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    key = keys.signing
    signature = _signature(key.secret, entries=found.entries, sha256=found.sha256, at=at, key=key.id)
    return Head(found.entries, found.sha256, at, key.id, signature)


def check_head(head: Head, keys: Keys) -> None:
    """Raise `HeadError` unless one of our keys signed this head, exactly as it stands."""
    key = keys.find(head.key)
    if key is None:
        raise HeadError(
            f"The head was signed with the key {head.key[:20]!r}, which is not in the key ring any more."
        )
    expected = _signature(key.secret, entries=head.entries, sha256=head.sha256, at=head.at, key=head.key)
    if not hmac.compare_digest(expected.encode(), head.signature.encode("utf-8", "surrogatepass")):
        raise HeadError(
            f"The signature of the head of {head.entries} entries is not ours: the head was changed."
        )


def _broken(entry: Entry, *, seq: int, previous: str) -> str | None:
    """Return why the entry does not follow the one before, or `None`."""
    if entry.seq != seq:
        return f"it is missing: the next entry that is there has the number {entry.seq}"
    if entry.previous != previous:
        return "it does not follow the entry before it: one of the two was changed or put in"
    if entry.sha256 != entry.computed_sha256():
        return "its content is not what was written"
    return None


def _as_text(value: object) -> str:
    """Return a stored text; what is none by now becomes one that no writer of ours has made."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else repr(value)


def _wait_for_other_writers(connection: Connection) -> None:
    """Let one transaction at a time add entries, until its end: numbers without gaps need it.

    On SQLite the writing transaction holds the only write lock already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": POSTGRESQL_LOCK})


def _sha256(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(fields).encode("utf-8", "surrogatepass")).hexdigest()


def _signature(secret: bytes, **fields: Any) -> str:
    own = hmac.new(secret, HEAD_SALT, hashlib.sha256).digest()
    return hmac.new(own, canonical_json(fields).encode(), hashlib.sha256).hexdigest()


def _admit(value: Any, *, depth: int) -> None:
    """Raise `ValueError` unless the value is made of words, whole numbers, booleans and nothing."""
    if depth > MAX_DEPTH:
        raise ValueError(f"got a body nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for name, part in value.items():
            _admit(name, depth=depth + 1)
            _admit(part, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            _admit(part, depth=depth + 1)
    elif isinstance(value, str):
        if not is_word(value):
            raise ValueError(
                f"got the text {value[:40]!r}, expected an id, a fixed word or a keyed digest: what stands in the "
                "audit log can never be erased"
            )
    elif isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return
    elif value is not None:
        raise ValueError(f"got {value!r}, expected words, whole numbers, booleans, and lists of these")
