"""Training: the same file from the same clips, and honest ways of measuring."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from prelisten.errors import ConfigError
from prelisten.lab import calibrate, train
from prelisten.lab.channel import lay_out_expert
from prelisten.lab.corpus import (
    DEGRADED,
    NARROW,
    NOISY,
    SENT,
    Clip,
    Corpus,
    copies,
    describe_corpus,
    in_front_of_others,
    load_clip,
    read_manifest,
)
from prelisten.lab.degrade import BACKGROUNDS, CONDITIONS, NOISES, in_front_of
from prelisten.lab.fit import fit
from prelisten.lab.folds import N_FOLDS, fold_numbers, platt, threshold_for
from prelisten.lab.folds import calibrate as calibrate_on
from prelisten.lab.layout import RECIPES, slices_of
from prelisten.lab.metrics import auc
from prelisten.lab.modelfile import pack
from prelisten.lab.nuisance import explained_by_nuisance
from prelisten.lab.regression import COPY_WEIGHT, source_weight, training_weight
from prelisten.lab.report import by_family, by_group, interval
from prelisten.lab.resynthesis import METHODS
from tests.recordings import speech_like
from tests.unit.lab.conftest import write_corpus
from wasm_detector.model import EXPERTS, FORMAT, parse_model, unpack
from wasm_detector.screening import screen


def run(module, *arguments) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(one) for one in arguments]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model trained on 12 clips of each label from 12 sources, with its card; and the manifest."""
    folder = tmp_path_factory.mktemp("train")
    manifest = write_corpus(folder / "clean", n=12)
    model, card = folder / "model.safetensors", folder / "card.md"
    assert run(train, manifest, "--out", model, "--card", card, "--pictures", folder) == 0
    return model, card, manifest


def test_training_makes_a_model_that_the_detector_runs(trained):
    """It tells sounds rebuilt from a spectrogram from those that were not, on the clips that it was made from."""
    model, _, manifest = trained
    parsed = parse_model(model.read_bytes())
    scores = {"bona_fide": [], "spoof": []}
    for clip in read_manifest(manifest):
        if clip.label in scores:
            scores[clip.label].append(
                screen(soundfile.read(clip.path, dtype="float32")[0], 16_000, model=parsed)
            )
    bona_fide, spoof = (
        np.mean([hint.spoof_score for hint in scores[label] if hint.spoof_score is not None])
        for label in ("bona_fide", "spoof")
    )
    assert spoof > bona_fide + 0.2


