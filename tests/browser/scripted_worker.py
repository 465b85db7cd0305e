"""A worker that says what a test tells it to: every state and every result of the element, without the runtime.

What it says follows `web/src/protocol.js`. That the real worker says such things is shown by the tests that use it.
"""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page

SCRIPT = """
const script = %s;
self.addEventListener("message", ({ data: { kind, job } }) => {
  if (kind === "hear") for (const hint of %s) self.postMessage({ kind: "heard", job, hint });
  if (kind !== "screen") return;
  for (const [at, message] of script.entries()) {
    const { peaks } = message.outcome ?? message.progress ?? {};
    if (peaks) peaks.values = new Uint8Array(peaks.values);
    setTimeout(() => self.postMessage(message.kind === "loading" ? message : { ...message, job }), at * %d);
  }
});
"""


def play(
    page: Page, *messages: dict[str, Any], pause_ms: int = 0, heard: tuple[dict[str, Any] | None, ...] = ()
) -> None:
    """Have the page's next worker answer each recording with these messages, `pause_ms` apart.

    `heard` are the rolling hints that it tells of a recording that is being made.
    """
    body = SCRIPT % (json.dumps(messages), json.dumps(heard), pause_ms)
    page.route("**/worker.js", lambda route: route.fulfill(body=body, content_type="text/javascript"))


def progress(phase: str, fraction: float, **more: Any) -> dict[str, Any]:
    """Say how far it is."""
    if phase == "loading":
        return {"kind": "loading", "loaded": fraction * 5e6, "total": 5e6}
    return {"kind": "progress", "progress": {"phase": phase, "fraction": fraction, **more}}


def outline(windows: list[tuple[float, float]], n_peaks: int = 256) -> dict[str, Any]:
    """Return an outline of these windows that goes up and down."""
    swings = [8 + (37 * k) % 110 for k in range(n_peaks)]
    values = [value for swing in swings for value in (128 - swing, 128 + swing)]
    return {"windows": windows, "values": values}


def failed(code: str) -> dict[str, Any]:
    """Say that it could not."""
    return {"kind": "failed", "code": code, "message": "as the script says"}


def finished(
    band: str,
    scores: list[float | None],
    *,
    windows: list[tuple[float, float]] | None = None,
    total_s: float | None = None,
    reasons: list[dict[str, Any]] | None = None,
    n_peaks: int = 256,
) -> dict[str, Any]:
    """Say what was heard: segments of four seconds with these scores, within `windows` (by default the whole)."""
    windows = windows or [(0.0, 4.0 * len(scores))]
    starts = [start + 4.0 * k for start, end in windows for k in range(round((end - start) / 4.0))]
    segments = [
        {"start_s": start, "end_s": start + 4.0, "spoof_score": score}
        for start, score in zip(starts, scores, strict=True)
    ]
    heard_s = sum(end - start for start, end in windows)
    known = [score for score in scores if score is not None]
    result = {
        "band": band,
        "spoof_score": max(known) if known else None,
        "segments": segments,
        "reasons": reasons or [],
        "coverage": {"analysed_s": heard_s, "total_s": total_s or windows[-1][1], "speech_s": 0.8 * heard_s},
        "detector": "scripted",
    }
    outcome = {
        "result": result,
        "claim": {},
        "sha256": "0" * 64,
        "decoder": "wav",
        "rate": 16_000,
        "detector": {"id": "scripted"},
        "times": {},
        "peaks": outline(windows, n_peaks),
    }
    return {"kind": "finished", "outcome": outcome}


def reason(code: str, *ranges: tuple[float, float], weight: float = 1.0) -> dict[str, Any]:
    """Return a reason about these places."""
    return {"code": code, "weight": weight, "ranges": ranges, "params": {}}
