"""What the server finds out itself: one file for each check, each `run(heard) -> Finding`.

A check says what it found and how it ended; it never decides. `recompute` is the browser's own detector on the
server's own decode, `forensic` the server's stronger one; `claim` compares what the browser said with `recompute`, and
its word never weighs in a decision.
"""

from collections.abc import Callable

from prelisten.checks import claim, forensic, recompute
from prelisten.checks.claimed import Claimed, read_claimed
from prelisten.checks.forensic import load_forensic_model
from prelisten.checks.heard import Heard, hear, hear_claimed, plan_of
from prelisten.records import Finding

CHECKS: tuple[Callable[[Heard], Finding], ...] = (recompute.run, forensic.run, claim.run)

__all__ = [
    "CHECKS",
    "Claimed",
    "Heard",
    "hear",
    "hear_claimed",
    "load_forensic_model",
    "plan_of",
    "read_claimed",
]
