"""What a store of spent tokens promises."""

from __future__ import annotations

import secrets
from typing import Protocol

# A token's record is kept a little past its expiry, in case of clocks that differ.
RECORD_GRACE_S = 120
VERIFICATION = "verify:"


def new_verification_id() -> str:
    """Return an id for what a token is spent for when `POST verify` spends it (31 characters)."""
    return VERIFICATION + secrets.token_hex(12)


def is_verification(spent_for: str) -> bool:
    """Return whether a token was spent by `POST verify`, and not by an upload."""
    return spent_for.startswith(VERIFICATION)


class SingleUse(Protocol):
    """Remembers which tokens were spent; of any number of callers at once, one spends a token."""

    def consume(
        self,
        cid: str,
        *,
        sha256: str,
        idempotency_key: str | None,
        sid: str | None,
        submission_id: str,
        expires_at: int,
    ) -> str | None:
        """Spend the token of challenge `cid`, atomically.

        `submission_id` is what it is spent for, an id that no other call has; `expires_at` is the token's end in
        seconds since 1970. Returns `None` when this call spent it, else the id that it was spent for when this is
        the same sending again (same file, and the same key, or no key on either side and the same session).

        Raises `TokenSpent` for anything else (its `spent_for` names the id when at least the file is the same), and
        `StorageError` when the store cannot tell: the token then counts as not there, and nothing is refused.
        """
