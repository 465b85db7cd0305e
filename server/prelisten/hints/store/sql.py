"""Spent tokens in the project's own database: part of the transaction that stores what they were spent for."""

from __future__ import annotations

from prelisten.storage.interface import Transaction


class SqlSingleUse:
    """See `SingleUse`. Lives as long as its transaction; when that is rolled back, nothing was spent."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

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
        """Spend the token by one `INSERT ... ON CONFLICT DO NOTHING`."""
        return self._tx.spend_token(
            cid,
            sha256=sha256,
            idempotency_key=idempotency_key,
            sid=sid,
            submission_id=submission_id,
            expires_at=expires_at,
        )
