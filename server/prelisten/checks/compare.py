"""Compare a claim with the server's own: an exact group, a near group with tolerances, bands with hysteresis.

Never `==` on anything that was a float. Every tolerance stands here. How they were found: 40 recordings of
speech, each as FLAC, MP3, Ogg Vorbis, Ogg Opus, WebM and M4A at 16, 22.05, 44.1 and 48 kHz, decoded by Chromium
156 (`decodeAudioData`) and by this server. All 240 had the same length; samples differed by up to 2.7e-5, `q` by
up to 1, a segment by up to 1, a statistic by up to 1, no band and no set of reasons differed. The margin is for
decoders that we could not run: some cut the end of WebM 24 samples earlier, which moved `q` by up to 38, a segment
by 10 and a statistic by 18. A lie that stays within these bounds changes nothing that anybody sees.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prelisten.records import Recomputed
from wasm_detector.hint import NO_SCORE

# Units: `q` is 1000 x spoof_score, a segment's byte 250 x its score, a statistic 100 x a signal's log-odds.
Q_TOLERANCE = 50
SEGMENT_TOLERANCE = 15
STATISTIC_TOLERANCE = 30
# Log-odds; a band may differ when the score lies this close to the band's edge.
BAND_HYSTERESIS = 0.10
# A segment at the edge of what counts as speech may be judged on one side only.
MAX_ONE_SIDED_SEGMENTS = 1
# Decoders disagree about padding at the end, by up to two AAC frames.
COVERAGE_TOLERANCE_MS = 100


def compare(
    claim: Mapping[str, Any], own: Mapping[str, Any], *, band_margin: float
) -> tuple[Recomputed, tuple[str, ...]]:
    """Return how the claim compares with `own`, and the names of the groups that differ.

    A claim that honestly covers less than the server heard (a page may ask for less) is not comparable.
    """
    less_ms = own["cov"]["analysed_ms"] - claim["cov"]["analysed_ms"]
    if less_ms > COVERAGE_TOLERANCE_MS:
        return Recomputed.NOT_RUN, ("coverage",)
    differences = tuple(_differences(claim, own, band_margin=band_margin))
    if differences:
        return Recomputed.MISMATCH, differences
    is_same = own["exact"] and all(claim[name] == own[name] for name in ("exact", "near", "q", "band", "cov"))
    return (Recomputed.MATCH if is_same else Recomputed.WITHIN_TOLERANCE), ()


def _differences(claim: Mapping[str, Any], own: Mapping[str, Any], *, band_margin: float) -> Iterator[str]:
    if claim["cov"]["analysed_ms"] - own["cov"]["analysed_ms"] > COVERAGE_TOLERANCE_MS:
        yield "coverage"
    if dict(claim["exact"]) != dict(own["exact"]):
        yield "exact"
    if claim["band"] != own["band"] and band_margin > BAND_HYSTERESIS:
        yield "band"
    if not _is_near(claim["q"], own["q"], Q_TOLERANCE):
        yield "q"
    if not _are_segments_near(claim["near"]["seg"], own["near"]["seg"]):
        yield "segments"
    if not _are_all_near(claim["near"]["stat"], own["near"]["stat"]):
        yield "statistics"


def _is_near(claimed: int | None, own: int | None, tolerance: int) -> bool:
    if claimed is None or own is None:
        return claimed is own
    return abs(claimed - own) <= tolerance


def _are_all_near(claimed: Sequence[int], own: Sequence[int]) -> bool:
    return len(claimed) == len(own) and all(
        _is_near(a, b, STATISTIC_TOLERANCE) for a, b in zip(claimed, own, strict=True)
    )


def _are_segments_near(claimed_text: str, own_text: str) -> bool:
    """Compare the segments' bytes; at the end one segment may be there on one side only."""
    claimed, own = _segments(claimed_text), _segments(own_text)
    if claimed is None or own is None or abs(len(claimed) - len(own)) > 1:
        return False
    pairs = list(zip(claimed, own, strict=False))
    one_sided = sum((a == NO_SCORE) != (b == NO_SCORE) for a, b in pairs)
    is_near = all(abs(a - b) <= SEGMENT_TOLERANCE for a, b in pairs if NO_SCORE not in (a, b))
    return is_near and one_sided <= MAX_ONE_SIDED_SEGMENTS


def _segments(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
