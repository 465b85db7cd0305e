"""The claim against the server's own hearing: what agrees, what differs, and what cannot be compared."""

from __future__ import annotations

import base64
import copy
from dataclasses import replace
from typing import Any

import pytest

from prelisten.checks import compare as tolerances
from prelisten.checks.compare import Own, compare
from prelisten.records import Recomputed
from wasm_detector.hint import Band, Coverage, Hint, Reason, Segment, Signal, claim_of
from wasm_detector.signals import KINDS

NAMES = list(KINDS)[:6]
CODES = [KINDS[name].code for name in NAMES]
WEIGHTS = (0.9, 0.6, 0.5, 0.35, 0.05, -0.8)  # Four reasons, one just below the line, one that speaks against.
HINT = Hint(
    spoof_score=0.8,
    band=Band.ELEVATED,
    reasons=(*(Reason(code) for code in CODES[:4]), Reason("SILENCE")),
    segments=(Segment(0, 4, 0.28), Segment(4, 8, 0.32), Segment(8, 12, None)),
    coverage=Coverage(12.0, 12.0, 6.0),
    signals=tuple(Signal(name, 0.0, "", weight) for name, weight in zip(NAMES, WEIGHTS, strict=True)),
    bias=0.0,
    detector="wd-test",
    band_margin=1.0,  # log-odds to the nearest edge of a band
)
FACTS = {"format": 1, "rate": 16_000, "channels": 1, "duration_ms": 12_000}
OWN = Own(HINT, FACTS | {"n_frames": 192_000, "total": 17, "energy": 23}, 384_044, "wav", 16_000.0, 12.0)
NEAR = replace(OWN, exact=FACTS, reader="page")
AT_EDGE = replace(NEAR, hint=replace(HINT, band_margin=tolerances.BAND_HYSTERESIS / 2))


def seg(*scores: int) -> str:
    return base64.urlsafe_b64encode(bytes(scores)).decode().rstrip("=")


def claim_for(own: Own, **changes: Any) -> dict[str, Any]:
    """Return an honest claim with some fields changed, `cov__total_ms=3` style."""
    claim = copy.deepcopy(claim_of(own.hint, own.exact)) | {
        "file": {"size": own.size_bytes, "type": "audio/wav", "sha256": "0" * 64},
        "env": {"decoder": own.reader, "rate": own.rate_hz},
        "t": {},
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        inner = claim
        for step in path:
            inner = inner[step]
        inner[last] = value
    return claim


def word(own: Own, **changes: Any) -> tuple[Recomputed, tuple[str, ...]]:
    return compare(claim_for(own, **changes), own)


def test_equal_claim_with_exact_sums_matches() -> None:
    """The same samples, the same numbers: nothing can be nearer."""
    assert word(OWN) == (Recomputed.MATCH, ())


def test_equal_claim_without_exact_sums_is_only_near() -> None:
    """Where the browser did not read the PCM itself, equality of rounded numbers proves less."""
    assert word(NEAR) == (Recomputed.WITHIN_TOLERANCE, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"q": 800 + tolerances.Q_TOLERANCE},
        {"near__seg": seg(70 - tolerances.SEGMENT_TOLERANCE, 80, 255)},
        {"near__seg": seg(70, 80, 90)},
        {"near__seg": seg(70, 80, 90), "reasons": CODES[:4]},
        {"near__stat": [90, 60, 50, 35 - tolerances.STATISTIC_TOLERANCE, 5, -80]},
        {"cov__total_ms": 12_000 + tolerances.COVERAGE_TOLERANCE_MS},
        {"reasons": [*CODES[:3], "SILENCE"]},
        {"reasons": [*CODES[:3], CODES[4], "SILENCE"]},
        {"reasons": [CODES[1], CODES[0], *CODES[2:4], "SILENCE"]},
    ],
)
def test_rounding_is_within_tolerance(changes: dict[str, Any]) -> None:
    """Two decoders differ by a little; that is no lie."""
    assert word(NEAR, **changes) == (Recomputed.WITHIN_TOLERANCE, ())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"exact__n_frames": 192_001}, "exact"),
        ({"exact__total": 18}, "exact"),
        ({"exact__energy": 24}, "exact"),
        ({"exact__format": 2}, "exact"),
        ({"exact__rate": 48_000}, "exact"),
        ({"exact__channels": 2}, "exact"),
        ({"exact__duration_ms": 12_001}, "exact"),
        ({"exact": {}}, "exact"),
        ({"exact": FACTS}, "exact"),
        ({"exact": OWN.exact | {"more": 1}}, "exact"),
        ({"file__size": 384_045}, "exact"),
        ({"env__decoder": "page"}, "environment"),
        ({"env__rate": 48_000.0}, "environment"),
        ({"band": "high"}, "band"),
        ({"q": 801 + tolerances.Q_TOLERANCE}, "q"),
        ({"q": None}, "q"),
        ({"near__seg": seg(71 + tolerances.ODD_TOLERANCE, 80, 255)}, "segments"),
        (
            {"near__seg": seg(*(byte + 1 + tolerances.SEGMENT_TOLERANCE for byte in (70, 80)), 255)},
            "segments",
        ),
        ({"near__seg": seg(255, 255, 255)}, "segments"),
        ({"near__seg": ""}, "segments"),
        ({"near__seg": seg(70, 80)}, "segments"),
        ({"near__seg": "A"}, "segments"),
        ({"near__stat": [90, 60, 50, 34 - tolerances.STATISTIC_TOLERANCE, 5, -80]}, "statistics"),
        ({"near__stat": [90, 60, 50, 35, 5]}, "statistics"),
        ({"near__stat": []}, "statistics"),
        ({"cov__total_ms": 12_001 + tolerances.COVERAGE_TOLERANCE_MS}, "coverage"),
        ({"reasons": []}, "reasons"),
        ({"reasons": ["SILENCE"]}, "reasons"),
        ({"reasons": CODES[:4]}, "reasons"),
        ({"reasons": [*CODES[1:4], "SILENCE"]}, "reasons"),
        ({"reasons": [*CODES[:4], "SILENCE", "CLIPPED"]}, "reasons"),
        ({"reasons": [*CODES[:3], CODES[5], "SILENCE"]}, "reasons"),
        ({"reasons": [*CODES[:5], "SILENCE"]}, "reasons"),
        ({"reasons": [*CODES[:4], CODES[0], "SILENCE"]}, "reasons"),
        ({"reasons": ["SILENCE", *CODES[:4]]}, "reasons"),
        ({"reasons": [*CODES[:4], "SILENCE", "NEVER_HEARD_OF"]}, "reasons"),
    ],
)
def test_lie_is_a_mismatch_that_names_its_group(changes: dict[str, Any], name: str) -> None:
    """Every group that a claim can lie in is looked at."""
    assert word(OWN, **changes) == (Recomputed.MISMATCH, (name,))


