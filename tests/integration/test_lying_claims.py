"""Claims that lie, one field at a time, about real recordings: found out, or without any effect. Never a gain."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelisten.catalogue import catalogue
from prelisten.pipeline import Services, recompute_claim
from prelisten.policy.document import parse_policy
from prelisten.records import Action, Recomputed, TokenState
from tests.integration.test_pipeline import ORIGIN, honest, services_claim, token_for
from tests.recordings import FORMATS, RATE, speech_like, wav_bytes
from tests.services import make_services, screened

VOICE = np.concatenate([speech_like(4.0, seed=1), 0.0 * speech_like(4.0), speech_like(5.0, seed=2)])
WAV = wav_bytes(VOICE)  # Three segments, the middle one silent.
MP3 = FORMATS["mp3"](VOICE, RATE)
LONG = wav_bytes(np.concatenate([speech_like(12.0, seed=seed) for seed in range(5)]))  # A minute.
REVIEW_ALL = parse_policy("name: suspicious\ndefault: {thresholds: {review: 0.0}, inconclusive: review}")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    yield made
    made.storage.close()


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Services]:
    """A site that hears sixteen seconds of a recording at most."""
    made = make_services(tmp_path, max_seconds=16)
    yield made
    made.storage.close()


def seg(*scores: int) -> str:
    return base64.urlsafe_b64encode(bytes(scores)).decode().rstrip("=")


def scores_of(claim: dict[str, Any]) -> list[int]:
    return list(base64.urlsafe_b64decode(claim["near"]["seg"] + "=="))


def set_(*path: str, to: Any) -> Any:
    """Return what changes one field to a value, or to what a function makes of the old one."""

    def change(claim: dict[str, Any]) -> None:
        inner = claim
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = to(inner.get(path[-1])) if callable(to) else to

    return change


def raise_segment(claim: dict[str, Any]) -> None:
    scores = scores_of(claim)
    claim["near"]["seg"] = seg((scores[0] + 60) % 250, *scores[1:])


def hide_segments(claim: dict[str, Any]) -> None:
    claim["near"]["seg"] = seg(*(255 for _ in scores_of(claim)))


def drop_segment(claim: dict[str, Any]) -> None:
    claim["near"]["seg"] = seg(*scores_of(claim)[:-1])


def other_band(band: str) -> str:
    return "high" if band == "clear" else "clear"


LIES = {
    "size": (set_("file", "size", to=lambda size: size + 1), "exact"),
    "band": (set_("band", to=other_band), "band"),
    "no band": (set_("band", to="inconclusive"), "band"),
    "q": (set_("q", to=lambda q: (q + 300) % 1000), "q"),
    "no q": (set_("q", to=None), "q"),
    "reasons left out": (set_("reasons", to=[]), "reasons"),
    "reasons made up": (set_("reasons", to=lambda codes: [*codes, "CLIPPED"]), "reasons"),
    "reasons doubled": (set_("reasons", to=lambda codes: [*codes, *codes]), "reasons"),
    "covered less": (set_("cov", "analysed_ms", to=8_000), "coverage"),
    "covered a little less": (set_("cov", "analysed_ms", to=lambda ms: ms - 200), "coverage"),
    "covered nothing": (set_("cov", "analysed_ms", to=0), "coverage"),
    "covered more than there is": (set_("cov", "analysed_ms", to=lambda ms: ms + 1), "coverage"),
    "longer": (set_("cov", to={"analysed_ms": 14_000, "total_ms": 14_000}), "coverage"),
    "much longer": (set_("cov", to={"analysed_ms": 80_000_000, "total_ms": 86_400_000}), "coverage"),
    "no length": (set_("cov", "total_ms", to=None), "coverage"),
    "segment": (raise_segment, "segments"),
    "segments hidden": (hide_segments, "segments"),
    "segment left out": (drop_segment, "coverage"),
    "segments garbled": (set_("near", "seg", to="A"), "coverage"),
    "statistic": (set_("near", "stat", to=lambda stat: [stat[0] + 90, *stat[1:]]), "statistics"),
    "statistics left out": (set_("near", "stat", to=[]), "statistics"),
    "decoder": (set_("env", "decoder", to="something"), "environment"),
    "rate": (set_("env", "rate", to=8_000.0), "environment"),
    "format": (set_("exact", "format", to=lambda number: number + 1), "exact"),
    "stated rate": (set_("exact", "rate", to=44_100), "exact"),
    "stated channels": (set_("exact", "channels", to=2), "exact"),
    "stated length": (set_("exact", "duration_ms", to=lambda ms: ms + 1), "exact"),
    "exact made up": (set_("exact", "more", to=1), "exact"),
    "exact left out": (set_("exact", to={}), "exact"),
}
SUMS = {name: (set_("exact", name, to=lambda n: n + 1), "exact") for name in ("n_frames", "total", "energy")}
WITHOUT_EFFECT = {
    "type": set_("file", "type", to="text/html"),
    "times": set_("t", to={"load": 0, "analyse": 86_400_000}),
    "declared": set_("declared", to=True),
}


def env_of(content: bytes) -> dict[str, Any]:
    return {"env": {"decoder": "wav" if content[:4] == b"RIFF" else "page", "rate": float(RATE)}}


@pytest.fixture(scope="module")
def honest_claims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, dict[str, Any]]]:
    """What a browser would claim about each recording, with the services that can check it."""
    folder = tmp_path_factory.mktemp("claims")
    made = make_services(folder)
    files = {"wav": WAV, "mp3": MP3}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    yield made, {name: services_claim(made, content, **env_of(content)) for name, content in files.items()}
    made.storage.close()


def recomputed(honest_claims: tuple[Services, dict[str, Any]], kind: str, change: Any = None) -> Any:
    services, claims = honest_claims
    claim = copy.deepcopy(claims[kind])
    if change:
        change(claim)
    return recompute_claim(services.config.data / kind, claim, services)


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_truth_is_no_mismatch(honest_claims: tuple[Services, dict[str, Any]], kind: str) -> None:
    """Or the lies below would prove nothing."""
    expected = Recomputed.MATCH if kind == "wav" else Recomputed.WITHIN_TOLERANCE
    assert recomputed(honest_claims, kind) == (expected, ())


@pytest.mark.parametrize("kind", ["wav", "mp3"])
@pytest.mark.parametrize("lie", LIES)
def test_lie_in_any_field_is_found(
    honest_claims: tuple[Services, dict[str, Any]], kind: str, lie: str
) -> None:
    """Whoever decoded the recording: each field that says something about it is compared."""
    change, group = LIES[lie]
    word, differences = recomputed(honest_claims, kind, change)
    assert word is Recomputed.MISMATCH
    assert group in differences


def test_every_group_has_words_for_reviewers() -> None:
    """A case's page says in words what differs."""
    assert [group for _, group in LIES.values() if f"difference.{group}" not in catalogue()] == []


