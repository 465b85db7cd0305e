"""A flood of forged "high" hints: machines have work, and no person has."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from prelisten.hints import issue_challenge, seal
from prelisten.records import Action, Recomputed, TokenState
from tests.integration.test_pipeline import DETECTOR, ORIGIN, honest
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, screened

N_FORGED = 1_000 if os.environ.get("TEST_SIZE") == "full" else 25
CONTENT = wav_bytes(speech_like(seed=3))


def test_forged_high_hints_open_no_case(tmp_path: Path) -> None:
    """Each is sealed, about the right file, and lies; each recording is decided as one that comes without a hint."""
    services = make_services(tmp_path)
    _, without = screened(services, CONTENT)
    now = int(time.time())
    forged = honest(CONTENT, tmp_path) | {
        "v": 1,
        "file": {"size": len(CONTENT), "type": "audio/wav", "sha256": hashlib.sha256(CONTENT).hexdigest()},
        "det": {"id": DETECTOR[0], "sha256": DETECTOR[1]},
        "band": "high",
        "q": 1000,
        "reasons": ["MODEL_PATTERN"],
        "env": {"decoder": "wav", "rate": 16000.0},
        "t": {},
    }
    for _ in range(N_FORGED):
        text, challenge = issue_challenge(
            action="voice-upload",
            origin=ORIGIN,
            session=None,
            detectors=services.detectors,
            keys=services.keys,
            now=now,
            ttl_s=900,
        )
        claim = forged | {"cid": challenge.cid}
        token, _ = seal(text, claim, origin=ORIGIN, keys=services.keys, now=now, ttl_s=3600)
        submission, decision = screened(services, CONTENT, token=token, origin=ORIGIN)
        assert submission.hint_check.token is TokenState.OK
        assert submission.hint_check.recomputed is Recomputed.MISMATCH
        assert submission.hint_check.floor is Action.HOLD
        assert (decision.action, decision.reasons) == (without.action, without.reasons)
    with services.storage.read() as tx:
        assert tx.count_cases(is_open=True) == tx.count_cases(is_open=False) == 0
    services.storage.close()
