"""`prelisten doctor`: every remark can be brought about, says what to do, and goes away when that is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prelisten import doctor
from prelisten.config import load_config
from prelisten.doctor import Level, examine
from prelisten.keys import key_file
from tests.integration.conftest import make_site, screening
from tests.integration.test_api_keys import post

PRELISTEN = Path(sys.executable).parent / "prelisten"
PROPER = {
    "demo": False,
    "public_url": "https://voice.example",
    "trusted_proxies": "127.0.0.1",
    "metrics_token": "t" * 16,
}


def remarks(config) -> dict[str, list[str]]:
    """Return what was found, by level."""
    found: dict[str, list[str]] = {level: [] for level in Level}
    for remark in examine(config):
        found[remark.level].append(f"{remark.about}: {remark.found} {remark.advice}")
    return found


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """A site as the production page has it, screening."""
    with screening(make_site(tmp_path_factory.mktemp("site") / "data", **PROPER)) as made:
        post(made, None)
        yield made


def test_a_site_in_order_is_told_so(healthy):
    """Nothing unsafe, and every part was looked at."""
    found = remarks(healthy.config)
    assert found[Level.UNSAFE] == []
    abouts = {line.partition(":")[0] for line in found[Level.OK]}
    assert {
        "data folder",
        "keys",
        "disk",
        "database",
        "screening",
        "policy",
        "widget",
        "decoding",
        "proxy",
    } <= abouts


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"public_url": "http://voice.example"}, "not HTTPS"),
        ({"trusted_proxies": ""}, "no proxy is trusted"),
        ({"trusted_proxies": "0.0.0.0/0"}, "part of the Internet"),
        ({"env": "test"}, "API keys for tests work there"),
        ({"min_free_bytes": 10**15}, "Uploads are refused"),
    ],
)
def test_what_is_unsafe_is_said(healthy, changed, said):
    """Each of these is one setting away from a site in order."""
    config = healthy.config.model_copy(update=changed)
    found = remarks(config)[Level.UNSAFE]
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"demo": True}, "PRELISTEN_DEMO=false"),
        ({"public_url": "", "trusted_proxies": ""}, "PRELISTEN_PUBLIC_URL"),
        ({"workers": 60}, "screening processes may take"),
    ],
)
def test_what_should_be_better_is_said(healthy, changed, said):
    """It works, and production deserves more."""
    found = remarks(healthy.config.model_copy(update=changed))
    assert any(said in line for line in found[Level.BETTER]), found


def test_outside_production_less_is_expected(healthy):
    """A developer's machine is no fault."""
    config = healthy.config.model_copy(
        update={"env": "development", "public_url": "", "trusted_proxies": "", "demo": True}
    )
    found = remarks(config)
    assert found[Level.UNSAFE] == []
    assert not any("demo" in line for line in found[Level.BETTER])


def test_open_folder_and_open_key_file_are_unsafe(tmp_path):
    """Whoever has an account on the machine could listen, or seal hints."""
    site = make_site(tmp_path / "data", **PROPER)
    site.config.data.chmod(0o755)
    key_file(site.config).chmod(0o644)
    found = remarks(site.config)[Level.UNSAFE]
    assert any("chmod 700" in line for line in found)
    assert any("chmod 600" in line for line in found)
    site.close()


def test_recordings_that_nobody_screens_are_unsafe(tmp_path):
    """No process lives and something waits: that is broken; nothing waits: that is worth a note."""
    site = make_site(tmp_path / "data", wait_s=0, **PROPER)
    assert any("No screening process lives" in line for line in remarks(site.config)[Level.NOTE])
    post(site, None)
    assert any("1 recordings wait" in line for line in remarks(site.config)[Level.UNSAFE])
    site.close()


def test_a_clock_that_went_back_is_found(healthy, monkeypatch):
    """What was received lies in the future: hints would expire wrongly."""

    class Earlier(doctor.datetime):
        @classmethod
        def now(cls, tz=None):
            return doctor.datetime(2026, 1, 2, tzinfo=tz)

    monkeypatch.setattr(doctor, "datetime", Earlier)
    assert any("clock" in line for line in remarks(healthy.config)[Level.UNSAFE])


def test_weaker_sandbox_is_named(healthy, monkeypatch):
    """What this machine does not allow is said in words, one by one."""
    monkeypatch.setattr(doctor, "abilities", lambda: dict.fromkeys(doctor.ABILITIES, False))
    found = remarks(healthy.config)[Level.BETTER]
    assert sum("sandbox" in line for line in found) == len(doctor.ABILITIES)


def test_one_failure_hides_no_other(tmp_path):
    """A broken policy, no folder and no keys: all of it in one go."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("nonsense: [")
    found = remarks(load_config({}, data=tmp_path / "none", policy=policy))[Level.UNSAFE]
    assert {line.partition(":")[0] for line in found} >= {"data folder", "signing keys", "database", "policy"}


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [PRELISTEN, *map(str, arguments)],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_exit_status_tells_how_bad_it_is(tmp_path, healthy):
    """For scripts: 2 for a site that does not work, and JSON for what reads it."""
    done = run("doctor", "--json", "--data", tmp_path / "none")
    assert done.returncode == 2
    assert {json.loads(line)["level"] for line in done.stdout.splitlines()} >= {"unsafe"}
    quiet = run("doctor", "--quiet", "--data", healthy.config.data)
    assert quiet.returncode in (0, 1)
    assert "     ok" not in quiet.stdout


def test_settings_are_printed_without_a_site(tmp_path):
    """The command needs no folder, and marks what was set."""
    done = run("settings", PRELISTEN_WAIT_S="3", PRELISTEN_DATA=str(tmp_path / "none"))
    assert "* PRELISTEN_WAIT_S=3.0" in done.stdout
    assert "  PRELISTEN_WORKERS=1" in done.stdout
    assert not (tmp_path / "none").exists()


def test_redis_that_forgets_or_is_down_is_said(tmp_path, redis_server):
    """A store that is there and keeps its records is in order; a full one that throws some away is not."""
    import redis

    config = load_config({}, data=tmp_path, redis_url=redis_server.url)
    of_redis = lambda: next(remark for remark in examine(config) if remark.about == "spent hints")  # noqa: E731
    assert of_redis().level is Level.OK
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 10**8)
    assert (of_redis().level, of_redis().advice) == (Level.BETTER, "`maxmemory-policy noeviction`.")
    redis_server.stop()
    assert of_redis().level is Level.UNSAFE