@pytest.mark.parametrize("lie", SUMS)
def test_lie_about_the_samples_of_a_wav_is_found(
    honest_claims: tuple[Services, dict[str, Any]], lie: str
) -> None:
    """Plain PCM is bound to the last bit."""
    change, group = SUMS[lie]
    assert recomputed(honest_claims, "wav", change) == (Recomputed.MISMATCH, (group,))


@pytest.mark.parametrize("field", WITHOUT_EFFECT)
def test_fields_that_nothing_uses_change_nothing(
    honest_claims: tuple[Services, dict[str, Any]], field: str
) -> None:
    """The type that the browser guesses, its clock, and a declaration that the form has a box of its own for."""
    assert recomputed(honest_claims, "wav", WITHOUT_EFFECT[field]) == (Recomputed.MATCH, ())


def test_no_claim_changes_the_decision_its_reasons_or_what_they_rest_on(services: Services) -> None:
    """Truth, lies in every group, odd times and none at all: one decision, by the server's own ears."""
    claim = honest(WAV, services.config.data)
    lied = copy.deepcopy(claim | {"t": {}})
    for change in (LIES["band"][0], LIES["q"][0], LIES["segment"][0], LIES["statistic"][0]):
        change(lied)
    names = ("band", "q", "near")
    sent = [
        None,
        token_for(services, WAV),
        token_for(services, WAV, **{name: lied[name] for name in names}),
        token_for(services, WAV, t={"analyse": 86_400_000}),
        token_for(services, WAV, t={"analyse": 0}, declared=True),
    ]
    seen = [screened(services, WAV, token=token, origin=ORIGIN) for token in sent]
    assert [submission.hint_check.recomputed.value for submission, _ in seen] == [
        "not_run",
        "match",
        "mismatch",
        "match",
        "match",
    ]
    assert len({(decision.action, decision.evidence_sha256) for _, decision in seen}) == 1
    assert all(decision.reasons == seen[0][1].reasons for _, decision in seen)