@pytest.mark.parametrize("changes", [{"file__type": "text/html"}, {"t": {"load": 1}}, {"declared": True}])
def test_what_is_never_used_changes_nothing(changes: dict[str, Any]) -> None:
    """The browser's guess at a type, its clock, and a declaration that the form carries itself."""
    assert word(OWN, **changes) == (Recomputed.MATCH, ())


def test_band_may_differ_at_its_edge_and_with_it_the_reasons() -> None:
    """Rounding must not turn an honest claim into a lie; below the edge no signal is named."""
    assert word(AT_EDGE, band="clear", reasons=["SILENCE"])[0] is Recomputed.WITHIN_TOLERANCE
    assert word(AT_EDGE, band="clear") == (Recomputed.MISMATCH, ("reasons",))
    assert word(AT_EDGE, band="elevated", reasons=["SILENCE"]) == (Recomputed.MISMATCH, ("reasons",))


def test_damaged_file_gives_no_ground_unless_the_bytes_do() -> None:
    """Where a decoder stumbled, another one may have stumbled elsewhere; what the bytes say is the same for all."""
    doubtful = replace(NEAR, is_doubtful=True)
    assert word(doubtful, q=100) == (Recomputed.NOT_RUN, ("q",))
    assert word(doubtful, q=100, exact__rate=1) == (Recomputed.MISMATCH, ("exact", "q"))
    assert word(doubtful) == (Recomputed.WITHIN_TOLERANCE, ())


def test_rate_that_no_header_states_is_no_ground_by_itself() -> None:
    """One decoder doubles the rate of such AAC and another one does not: they hear different samples."""
    unstated = replace(NEAR, is_rate_stated=False)
    assert word(unstated, env__rate=8_000.0) == (Recomputed.WITHIN_TOLERANCE, ())
    assert word(unstated, env__rate=8_000.0, q=100) == (Recomputed.NOT_RUN, ("q",))
    assert word(unstated, q=100) == (Recomputed.MISMATCH, ("q",))
    assert word(unstated, env__rate=8_000.0, env__decoder="wav")[0] is Recomputed.MISMATCH


def test_picked_segments_are_compared_with_their_own_bytes_alone() -> None:
    """Of a long claim some segments are heard again; what is about all of them together is not compared."""
    long = claim_for(OWN, near__seg=seg(1, 70, 2, 80, 3, 255, 4), q=1, band="clear", exact=FACTS)
    own = replace(OWN, picked=(1, 3, 5), exact=FACTS)
    assert compare(long, own) == (Recomputed.WITHIN_TOLERANCE, ())
    assert compare(long, replace(own, picked=(0, 3, 5))) == (Recomputed.MISMATCH, ("segments",))
    assert compare(long, replace(own, picked=(1, 3, 7))) == (Recomputed.MISMATCH, ("segments",))
    assert compare(long, replace(own, exact=FACTS | {"rate": 8_000})) == (Recomputed.MISMATCH, ("exact",))
