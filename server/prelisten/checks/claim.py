"""The check `claim`: does what the browser claims agree with what the server heard? It never weighs."""

from __future__ import annotations

from prelisten.checks.compare import compare
from prelisten.checks.heard import Heard
from prelisten.records import Finding, FindingState, Recomputed
from wasm_detector.hint import Reason, claim_of

NAME = "claim"
VERSION = "1"
MISMATCH = "HINT_MISMATCH"


def run(heard: Heard) -> Finding:
    """Return `recomputed` and, when the two differ, in what.

    A recording that was not heard to its end gives no ground to call a claim wrong.
    """
    if heard.claim is None:
        return Finding(
            NAME, VERSION, FindingState.NOT_APPLICABLE, details={"recomputed": Recomputed.NOT_RUN.value}
        )
    if heard.hint is None or heard.state is not FindingState.DONE:
        return Finding(NAME, VERSION, heard.state, details={"recomputed": Recomputed.NOT_RUN.value})
    own = claim_of(heard.hint, heard.exact)
    recomputed, differences = compare(heard.claim, own, band_margin=heard.hint.band_margin)
    reasons = (Reason(MISMATCH, params={"differences": ", ".join(differences)}),)
    return Finding(
        check=NAME,
        version=VERSION,
        state=FindingState.DONE,
        reasons=reasons if recomputed is Recomputed.MISMATCH else (),
        details={"recomputed": recomputed.value, "differences": list(differences)},
    )