def test_mismatch_is_a_finding_and_raises_the_floor_to_hold_at_most(services: Services) -> None:
    """It is on record which groups differ; it orders machine work, and opens no case."""
    lie = token_for(services, WAV, q=999, band="high")
    submission, decision = screened(services, WAV, token=lie, origin=ORIGIN)
    with services.storage.read() as tx:
        finding = next(one for one in tx.findings(submission.id) if one.check == "claim")
        assert tx.case_for(submission.id) is None
    assert (submission.hint_check.floor, submission.hint_check.codes) == (Action.HOLD, ("HINT_MISMATCH",))
    assert [reason.code for reason in finding.reasons] == ["HINT_MISMATCH"]
    assert finding.reasons[0].params["differences"] == ", ".join(finding.details["differences"])
    assert {"q", "band"} <= set(finding.details["differences"])
    assert (finding.spoof_score, decision.action.strictness <= Action.LABEL.strictness) == (None, True)


def long_claim(services: Services, max_seconds: float) -> dict[str, Any]:
    return honest(LONG, services.config.data, max_seconds=max_seconds)


@pytest.mark.parametrize("max_seconds", [4.0, 8.0, 16.0, 40.0, 120.0])
def test_long_recording_is_compared_whatever_the_page_asked_for(short: Services, max_seconds: float) -> None:
    """Less, as much or more than the site hears itself: honest claims agree, and lies about a place do not."""
    claim = long_claim(short, max_seconds)
    submission, _ = screened(short, LONG, token=token_for(short, LONG, **claim), origin=ORIGIN)
    assert submission.hint_check.token is TokenState.OK
    assert submission.hint_check.recomputed in (Recomputed.MATCH, Recomputed.WITHIN_TOLERANCE)
    lie = copy.deepcopy(claim)
    lie["near"]["seg"] = seg(*((score + 100) % 250 for score in scores_of(claim)))
    submission, _ = screened(short, LONG, token=token_for(short, LONG, **lie), origin=ORIGIN)
    assert submission.hint_check.recomputed is Recomputed.MISMATCH


def test_understated_coverage_is_no_way_out(short: Services) -> None:
    """What is claimed of little is compared with that little; windows that nobody listens to are a mismatch."""
    claim = long_claim(short, 16.0)
    for analysed_ms in (4_000, 8_000, 9_500, 15_000):
        lie = claim | {"cov": claim["cov"] | {"analysed_ms": analysed_ms}}
        submission, _ = screened(short, LONG, token=token_for(short, LONG, **lie), origin=ORIGIN)
        assert submission.hint_check.recomputed is Recomputed.MISMATCH
    little = long_claim(short, 4.0)
    lie = little | {"q": 999 - (little["q"] or 0), "band": "high"}
    submission, _ = screened(short, LONG, token=token_for(short, LONG, **lie), origin=ORIGIN)
    assert submission.hint_check.recomputed is Recomputed.MISMATCH


def evidence(services: Services, content: bytes = LONG, **fields: Any) -> Any:
    submission, _ = screened(services, content, origin=ORIGIN, **fields)
    with services.storage.read() as tx:
        return tx.evidence(submission.id), submission


def test_windows_are_drawn_after_the_seal_and_never_twice_alike(tmp_path: Path) -> None:
    """Each sending is heard elsewhere; a token that is no good cannot bring the same windows back."""
    content = wav_bytes(
        np.zeros(600 * RATE, np.float32)
    )  # Nine pieces drawn of 146: no two sets alike by chance.
    services = make_services(tmp_path, max_seconds=40)
    stale, fresh = token_for(services, content, now=1_000), token_for(services, content)
    sent = ({}, {}, {"token": stale}, {"token": stale}, {"token": fresh})
    found = [evidence(services, content, **fields) for fields in sent]
    assert [submission.hint_check.token.value for _, submission in found] == [
        "absent",
        "absent",
        "expired",
        "expired",
        "ok",
    ]
    assert len({one.pieces for one, _ in found}) == 5
    for one, _ in found:
        assert 38.0 <= one.analysed_s <= 42.0
        assert (one.total_s, one.pieces[0][0]) == (600.0, 0.0)
    services.storage.close()


def test_case_shows_what_was_heard_there(short: Services) -> None:
    """The kept samples are those of the pieces, one after the other, as long as they say."""
    services = replace(short, policy=REVIEW_ALL)
    kept, submission = evidence(services)
    size = services.blobs.path(kept.pcm_sha256).stat().st_size
    seconds = sum(end - start for start, end in kept.pieces)
    assert size == pytest.approx(4 * RATE * seconds, abs=100)
    with services.storage.read() as tx:
        assert tx.case_for(submission.id) is not None
