"""Why a recording could not be heard, or only in part: stable codes, each with a state and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from prelisten.errors import MediaError
from prelisten.records import FindingState


@dataclass(frozen=True, slots=True)
class Failure:
    """The finding's state, and what to tell the sender: what is wrong, and what to do."""

    state: FindingState
    sentence: str


FORMATS = "WAV, FLAC, MP3, M4A, Ogg, Opus, WebM, MP4 or MOV"
_NOTHING, _LIMIT = FindingState.NOT_APPLICABLE, FindingState.LIMIT

FAILURES: dict[str, Failure] = {
    "empty": Failure(_NOTHING, "The file is empty. Choose another file."),
    "not_audio": Failure(_NOTHING, f"The file is not a recording that can be read here. Send {FORMATS}."),
    "no_samples": Failure(_NOTHING, "The recording holds no sound at all. Record or export it again."),
    "no_sound_track": Failure(_NOTHING, "The video has no sound track. Send one with sound, or a recording."),
    "codec_not_supported": Failure(
        _NOTHING, f"The sound is stored in a way that cannot be read here. Send {FORMATS}."
    ),
    "damaged": Failure(
        FindingState.ERROR, "The file is damaged or incomplete. Export it again, then send it."
    ),
    "rate_out_of_range": Failure(
        _LIMIT, "The file states a sample rate outside 4 to 192 kHz. Convert it to 16 to 48 kHz."
    ),
    "too_many_channels": Failure(_LIMIT, "The file states more than 16 channels. Mix it to mono or stereo."),
    "too_long": Failure(_LIMIT, "The recording would become too large when decoded. Send a shorter one."),
    "out_of_memory": Failure(_LIMIT, "The recording needs more memory to decode than allowed here."),
    "decode_timeout": Failure(FindingState.TIMEOUT, "Decoding took too long. Convert it to WAV or MP3."),
    "decoder_failed": Failure(
        FindingState.ERROR, "The decoder failed on this file. Export it again, then send it."
    ),
}


def media_error(code: str) -> MediaError:
    """Return the error of a code; an unknown one counts as a failed decoder."""
    known = code if code in FAILURES else "decoder_failed"
    return MediaError(FAILURES[known].sentence, code=known, state=FAILURES[known].state)
