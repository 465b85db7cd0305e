"""One pass over a recording: the detector listens, the scored samples are kept, and both are what checks get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prelisten.checks.claimed import Claimed
from prelisten.checks.compare import Own
from prelisten.checks.pcm import PcmFile
from prelisten.errors import MediaError
from prelisten.media.failures import FAILURES, media_error
from prelisten.media.listen import Recording
from prelisten.media.plan import Plan, in_frames, inside, joined
from prelisten.records import Finding, FindingState
from prelisten.storage.blobs import Blobs
from prelisten.storage.interface import Evidence
from wasm_detector import VERSION
from wasm_detector.errors import InvalidWaveformError
from wasm_detector.extensions import Observer
from wasm_detector.hint import Hint, Reason
from wasm_detector.model import Model
from wasm_detector.streaming import Stream
from wasm_detector.waveform import admit

# Where a decoder stumbled, another one may have stumbled elsewhere.
DOUBTS = frozenset({"TRUNCATED", "LENGTH_MISSTATED", "DAMAGED"})


@dataclass(frozen=True, slots=True)
class Heard:
    """What the server heard, or why it heard nothing.

    `hint` and `forensic` are the detectors' words about the windows that the server chose, `None` when nothing was
    heard; `state` and `notes` then say why. `notes` also say what was missing of a recording that was heard in part.
    `observed` is what the operator's own signals say, `tried` the word of a model that no check asks yet.
    `claimed` is what a verified token claims, `None` without one, and `own` what it is compared with.
    """

    state: FindingState
    hint: Hint | None = None
    forensic: Hint | None = None
    evidence: Evidence = field(default_factory=Evidence)
    notes: tuple[Reason, ...] = ()
    claimed: Claimed | None = None
    own: Own | None = None
    observed: tuple[Reason, ...] = ()
    tried: Hint | None = None


def plan_of(claimed: Claimed | None, *, max_seconds: float, seed: str | None, **more: bool) -> Plan:
    """Return what has to be listened to: the server's own windows, and what the claim is about besides."""
    return Plan(max_seconds, seed, joined(claimed.segments if claimed else ()), **more)


def hear(
    recording: Recording,
    blobs: Blobs,
    *,
    forensic: Model,
    model: Model | None = None,
    tried: Model | None = None,
    claimed: Claimed | None = None,
    observer: Observer | None = None,
) -> Heard:
    """Listen to the recording once, block by block: the browser's detector (`model`), `forensic`, and one on trial.

    What the detectors hear, and so the score, is the plan's own; a claim only makes the browser's detector listen to
    further places, for the check `claim` alone. A fault of the file that shows there is told too, which can make a
    decision stricter, never laxer. Raises `MediaError` when not a single sample came, `StorageError`
    when the samples cannot be kept.
    """
    with blobs.new_file() as path:
        own = in_frames(recording.plan.own(recording.facts.total_s), recording.sample_rate)
        stream = Stream(
            recording.sample_rate,
            windows=own,
            model=model,
            companions=(forensic, tried) if tried else (forensic,),
            observe=observer.hear if observer else None,
        )
        again = _again(recording, claimed, model)
        pieces: list[tuple[float, float]] = []
        with PcmFile(path, recording.sample_rate) as pcm:
            for start, samples in recording.blocks():
                stream.push(samples, start=start)
                if again:
                    again.push(samples, start=start)
                for first, last in inside(start, start + samples.size, own):
                    kept = admit(samples[first - start : last - start], recording.sample_rate).samples
                    pcm.write(kept)
                    _extend(pieces, first / recording.sample_rate, last / recording.sample_rate)
        hint, stronger, *beside = _finish(stream, recording)
        pcm_sha256 = blobs.put_hashed(path)
    evidence = Evidence(
        pcm_sha256=pcm_sha256,
        hint=stronger.to_dict(),
        analysed_s=stronger.coverage.analysed_s,
        total_s=stronger.coverage.total_s,
        container=recording.container,
        pieces=tuple(pieces),
    )
    compared = _own(recording, claimed, hint if again is None else _finish(again, recording)[0])
    return Heard(
        _state(recording),
        hint,
        stronger,
        evidence,
        recording.notes,
        claimed,
        compared,
        observer.reasons() if observer else (),
        *beside,
    )


def hear_claimed(recording: Recording, claimed: Claimed, model: Model | None = None) -> Heard:
    """Listen with the browser's detector to what a claim is about and keep nothing: enough for the check `claim`.

    Raises `MediaError` when not a single sample came.
    """
    stream = _again(recording, claimed, model) or Stream(
        recording.sample_rate,
        windows=in_frames(recording.plan.own(recording.facts.total_s), recording.sample_rate),
        model=model,
    )
    for start, samples in recording.blocks():
        stream.push(samples, start=start)
    own = _own(recording, claimed, _finish(stream, recording)[0])
    return Heard(_state(recording), notes=recording.notes, claimed=claimed, own=own)


def _again(recording: Recording, claimed: Claimed | None, model: Model | None) -> Stream | None:
    """Return what hears the claim's segments again, each cut as in the browser; `None` where there is no need."""
    if claimed is None or not claimed.segments:
        return None
    windows = in_frames(claimed.segments, recording.sample_rate)
    return Stream(recording.sample_rate, windows=windows, model=model)


def _own(recording: Recording, claimed: Claimed | None, hint: Hint) -> Own | None:
    """Return what the claim is compared with."""
    if claimed is None:
        return None
    facts = recording.facts
    # A container may state its rate behind what is looked at: then it states none to the browser's detector either.
    stated_hz = facts.exact.get("rate", recording.sample_rate)
    is_damaged = any(note.code in DOUBTS for note in recording.notes) and facts.read_by != "wav"
    return Own(
        hint=hint,
        exact=recording.exact,
        size_bytes=recording.size_bytes,
        reader=facts.read_by,
        rate_hz=stated_hz,
        total_s=recording.found_s,
        is_end_heard=recording.is_end_found,
        picked=claimed.picked,
        is_doubtful=is_damaged or stated_hz != recording.sample_rate,
        is_rate_stated="rate" in facts.exact,
    )


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


def _finish(stream: Stream, recording: Recording) -> tuple[Hint, ...]:
    # Now the real length is known; before, there was only the header's word.
    stream.total_s = recording.total_s
    try:
        return stream.finish_each()
    except InvalidWaveformError as error:
        raise media_error("no_samples") from error


def _state(recording: Recording) -> FindingState:
    """Return how listening ended; a limit that was met on the way is a limit, not a failure to hear anything."""
    if recording.cut_short is None:
        return FindingState.DONE
    of_code = FAILURES[recording.cut_short].state
    return FindingState.ERROR if of_code is FindingState.ERROR else FindingState.LIMIT
