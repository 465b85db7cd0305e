"""The settings' reference: made from the settings themselves, complete, and never showing a secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prelisten.config import SECRET_SETTINGS, Config, load_config
from prelisten.errors import ConfigError
from prelisten.settings import GROUPS, OTHER, grouped, reference, values_in_force

PAGE = Path(__file__).resolve().parents[3] / "web" / "docs" / "settings.md"


def test_page_is_what_the_code_says():
    """`prelisten settings --markdown > web/docs/settings.md` makes it anew."""
    assert PAGE.read_text() == reference()


def test_every_setting_stands_in_one_group():
    """Nothing is lost, nothing stands twice, and nothing needs the group for what has none."""
    names = [name for _, group in grouped() for name in group]
    assert sorted(names) == sorted(Config.model_fields)
    assert OTHER not in dict(grouped())
    assert [title for title, _ in grouped()] == [title for title, _ in GROUPS]


def test_every_setting_is_described():
    """A sentence for each: a name alone explains nothing."""
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize("folder", ["web/docs", "."])
def test_settings_named_in_the_documentation_exist(folder):
    """No page names a setting that the program would refuse."""
    root = Path(__file__).resolve().parents[3]
    for path in (root / folder).glob("*.md"):
        for name in re.findall(r"PRELISTEN_([A-Z][A-Z_]+)\b", path.read_text()):
            assert name.lower() in Config.model_fields, f"{path.name}: PRELISTEN_{name}"


def test_secrets_are_never_shown():
    """The list of what is in force can be pasted into a question to somebody else."""
    config = load_config({}, metrics_token="t" * 20)
    shown = {name: value for name, value, _ in values_in_force(config, {})}
    assert shown["metrics_token"] == "(set)"
    assert {"keys", "metrics_token", "redis_url", "webhook_secret"} == SECRET_SETTINGS
    with pytest.raises(ConfigError) as refused:
        load_config({"PRELISTEN_METRICS_TOKEN": "too-short-one"})
    assert "too-short-one" not in str(refused.value)


def test_what_is_set_is_marked():
    """Also when it was set to the default."""
    marked = {
        name
        for name, _, is_set in values_in_force(load_config({}, wait_s=3), {"PRELISTEN_DEMO": "true"})
        if is_set
    }
    assert marked == {"wait_s", "demo"}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("PRELISTEN_WORKER", "PRELISTEN_WORKERS"),
        ("PRELISTEN_MAX_UPLOAD", "PRELISTEN_MAX_UPLOAD_BYTES"),
        ("PRELISTEN_METRIC_TOKEN", "PRELISTEN_METRICS_TOKEN"),
    ],
)
def test_near_names_are_suggested(wrong, meant):
    """A typing error is answered with what was probably meant."""
    with pytest.raises(ConfigError, match=f"{wrong} is no setting. Did you mean .*{meant}"):
        load_config({wrong: "x"})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PRELISTEN_TRUSTED_PROXIES": "proxy.example"}, "127.0.0.1, 10.0.0.0/8"),
        ({"PRELISTEN_PUBLIC_URL": "voice.example"}, "https://voice.example"),
        ({"PRELISTEN_UPLOAD_RATE_LIMIT": "many"}, "60/minute"),
        ({"PRELISTEN_MAX_RECEIVING": "90"}, "web_threads is 96"),
        ({"PRELISTEN_METRICS_TOKEN": "short"}, "16 random"),
    ],
)
def test_an_unfit_value_is_answered_with_a_fit_one(environ, said):
    """What was wrong, and what would be right."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(environ)


@pytest.mark.parametrize(
    ("url", "prefix", "hosts"),
    [
        ("", "", None),
        ("https://voice.example", "", ["voice.example", "localhost", "127.0.0.1", "[::1]"]),
        ("https://voice.example/check/", "/check", ["voice.example", "localhost", "127.0.0.1", "[::1]"]),
    ],
)
def test_address_names_the_path_and_the_host(url, prefix, hosts):
    """One setting says where the site is; nothing else has to be kept in step with it."""
    config = load_config({"PRELISTEN_PUBLIC_URL": url})
    assert (config.path_prefix, config.known_hosts) == (prefix, hosts)
