"""One pass over a recording: the detector listens, the scored samples are kept, and both are what checks get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prelisten.checks.pcm import PcmFile
from prelisten.errors import MediaError
from prelisten.media.failures import FAILURES, media_error
from prelisten.media.listen import Recording
from prelisten.records import Finding, FindingState
from prelisten.storage.blobs import Blobs
from prelisten.storage.interface import Evidence
from wasm_detector import VERSION
from wasm_detector.errors import InvalidWaveformError
from wasm_detector.hint import Hint, Reason
from wasm_detector.model import Model
from wasm_detector.streaming import Stream
from wasm_detector.waveform import admit


@dataclass(frozen=True, slots=True)
class Heard:
    """What the server heard, or why it heard nothing.

    `hint` is `None` when nothing was heard; `state` and `notes` then say why. `notes` also say what was missing
    of a recording that was heard in part. `claim` is what a verified token claims, `None` without one.
    """

    state: FindingState
    hint: Hint | None = None
    forensic: Hint | None = None
    evidence: Evidence = field(default_factory=Evidence)
    exact: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Reason, ...] = ()
    claim: Mapping[str, Any] | None = None


def hear(
    recording: Recording,
    blobs: Blobs,
    *,
    max_seconds: float,
    forensic: Model,
    claim: Mapping[str, Any] | None = None,
) -> Heard:
    """Listen to the whole recording once, block by block, with the browser's detector and with `forensic`.

    Raises `MediaError` when not a single sample came, `StorageError` when the samples cannot be kept.
    """
    with blobs.new_file() as path:
        streams = [
            Stream(recording.sample_rate, total_s=recording.total_s, max_seconds=max_seconds, model=model)
            for model in (None, forensic)
        ]
        pieces: list[tuple[float, float]] = []
        with PcmFile(path, recording.sample_rate) as pcm:
            for start, samples in recording.blocks():
                for stream in streams:
                    stream.push(samples, start=start)
                pcm.write(admit(samples, recording.sample_rate).samples)
                _extend(pieces, start / recording.sample_rate, (start + samples.size) / recording.sample_rate)
        hint, stronger = (_finish(stream, recording) for stream in streams)
        pcm_sha256 = blobs.put_hashed(path)
    evidence = Evidence(
        pcm_sha256=pcm_sha256,
        hint=stronger.to_dict(),
        analysed_s=stronger.coverage.analysed_s,
        total_s=stronger.coverage.total_s,
        container=recording.container,
        pieces=tuple(pieces),
    )
    return Heard(_state(recording), hint, stronger, evidence, recording.exact, recording.notes, claim)


def hear_claimed(recording: Recording, *, max_seconds: float, claim: Mapping[str, Any]) -> Heard:
    """Listen as `hear` does, with the browser's detector alone, and keep nothing: enough for the check `claim`.

    Raises `MediaError` when not a single sample came.
    """
    stream = Stream(recording.sample_rate, total_s=recording.total_s, max_seconds=max_seconds)
    for start, samples in recording.blocks():
        stream.push(samples, start=start)
    hint = _finish(stream, recording)
    return Heard(_state(recording), hint, exact=recording.exact, notes=recording.notes, claim=claim)


def finding_of(check: str, hint: Hint | None, heard: Heard, **details: Any) -> Finding:
    """Return a detector's `hint` about what was `heard` as the finding of `check`; without one, why there is none."""
    if hint is None:
        return Finding(check, VERSION, heard.state, reasons=heard.notes)
    return Finding(
        check=check,
        version=hint.detector,
        state=heard.state,
        spoof_score=hint.spoof_score,
        reasons=(*hint.reasons, *heard.notes),
        details={
            "band": hint.band.value,
            "coverage": hint.coverage.to_dict(),
            "is_partial": bool(heard.notes),
            **details,
        },
    )


def not_heard(error: MediaError) -> Heard:
    """Return what checks get of a recording that could not be decoded at all."""
    return Heard(FindingState(error.state), notes=(Reason(error.code.upper()),))


def _extend(pieces: list[tuple[float, float]], start_s: float, end_s: float) -> None:
    """Add a stretch; what follows without a gap belongs to the piece before."""
    if pieces and abs(pieces[-1][1] - start_s) < 1e-9:
        pieces[-1] = (pieces[-1][0], end_s)
    else:
        pieces.append((start_s, end_s))


def _finish(stream: Stream, recording: Recording) -> Hint:
    # Now the real length is known; before, there was only the header's word.
    stream.total_s = recording.total_s
    try:
        return stream.finish()
    except InvalidWaveformError as error:
        raise media_error("no_samples") from error


def _state(recording: Recording) -> FindingState:
    """Return how listening ended; a limit that was met on the way is a limit, not a failure to hear anything."""
    if recording.cut_short is None:
        return FindingState.DONE
    of_code = FAILURES[recording.cut_short].state
    return FindingState.ERROR if of_code is FindingState.ERROR else FindingState.LIMIT
