"""The check `claim`: does what the browser claims agree with what the server heard? It never weighs."""

from __future__ import annotations

from typing import Any

from prelisten.checks.compare import compare
from prelisten.checks.heard import Heard
from prelisten.records import Finding, FindingState, Recomputed
from wasm_detector.hint import Reason

NAME = "claim"
VERSION = "2"
MISMATCH = "HINT_MISMATCH"


def run(heard: Heard) -> Finding:
    """Return `recomputed` and, when the two differ, in which groups (`differences`).

    1. Without a claim there is nothing to compare.
    2. A recording that was not heard to its end gives no ground to call a claim wrong.
    3. Windows that the widget never listens to are a mismatch, whatever the recording holds.
    4. The rest is for `compare`. `segments` says how many of the claim's segments were heard again, and of how many.
    """
    claimed = heard.claimed
    if claimed is None:  # 1
        return _finding(FindingState.NOT_APPLICABLE, Recomputed.NOT_RUN)
    if heard.state is not FindingState.DONE or heard.own is None:  # 2
        return _finding(heard.state, Recomputed.NOT_RUN)
    if not claimed.is_possible:  # 3
        return _finding(FindingState.DONE, Recomputed.MISMATCH, ("coverage",))
    recomputed, differences = compare(claimed.claim, heard.own)  # 4
    return _finding(
        FindingState.DONE,
        recomputed,
        differences,
        segments=[len(heard.own.hint.segments), claimed.n_segments],
    )


def _finding(
    state: FindingState, recomputed: Recomputed, differences: tuple[str, ...] = (), **details: Any
) -> Finding:
    reasons = (Reason(MISMATCH, params={"differences": ", ".join(differences)}),)
    return Finding(
        check=NAME,
        version=VERSION,
        state=state,
        reasons=reasons if recomputed is Recomputed.MISMATCH else (),
        details={"recomputed": recomputed.value, "differences": list(differences), **details},
    )
