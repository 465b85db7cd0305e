"""The claim against the server's own hearing: what agrees, what differs, and what cannot be compared."""

from __future__ import annotations

import base64
import copy

import pytest

from prelisten.checks import compare as tolerances
from prelisten.checks.compare import compare
from prelisten.records import Recomputed

FAR = 1.0  # log-odds to the nearest edge of a band


def seg(*scores: int) -> str:
    return base64.urlsafe_b64encode(bytes(scores)).decode().rstrip("=")


OWN = {
    "band": "clear",
    "q": 300,
    "reasons": [],
    "cov": {"analysed_ms": 8000, "total_ms": 8000},
    "exact": {"n_frames": 128_000, "total": 17, "energy": 23},
    "near": {"seg": seg(70, 80), "stat": [10, -20, 0]},
}


def changed(group: str, value: object, *, of: dict = OWN) -> dict:
    """Return a copy with one field changed, `cov.analysed_ms` style."""
    claim = copy.deepcopy(of)
    *path, last = group.split(".")
    inner = claim
    for name in path:
        inner = inner[name]
    inner[last] = value
    return claim


def test_equal_claim_with_exact_sums_matches() -> None:
    """The same samples, the same numbers: nothing can be nearer."""
    assert compare(OWN, OWN, band_margin=FAR) == (Recomputed.MATCH, ())


def test_equal_claim_without_exact_sums_is_only_near() -> None:
    """Where the browser did not read the PCM itself, equality of rounded numbers proves less."""
    near = changed("exact", {})
    assert compare(near, near, band_margin=FAR) == (Recomputed.WITHIN_TOLERANCE, ())


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("q", 300 + tolerances.Q_TOLERANCE),
        ("near.seg", seg(70 - tolerances.SEGMENT_TOLERANCE, 80)),
        ("near.seg", seg(70, 255)),
        ("near.seg", seg(70)),
        ("near.stat", [10, -20, tolerances.STATISTIC_TOLERANCE]),
        ("cov.analysed_ms", 8000 + tolerances.COVERAGE_TOLERANCE_MS),
        ("cov.total_ms", None),
    ],
)
def test_rounding_is_within_tolerance(group: str, value: object) -> None:
    """Two decoders differ by a little; that is no lie."""
    assert compare(changed(group, value), OWN, band_margin=FAR)[0] is Recomputed.WITHIN_TOLERANCE


@pytest.mark.parametrize(
    ("group", "value", "name"),
    [
        ("exact.n_frames", 128_001, "exact"),
        ("exact.total", 18, "exact"),
        ("exact", {}, "exact"),
        ("exact", {"n_frames": 128_000}, "exact"),
        ("band", "high", "band"),
        ("q", 301 + tolerances.Q_TOLERANCE, "q"),
        ("q", None, "q"),
        ("near.seg", seg(71 + tolerances.SEGMENT_TOLERANCE, 80), "segments"),
        ("near.seg", seg(255, 255), "segments"),
        ("near.seg", "", "segments"),
        ("near.seg", seg(70, 80, 70, 80), "segments"),
        ("near.seg", "A", "segments"),
        ("near.stat", [11 + tolerances.STATISTIC_TOLERANCE, -20, 0], "statistics"),
        ("near.stat", [10, -20], "statistics"),
        ("near.stat", [], "statistics"),
        ("cov.analysed_ms", 9000, "coverage"),
    ],
)
def test_lie_is_a_mismatch_that_names_its_group(group: str, value: object, name: str) -> None:
    """Every group that a claim can lie in is looked at."""
    assert compare(changed(group, value), OWN, band_margin=FAR) == (Recomputed.MISMATCH, (name,))


def test_band_may_differ_at_its_edge() -> None:
    """Rounding must not turn an honest claim into a lie."""
    claim = changed("band", "elevated")
    assert compare(claim, OWN, band_margin=tolerances.BAND_HYSTERESIS / 2)[0] is Recomputed.WITHIN_TOLERANCE


def test_claim_about_less_is_not_comparable() -> None:
    """A page may ask for less to be heard; that gives no ground to call it a lie, and no advantage either."""
    assert compare(changed("cov.analysed_ms", 4000), OWN, band_margin=FAR) == (
        Recomputed.NOT_RUN,
        ("coverage",),
    )
