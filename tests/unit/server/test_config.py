"""Settings: typed, from one place, and never silently wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from prelisten.config import load_config
from prelisten.errors import ConfigError


def test_environment_unset_means_production():
    """Nothing that is only for tests works by default."""
    assert load_config({}).env == "production"


def test_keyword_wins_over_the_environment():
    """What a program says stands over what surrounds it."""
    config = load_config({"PRELISTEN_WAIT_S": "3", "PRELISTEN_DATA": "/srv/x"}, wait_s=1)
    assert config.wait_s == 1
    assert config.data == Path("/srv/x")


@pytest.mark.parametrize(
    "environ",
    [
        {"PRELISTEN_MAX_UPLOAD_BYTE": "10"},
        {"PRELISTEN_WORKERS": "many"},
        {"PRELISTEN_ENV": "prod"},
        {"PRELISTEN_MAX_SECONDS": "nan"},
        {"PRELISTEN_WAIT_S": "-1"},
    ],
)
def test_unknown_or_unfit_setting_is_named(environ):
    """A typing error stops the start and names the setting."""
    with pytest.raises(ConfigError, match=next(iter(environ))):
        load_config(environ)


def test_other_variables_are_left_alone():
    """Only `PRELISTEN_*` is ours."""
    assert load_config({"HOME": "/root", "PRELISTENX": "1"}) == load_config({})


def test_settings_survive_the_way_to_a_child_process(tmp_path):
    """A worker reads the very settings that the server was started with."""
    config = load_config(
        {},
        data=tmp_path,
        origins=("https://a.example", "https://b.example"),
        workers=3,
        demo=False,
        wait_s=0.5,
    )
    assert load_config(config.to_environ()) == config


def test_data_folder_is_absolute_whatever_was_given():
    """Some of what reads it counts from another folder than the process; playback once failed by that."""
    config = load_config({"PRELISTEN_DATA": "relative/data"})
    assert config.data == Path.cwd() / "relative" / "data"
    assert load_config({}).data.is_absolute()


SECRET = "whsec_" + "QUFB" * 8


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"webhook_url": "https://example.org/hook"}, "prelisten outbox secret"),
        ({"webhook_url": "https://example.org/hook", "webhook_secret": "whsec_QUFB"}, "24 to 64 bytes"),
        ({"webhook_url": "https://example.org/hook", "webhook_secret": f"{SECRET} short"}, "24 to 64 bytes"),
        ({"webhook_url": "example.org/hook", "webhook_secret": SECRET}, "https://"),
        ({"webhook_url": "ftp://example.org/hook", "webhook_secret": SECRET}, "https://"),
        ({"webhook_url": "https://me:secret@example.org/", "webhook_secret": SECRET}, "without a name"),
        ({"webhook_url": "https:///hook", "webhook_secret": SECRET}, "https://"),
    ],
)
def test_webhook_that_could_not_be_trusted_is_refused(settings, named):
    """An unsigned event, a guessable secret or an odd address stops the start, and no secret is printed."""
    with pytest.raises(ConfigError, match=named) as refused:
        load_config({}, **settings)
    assert "QUFB" not in str(refused.value)


def test_webhook_secrets_may_be_two_during_a_change():
    """The old and the new one, with a space between."""
    settings = {"webhook_url": "https://example.org/hook", "webhook_secret": f"{SECRET} {SECRET}"}
    assert load_config({}, **settings).webhook_secret.split() == [SECRET, SECRET]
