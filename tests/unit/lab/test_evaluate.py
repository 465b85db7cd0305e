"""Measuring: every row counts, and what cannot be told ranks in the middle."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import pytest

from prelisten.errors import BadRequestError
from prelisten.lab import evaluate
from prelisten.lab.corpus import Clip, read_manifest
from prelisten.lab.evaluate import Scored, figures, filled_scores


def run(*arguments) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args([str(one) for one in arguments]))


def a_row(
    label: str, score: float | None, *, system: str = "", band: str = "clear", language: str = ""
) -> Scored:
    clip = Clip("x", Path("x"), label, "s", system, "", "x", "", language=language)
    return Scored(clip, score, band)


def test_every_row_of_the_manifest_is_written_in_its_order(manifest, tmp_path, capsys):
    """Unreadable files too, with an empty score."""
    rows = manifest.read_text().splitlines()
    broken = manifest.parent / "with-broken.csv"
    broken.write_text("\n".join([*rows, "gone,gone.wav,spoof,none,,,"]) + "\n")
    out = tmp_path / "scores.csv"
    assert run(broken, "--out", out, "--json") == 0
    with out.open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert list(written[0]) == ["id", "label", "system", "spoof_score", "band"]
    assert [row["id"] for row in written] == [row.split(",")[0] for row in rows[1:]] + ["gone"]
    assert (written[-1]["spoof_score"], written[-1]["band"]) == ("", "inconclusive")
    assert json.loads(capsys.readouterr().out)["unreadable"] == 1


def test_what_cannot_be_told_ranks_as_the_median_of_the_others():
    """Neither helped nor punished by saying nothing."""
    rows = [a_row("spoof", score) for score in (0.1, None, 0.9, 0.3, None)]
    assert list(filled_scores(rows)) == [0.1, 0.3, 0.9, 0.3, 0.3]
    assert list(filled_scores([a_row("spoof", None)])) == [0.5]


def test_figures_of_a_small_set():
    """Shares, false alarms and the table by system."""
    rows = [
        a_row("bona_fide", 0.1),
        a_row("bona_fide", 0.9, band="high"),
        a_row("spoof", 0.95, system="a", band="high"),
        a_row("spoof", None, system="b", band="inconclusive"),
        a_row("nonspeech", None, band="inconclusive"),
        a_row("nonspeech", 0.99, band="high"),
    ]
    found = figures(rows)
    assert found["n"] == {"bona_fide": 2, "spoof": 2, "nonspeech": 2}
    assert found["auc"] == pytest.approx((2 + 1.5) / 4)
    assert (found["inconclusive"], found["bona_fide_high"], found["nonspeech_high"]) == (0.25, 0.5, 0.5)
    assert [(row["system"], row["n"]) for row in found["systems"]] == [("b", 1), ("a", 1)]


def test_languages_are_told_where_both_classes_speak_them():
    """Each beside its own; how often its people are called synthetic; the largest first."""
    rows = [
        a_row("bona_fide", 0.9, band="high"),
        a_row("bona_fide", 0.1, language="en"),
        a_row("bona_fide", 0.8, language="en"),
        a_row("spoof", 0.5, language="en"),
        *(a_row(label, 0.3, language="de", band="high") for label in ("bona_fide", "spoof")),
        a_row("spoof", 0.9, language="fr"),
    ]
    found = figures(rows)["languages"]
    assert [(row["name"], row["bona_fide"], row["spoof"], row["auc"]) for row in found] == [
        ("en", 2, 1, 0.5),
        ("de", 1, 1, 0.5),
    ]
    assert [row["bona_fide_high"] for row in found] == [0.0, 1.0]


def test_one_class_alone_gives_no_ranking_figures():
    """Nothing is divided by nothing, and nothing is made up."""
    found = figures([a_row("spoof", 0.7)])
    assert (found["auc"], found["eer"], found["cllr"], found["nonspeech_high"]) == (None, None, None, None)


def test_the_readable_report_names_every_figure(manifest, capsys):
    """Without --json a person reads it."""
    assert run(manifest, "--tier", "client") == 0
    said = capsys.readouterr().out
    for word in (
        "AUC",
        "EER",
        "caught at 1 %",
        "caught at 5 %",
        "Cllr",
        "could not tell",
        "non-speech",
        "griffin-lim",
    ):
        assert word in said


@pytest.mark.parametrize("text", ["", "id,label\nx,spoof\n", "id,path,label\nx,x.wav,genuine\n"])
def test_a_manifest_that_cannot_be_used_says_why(text, tmp_path):
    """Empty, a column missing, an unknown label."""
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(BadRequestError, match=r"path|known"):
        read_manifest(tmp_path / "m.csv")