def test_training_again_gives_the_same_bytes(trained, tmp_path):
    """Seeds are fixed."""
    model, _, manifest = trained
    run(train, manifest, "--out", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()


def test_the_stored_model_gives_the_fitted_log_odds(trained):
    """What is written is what was fitted: rounding to 8 bits happens before the fit."""
    model, _, manifest = trained
    clips = read_manifest(manifest)
    everything = describe_corpus([*clips, *copies(clips)], RECIPES["client"].signals)
    stored, fitted = parse_model(model.read_bytes()), fit(everything, RECIPES["client"])
    raw = fitted.logits(everything.vectors)[:, 0]
    totals = np.full(len(raw), stored.bias)
    shares, instead = np.moveaxis(
        [[expert.hear(row) for expert in stored.experts] for row in everything.vectors], 2, 0
    )
    assert shares.max(axis=0).tolist() == [expert.most for expert in stored.experts]
    assert shares.min(axis=0).tolist() == [0.0, 0.0]
    left = (1.0 - shares).prod(axis=1)
    for part, where in zip(stored.parts, slices_of(RECIPES["client"]), strict=True):
        own = np.array([part.contribute(row)[0] for row in everything.vectors[:, where]])
        totals += own if part.name in stored.experts[0].unchanged else left * own
    totals += shares[:, 0] * instead[:, 0] * (1.0 - shares[:, 1]) + shares[:, 1] * instead[:, 1]
    sent = [stored.messenger.taken_off(stored.parts[-1].standardise(row)) for row in everything.vectors]
    assert max(sent) == stored.messenger.most
    assert min(sent) == 0.0
    totals -= sent
    slope, shift = np.polyfit(raw, totals, 1)
    np.testing.assert_allclose(totals, slope * raw + shift, atol=1e-4)


def test_a_signal_fitted_alone_is_weighed_by_its_own_numbers(manifest):
    """Whatever the other signals have: they neither drown it nor lend it anything, and noise does not shrink it."""
    recipe = RECIPES["client"]
    clips = read_manifest(manifest)
    everything = describe_corpus([*clips, *copies(clips)], recipe.signals)
    place = recipe.signals.index("spectral_images")
    where = slices_of(recipe)[place]
    is_spoof = everything.column("label") == "spoof"
    rng = np.random.default_rng(8)
    vectors = everything.vectors.copy()
    vectors[:, where] = (
        rng.gamma(1.0, size=(len(vectors), where.stop - where.start)) * (1.0 + is_spoof)[:, None]
    )
    other = np.where(np.arange(vectors.shape[1]) < where.start, 3.0 * is_spoof[:, None], 0.0) + vectors
    one, changed = (fit(replace(everything, vectors=numbers), recipe) for numbers in (vectors, other))
    first, second = (fitted.contributions(vectors)[:, place, 0] for fitted in (one, changed))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert first[is_spoof].mean() > first[~is_spoof].mean() + 0.05
    before, after = (
        fitted.contributions(numbers)[:, place - 1, 0]
        for fitted, numbers in ((one, vectors), (changed, other))
    )
    assert np.abs(before - after).max() > 0.01


def test_a_cover_is_estimated_and_its_expert_asked(trained):
    """Of clips that the fit has met as they are, or covered otherwise, it has no share, of those covered so much."""
    model, _, manifest = trained
    experts = parse_model(model.read_bytes()).experts
    clips = [clip for clip in read_manifest(manifest) if clip.label != "nonspeech"]
    shares = {}
    for name in ("", *NOISY, NARROW):
        corpus = describe_corpus([replace(clip, made=name) for clip in clips], RECIPES["client"].signals)
        shares[name] = np.array([[expert.hear(row)[0] for expert in experts] for row in corpus.vectors])
    assert shares[""].max() < 0.1
    assert min(shares[name][:, 0].min() for name in NOISY) > 0.3
    assert shares[NARROW][:, 1].min() > 0.3
    assert max(shares[name][:, 1].max() for name in NOISY) < 0.3


def test_a_messengers_codec_is_estimated(trained):
    """Nothing is taken off clips that the fit has met as they are or in noise, much off those that were sent."""
    model, _, manifest = trained
    stored = parse_model(model.read_bytes())
    clips = [clip for clip in read_manifest(manifest) if clip.label != "nonspeech"]
    taken = {}
    for name in ("", *NOISY, NARROW, SENT):
        corpus = describe_corpus([replace(clip, made=name) for clip in clips], RECIPES["client"].signals)
        taken[name] = [
            stored.messenger.taken_off(stored.parts[-1].standardise(row)) / stored.messenger.most
            for row in corpus.vectors
        ]
    assert max(max(taken[name]) for name in ("", *NOISY, NARROW)) < 0.1
    assert min(taken[SENT]) > 0.3


def test_directions_under_a_cover_look_past_it():
    """A number that noise covers is guessed from one that it leaves alone, so that copies lie near their originals."""
    rng = np.random.default_rng(5)
    voice = rng.normal(size=(4000, 1))
    originals = voice + 0.1 * rng.normal(size=(4000, 8))
    copies_ = originals + np.r_[np.zeros(4), 5.0 * np.ones(4)] * rng.normal(size=(4000, 8))
    recipe = replace(RECIPES["client"], n_directions_expert=1)
    direction = np.abs(lay_out_expert(originals, copies_, recipe, 0).directions[:, 0])
    assert direction[:4].min() > 3.0 * direction[4:].max()


def test_covers_and_messengers_move_no_source_to_another_fold(manifest):
    """Figures of before them stay comparable, and a copy lies in its recording's fold."""
    clips = read_manifest(manifest)
    made = [*clips, *copies(clips), *train._conditions(clips, 4)]
    folds = train._folds(made)
    later = {*NOISY, SENT, NARROW, *NOISES, *BACKGROUNDS}
    quiet = [k for k, clip in enumerate(made) if clip.made not in later]
    np.testing.assert_array_equal(folds[quiet], fold_numbers(np.array([made[k].source for k in quiet])))
    assert {(clip.source, fold) for clip, fold in zip(made, folds, strict=True)} == set(
        zip([clip.source for clip in clips], folds[: len(clips)], strict=True)
    )
    many = [replace(clips[0], source=f"source-{k % 17}") for k in range(100)]
    moved = {
        name
        for name in (*later, "MP3 64")
        if (train._folds([*many, *[replace(many[3], made=name)] * 500])[:100] != train._folds(many)).any()
    }
    assert moved == {"MP3 64"}


def test_copies_stay_with_their_source_and_never_count_as_recordings(manifest):
    """A degraded copy keeps its label, a rebuilt genuine one is spoof; conditions are not trained on."""
    clips = read_manifest(manifest)
    made = copies(clips)
    degraded = [clip for clip in made if clip.made == DEGRADED]
    rebuilt = [clip for clip in made if clip.made in METHODS]
    noisy = [clip for clip in made if clip.made in NOISY]
    assert len(noisy) == len(NOISY) * sum(clip.label != "nonspeech" for clip in clips)
    for name in (SENT, NARROW):
        ids = [clip.id for clip in made if clip.made == name]
        assert ids == [clip.id for clip in clips if clip.label != "nonspeech"]
    sent, narrow = (next(clip for clip in made if clip.made == name) for name in (SENT, NARROW))
    n_speech = sum(clip.label != "nonspeech" for clip in clips)
    assert len(made) == len(degraded) + len(rebuilt) + len(noisy) + 2 * n_speech
    assert {(clip.id, clip.label) for clip in noisy} < {(clip.id, clip.label) for clip in clips}
    assert [(clip.id, clip.label) for clip in degraded] == [(clip.id, clip.label) for clip in clips]
    assert {clip.label for clip in rebuilt} == {"spoof"}
    assert {clip.id for clip in rebuilt} == {clip.id for clip in clips if clip.label == "bona_fide"}
    assert all(clip.source for clip in made)
    condition = replace(clips[0], made="MP3 64")
    weight = training_weight(
        describe_corpus([*clips, made[0], rebuilt[0], condition, noisy[0], sent, narrow], ["modulation"])
    )
    assert weight[-4:].tolist() == [0.0] * 4
    assert weight[-6] == pytest.approx(COPY_WEIGHT[DEGRADED] * weight[0])


def test_phones_recordings_are_not_rebuilt(manifest):
    """What their codecs did to them looks much like a rebuilding."""
    wild = [replace(clip, split="wild") for clip in read_manifest(manifest)]
    assert {clip.made for clip in copies(wild)} == {DEGRADED, *NOISY, SENT, NARROW}


def test_backgrounds_are_clips_without_speech(manifest):
    """Behind each clip of speech one for each condition, in tables alone; where there are none, no copy has one."""
    clips = read_manifest(manifest)
    speech = [clip for clip in clips if clip.label != "nonspeech"]
    made = [clip for clip in train._conditions(clips, 1) if clip.made in BACKGROUNDS]
    assert len(made) == len(BACKGROUNDS) * len(speech)
    behind = {clip.background for clip in made}
    assert behind <= {clip.path for clip in clips if clip.label == "nonspeech"}
    assert len(behind) > 3
    assert not [clip for clip in copies(clips) if clip.background]
    assert in_front_of_others(speech) == []


@pytest.mark.parametrize("made", BACKGROUNDS)
def test_a_background_is_as_loud_as_its_name_says(made, manifest):
    """The copy less the voice is the other sound, so far below; the same each time. A silent one changes nothing."""
    clips = read_manifest(manifest)
    copy = next(clip for clip in in_front_of_others(clips) if clip.made == made)
    voice = load_clip(replace(copy, made="", background=None)).astype(np.float64)
    sound = load_clip(copy).astype(np.float64)
    np.testing.assert_array_equal(sound, load_clip(copy))
    inside = slice(160, -160)
    shared = float(sound[inside] @ voice[inside] / (voice[inside] @ voice[inside]))
    rest = sound[inside] - shared * voice[inside]
    below = 20.0 * np.log10(shared * voice[inside].std() / rest.std())
    assert below == pytest.approx(float(made.split()[-2]), abs=0.5)
    for silent in (np.zeros(100), np.zeros(0)):
        kept = in_front_of(voice, np.random.default_rng(0), silent, 10.0)
        np.testing.assert_array_equal(kept, voice)


@pytest.mark.parametrize("made", [*METHODS, *CONDITIONS, *NOISES, *NOISY, SENT, NARROW, DEGRADED])
def test_every_copy_is_a_sound_of_about_the_same_length(made, manifest):
    """Finite, not silent, at most a codec's delay longer; the same each time, and not the original."""
    clip = read_manifest(manifest)[0]
    original, copy = load_clip(clip), load_clip(replace(clip, made=made))
    assert np.isfinite(copy).all()
    assert 0.9 * original.size < copy.size < 1.1 * original.size + 4_000
    assert 0.69 < np.abs(copy).max() < 0.71
    assert np.array_equal(copy, load_clip(replace(clip, made=made)))
    n = min(copy.size, original.size)
    assert np.abs(copy[:n] - original[:n] * (0.7 / np.abs(original).max())).max() > 1e-3


def test_picture_of_eight_bits_keeps_the_sound_but_not_its_waves():
    """The rebuilt copy has about the loudness of each moment, and other samples."""
    voice = speech_like(2.0, seed=4).astype(np.float64)
    rebuilt = METHODS["rebuilt_from_picture"](voice, np.random.default_rng(1))
    loudness = [np.sqrt((one[:31_680].reshape(-1, 320) ** 2).mean(axis=1)) for one in (voice, rebuilt)]
    assert np.corrcoef(*loudness)[0, 1] > 0.95
    assert abs(np.corrcoef(voice, rebuilt)[0, 1]) < 0.9


def test_the_card_tells_data_figures_signals_and_weaknesses(trained):
    """Without a path of this machine."""
    _, card, manifest = trained
    text = card.read_text("utf-8")
    for name in RECIPES["client"].parts:
        assert f"`{name}`" in text
    for word in (
        "SPEECH/clean/manifest.csv",
        "Known weaknesses",
        "caught at 5 %",
        "no speech",
        "licence",
        "Brackets",
        "AUC of the family alone",
        "share of spoof",
        "do not say the speakers' sex",
        "| others | 12 | 12 |",
    ):
        assert word in text
    assert str(manifest.parent) not in text


def test_the_reliability_diagram_has_a_dot_for_each_row_of_the_card(trained):
    """Between the axes, higher where the share of spoof is higher."""
    model, card, _ = trained
    picture = ElementTree.parse(model.parent / "reliability-client.svg").getroot()
    name = "{http://www.w3.org/2000/svg}"
    frame = picture.find(f"{name}rect").attrib
    left, bottom, side = int(frame["x"]), int(frame["y"]) + int(frame["height"]), int(frame["width"])
    rows = re.findall(r"^\| \d\.\d to \d\.\d \| (\d+) \| (\S+) \| (\S+) \|$", card.read_text("utf-8"), re.M)
    dots = picture.findall(f"{name}circle")
    assert [dot.find(f"{name}title").text for dot in dots] == [n for n, _, _ in rows]
    for dot, (_, mean, share) in zip(dots, rows, strict=True):
        assert int(dot.attrib["cx"]) == pytest.approx(left + side * float(mean), abs=1)
        assert int(dot.attrib["cy"]) == pytest.approx(bottom - side * float(share), abs=1)


def labelled(**columns) -> Corpus:
    """Return a corpus of clips with these columns, without numbers."""
    names = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    usual = {"path": Path(), "split": "", "system": "", "family": "", "source": "", "pair": ""}
    clips = tuple(Clip(**(usual | {"id": str(k)} | row)) for k, row in enumerate(names))
    return Corpus(clips, np.zeros((len(clips), 1)), np.zeros((len(clips), 1)))


def test_families_are_told_with_intervals_over_sources():
    """What is always above has no doubt; what one source shows and another does not has much."""
    labels = ["bona_fide"] * 40 + ["spoof"] * 40
    families = [""] * 40 + ["easy"] * 20 + ["torn"] * 20
    corpus = labelled(label=labels, family=families, source=[f"s{k % 8}" for k in range(80)])
    scores = np.concatenate([np.full(40, 0.5), np.full(20, 0.9), np.arange(20) % 8 >= 4])
    torn, easy = by_family(corpus, scores)
    assert (easy.name, easy.n_clips, easy.auc, easy.low, easy.high) == (
        "easy",
        20,
        1.0,
        (1.0, 1.0),
        (1.0, 1.0),
    )
    assert torn.low[0] < torn.auc < torn.high[0]
    assert torn.high[0] - torn.low[0] > 0.2


def test_a_language_has_a_line_when_it_has_enough_clips():
    """Countries are left out, several languages are `mixed`, small ones go together, unknown ones nowhere."""
    languages = ["en"] * 60 + ["de"] * 10 + ["fr"] * 10 + [""] * 10
    labels = ["bona_fide", "spoof"] * 45
    corpus = labelled(label=labels, language=languages, source=[f"s{k % 7}" for k in range(90)])
    lines = by_group(corpus, np.array(labels) == "spoof", "language")
    assert [(line.name, line.n_bona_fide, line.n_spoof, line.auc) for line in lines] == [
        ("en", 30, 30, 1.0),
        ("others", 10, 10, 1.0),
    ]
    assert by_group(corpus, np.zeros(90), "sex") == []


@pytest.mark.parametrize(
    ("stated", "code"),
    [("en-US", "en"), ("German", "de"), ("zh+en", "mixed"), ("en/fr", "mixed"), ("yo", "yo"), ("", "")],
)
def test_manifests_name_languages_in_many_ways(stated, code, tmp_path):
    """One code for each."""
    (tmp_path / "manifest.csv").write_text(f"id,path,label,language,sex\na,a.wav,spoof,{stated},F\n")
    (clip,) = read_manifest(tmp_path / "manifest.csv")
    assert (clip.language, clip.sex) == (code, "f")


def test_what_the_nuisance_explains_is_found():
    """All of a score that is the loudness, none of one that is not."""
    rng = np.random.default_rng(5)
    numbers, folds = rng.normal(size=(400, 3)), np.arange(400) % 5
    owed = explained_by_nuisance(numbers, 2.0 * numbers[:, 0] + 1.0, folds)
    np.testing.assert_allclose(owed, 2.0 * numbers[:, 0] + 1.0, atol=1e-9)
    assert np.abs(explained_by_nuisance(numbers, rng.normal(size=400), folds)).max() < 0.6


def test_too_little_data_is_refused(manifest, tmp_path):
    """Six clips of each label make no detector."""
    with pytest.raises(ConfigError, match="at least 10"):
        run(train, manifest, "--out", tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


def test_no_source_is_in_two_folds():
    """A model is never measured on a channel that it has learnt."""
    sources = np.array([f"s{k % 37}" for k in range(500)])
    folds = fold_numbers(sources)
    assert set(folds) == set(range(N_FOLDS))
    assert all(len(set(folds[sources == name])) == 1 for name in set(sources))


def test_a_source_counts_by_the_square_root_of_its_clips(manifest):
    """And both domains alike; here there is one."""
    weight = source_weight(describe_corpus(read_manifest(manifest)[:4], ["modulation"]))
    assert weight.mean() == pytest.approx(1.0)
    assert weight[0] / weight[3] == pytest.approx(1 / np.sqrt(3))


def test_thresholds_count_each_domain_alike():
    """Ten clips of one kind weigh as much as two of the other."""
    scores = np.array([0.1] * 9 + [0.5] + [0.2, 0.9])
    domains = np.array(["clean"] * 10 + ["wild"] * 2)
    assert threshold_for(scores, domains, 0.2) == 0.9
    assert threshold_for(scores, domains, 0.28) == 0.5


def test_the_bands_start_between_what_the_ways_of_leaving_out_ask_for():
    """In log-odds; probabilities are those of the first way."""
    rng = np.random.default_rng(3)
    labels = np.repeat(["bona_fide", "spoof", "nonspeech"], 200)
    corpus = labelled(label=labels.tolist(), source=[f"s{k % 9}" for k in range(600)])
    logits = np.stack([rng.normal(np.repeat([-1.0, 1.0, 0.0], 200)), rng.normal(size=600)], axis=1)
    low, high = calibrate_on(corpus, logits), calibrate_on(corpus, logits + 1.0)
    both = calibrate_on(corpus, logits, logits + 1.0)
    assert (both.slope, both.shift) == (low.slope, low.shift)
    edges = [np.log(one / (1.0 - one)) for one in (low.high, both.high)]
    assert edges[1] - edges[0] == pytest.approx(0.5 * low.slope, abs=2e-3)
    assert high.high == pytest.approx(low.high, abs=1e-3)


def test_manifests_are_left_out_only_where_the_others_can_be_trained_on(manifest):
    """One manifest alone, or few clips in the others: there is no such figure, and no error."""
    clips = read_manifest(manifest)[:9]
    for made in (clips, [*clips, *(replace(clip, split="wild") for clip in clips)]):
        assert train._manifests_left_out(describe_corpus(made, ["modulation"]), RECIPES["client"]) is None


def test_platt_finds_the_slope_of_calibrated_odds():
    """Scores that are twice too sure are halved."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 20_000)
    is_spoof = rng.random(20_000) < 1 / (1 + np.exp(-true))
    slope, shift = platt(2 * true, is_spoof)
    assert slope == pytest.approx(0.5, abs=0.03)
    assert shift == pytest.approx(0.0, abs=0.1)


def test_intervals_hold_the_figure():
    """Drawn by sources, low before high."""
    rng = np.random.default_rng(1)
    is_spoof = rng.random(200) < 0.5
    scores = rng.normal(is_spoof, 1.0)
    low, high = interval(scores, is_spoof, np.arange(200).astype(str))
    assert low[0] < auc(scores[~is_spoof], scores[is_spoof]) < high[0]
    assert high[0] - low[0] < 0.2


def test_calibration_rescales_every_weight_alike(trained, tmp_path):
    """Reasons keep their proportions; on recordings with some labels wrong the scores become less sure."""
    model, _, manifest = trained
    mixed, out = manifest.parent / "mixed.csv", tmp_path / "calibrated.safetensors"
    swapped = {"bona_fide": "spoof", "spoof": "bona_fide"}
    rows = [row.split(",") for row in manifest.read_text().splitlines()]
    rows = [[*row[:2], swapped.get(row[2], row[2]), *row[3:]] if row[5] in "147" else row for row in rows]
    mixed.write_text("\n".join(map(",".join, rows)) + "\n")
    assert run(calibrate, mixed, "--model", model, "--out", out) == 0
    old, new = parse_model(model.read_bytes()), parse_model(out.read_bytes())
    slope = new.parts[0].offset[0] / old.parts[0].offset[0]
    assert 0 < slope < 1
    assert 0 < new.elevated <= new.high < 1
    for before, after in zip(old.parts, new.parts, strict=True):
        np.testing.assert_allclose(after.weights[0], slope * before.weights[0], rtol=1e-6)
        np.testing.assert_array_equal(after.weights[1], before.weights[1])
    noisy, shift = old.parts[-1].centre + 2.0 * old.parts[-1].scale, new.bias - slope * old.bias
    for place in range(len(EXPERTS)):
        whole = [model.bias + model.experts[place].part.contribute(noisy)[0] for model in (old, new)]
        assert whole[1] == pytest.approx(slope * whole[0] + shift, rel=1e-5)
    z = np.random.default_rng(3).normal(size=old.messenger.estimate.size)
    assert new.messenger.most == pytest.approx(slope * old.messenger.most)
    np.testing.assert_allclose(new.messenger.estimate @ z, slope * (old.messenger.estimate @ z), rtol=1e-4)
    assert new.messenger.offset == pytest.approx(slope * old.messenger.offset)


def test_a_calibrated_model_has_the_newest_layout(trained):
    """What reads the older layouts only would look for its experts where they no longer are."""
    model, _, _ = trained
    stored, arrays = unpack(model.read_bytes())
    noise, narrow = stored.pop("experts")
    kept = {name: array for name, array in arrays.items() if not name.startswith(f"{narrow['name']}.")}
    before = pack(stored | {"format": 7, "noise": noise}, kept)
    calibrated = calibrate.rescale(before, 0.5, 0.1, {})
    assert unpack(calibrated)[0]["format"] == FORMAT
    assert "noise" not in unpack(calibrated)[0]
    old, new = parse_model(before), parse_model(calibrated)
    assert [expert.part.name for expert in new.experts] == ["noise"]
    np.testing.assert_allclose(
        new.experts[0].part.weights[0], 0.5 * old.experts[0].part.weights[0], rtol=1e-6
    )


def test_labels_by_which_scores_fall_are_refused(trained, tmp_path):
    """Turned round, every reason would speak for the opposite."""
    model, _, manifest = trained
    text = manifest.read_text().replace("bona_fide,", "X,").replace(",spoof,", ",bona_fide,")
    wrong, out = manifest.parent / "wrong.csv", tmp_path / "wrong.safetensors"
    wrong.write_text(text.replace(",X,", ",spoof,"))
    with pytest.raises(ConfigError, match="Check the manifest's labels"):
        run(calibrate, wrong, "--model", model, "--out", out)
    assert not out.exists()
