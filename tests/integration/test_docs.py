"""The pages about operation and the API: what they show was run, what they name exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from prelisten.cli import parser
from prelisten.config import load_config
from prelisten.errors import PrelistenError
from prelisten.meter import DECLARED
from tests.browser.conftest import PRELISTEN, start_server
from tests.recordings import speech_like, wav_bytes

DOCS = Path(__file__).resolve().parents[2] / "web" / "docs"
PAGES = [DOCS / name for name in ("api.md", "production.md", "settings.md")]


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language on a page."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="NOTHING HERE WAS TESTED: no curl on this machine")
def test_the_commands_of_the_api_page_do_what_they_say(tmp_path):
    """Make a key, send a recording, ask what became of it: as they stand on the page."""
    server = start_server(tmp_path / "data", workers="0", wait_s="0")
    (tmp_path / "voice.wav").write_bytes(wav_bytes(speech_like(seed=1)))
    send, ask, keys = blocks("api.md", "sh")
    environ = {
        "PATH": f"{PRELISTEN.parent}:/usr/bin:/bin",
        "SITE": server.url,
        "PRELISTEN_DATA": str(server.data),
    }

    def run(command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-euc", command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    environ["KEY"] = run(keys.splitlines()[0]).strip()
    sent = json.loads(run(send))
    environ["STATUS_URL"] = sent["status_url"]
    told = json.loads(run(ask))
    server.stop()
    shown = json.loads(blocks("api.md", "json")[0])
    assert set(sent) == set(shown)
    assert set(told) > set(shown)
    assert told["action"] == "voice-upload"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_on_the_pages_exist(path):
    """Each `prelisten ...` can be typed as it stands."""
    found = re.findall(r"(?:^|`|/bin/)(prelisten [a-z][^`\n|]*)", path.read_text(), re.MULTILINE)
    assert found
    for command in found:
        words = shlex.split(command.split("\n")[0])[1:]
        if words[-1] != "..." and "-0.1.0-" not in command:
            assert parser().parse_args(words).run, command


@pytest.mark.parametrize("path", [*PAGES, DOCS / "widget.md"], ids=lambda path: path.name)
def test_links_lead_to_pages(path):
    """Every relative link is a file."""
    for link in re.findall(r"\]\(((?!http|/)[^)#]+)\)", path.read_text()):
        assert (DOCS / link).exists(), link


def test_settings_of_the_production_page_can_be_used():
    """The file of settings that people copy is accepted as it stands."""
    lines = blocks("production.md", "ini")[0].splitlines()
    config = load_config(dict(line.split("=", 1) for line in lines))
    assert config.public_url == "https://voice.example/check"
    assert not config.demo


def test_metrics_of_the_production_page_exist(site):
    """An alert on a name that is never written would never ring."""
    text = (DOCS / "production.md").read_text()
    told = (
        site.client()
        .get(
            "/prelisten/v1/metrics",
            headers={"Host": "127.0.0.1"},
            environ_overrides={"SERVER_PROTOCOL": "HTTP/1.1"},
        )
        .text
    )
    for name in set(re.findall(r"\bprelisten_[a-z_]+\b", text)):
        assert f"\n{name}" in told or name.removeprefix("prelisten_") in DECLARED, name
    assert yaml.safe_load(blocks("production.md", "yaml")[0])["scrape_configs"][0]["metrics_path"].endswith(
        "/metrics"
    )


def test_codes_of_the_api_page_are_codes():
    """Each code in the table of refusals is one that the server gives."""
    known = {error.code for error in subclasses(PrelistenError)} | {"origin_not_allowed", "malformed"}
    table = (DOCS / "api.md").read_text().partition("| status | code |")[2].partition("\n\n")[0]
    named = {code for row in table.splitlines()[2:] for code in re.findall(r"`([a-z_]+)`", row.split("|")[2])}
    assert named
    assert named <= known, named - known


def subclasses(kind: type) -> set[type]:
    """Return every class below, and itself."""
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))
