"""Scanning: one line a file, whatever the file is."""

from __future__ import annotations

import argparse
import json

from prelisten.lab import scan
from prelisten.lab.hearing import model_of
from tests.recordings import FORMATS, speech_like
from wasm_detector.model import detector_id

VOICE = speech_like(3.0, seed=1)


def run(*arguments) -> int:
    parser = argparse.ArgumentParser()
    scan.add_arguments(parser)
    return scan.run(parser.parse_args([str(one) for one in arguments]))


def test_one_json_object_a_line_with_the_promised_fields(tmp_path, capsys):
    """The contract that scripts rely on."""
    (tmp_path / "a.mp3").write_bytes(FORMATS["mp3"](VOICE, 16_000))
    assert run(tmp_path / "a.mp3", "--json", "--tier", "client") == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    fields = {"path", "spoof_score", "band", "reasons", "coverage", "detector", "tier", "elapsed_s"}
    assert set(line) == fields
    assert (line["detector"], line["tier"]) == (detector_id(), "client")
    assert 0 < line["elapsed_s"] < 30


def test_the_servers_tier_is_the_default_and_another_detector(tmp_path, capsys):
    """Its id begins with `fd`; the field `tier` says which one spoke."""
    (tmp_path / "a.wav").write_bytes(FORMATS["wav"](VOICE, 16_000))
    assert run(tmp_path / "a.wav", "--json") == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["tier"] == "server"
    assert line["detector"] == model_of("server").detector
    assert line["detector"].startswith("fd-")


def test_an_unreadable_file_does_not_stop_the_others(tmp_path, capsys):
    """Exit status 2, a line with `error`, the rest done."""
    (tmp_path / "text.wav").write_text("this is text")
    (tmp_path / "voice.wav").write_bytes(FORMATS["wav"](VOICE, 16_000))
    assert run(tmp_path / "text.wav", tmp_path / "none.wav", tmp_path / "voice.wav", "--json") == 2
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["error"].endswith(".")
    assert second["code"]
    assert third["band"]


def test_without_json_a_person_reads_a_table(tmp_path, capsys):
    """Band, score and path in columns."""
    (tmp_path / "voice.flac").write_bytes(FORMATS["flac"](VOICE, 16_000))
    (tmp_path / "text.wav").write_text("this is text")
    assert run(tmp_path / "voice.flac", tmp_path / "text.wav") == 2
    voice, text = capsys.readouterr().out.splitlines()
    assert "voice.flac" in voice
    assert "3.0 s" in voice
    assert text.startswith("error")
