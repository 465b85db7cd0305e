"""Where it is remembered which tokens were spent. Nothing here judges a token; `verify` does, and spends nothing.

Three stores, one interface (`SingleUse`) and one contract suite: memory for tests, SQL inside the transaction that
stores the upload, Redis for sites that keep such records there.
"""

from prelisten.hints.store.interface import (
    RECORD_GRACE_S,
    SingleUse,
    is_verification,
    new_verification_id,
)
from prelisten.hints.store.memory import MemorySingleUse
from prelisten.hints.store.sql import SqlSingleUse

__all__ = [
    "RECORD_GRACE_S",
    "MemorySingleUse",
    "SingleUse",
    "SqlSingleUse",
    "is_verification",
    "new_verification_id",
]
