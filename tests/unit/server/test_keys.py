"""The key ring: made once, kept private, refused when it is unfit."""

from __future__ import annotations

import stat
import threading

import pytest

from prelisten.config import load_config
from prelisten.errors import ConfigError
from prelisten.keys import Key, Keys, ensure_keys, key_file, load_keys, write_keys


def test_first_start_makes_a_private_key_file(tmp_path):
    """The file is readable by its owner alone, and the next start reads the same keys."""
    config = load_config({}, data=tmp_path)
    first = ensure_keys(config)
    assert stat.S_IMODE(key_file(config).stat().st_mode) == 0o600
    assert ensure_keys(config) == first
    assert load_keys(config) == first


def test_starting_twice_at_once_makes_one_key(tmp_path):
    """Two processes that start together end up with the same ring."""
    config, found = load_config({}, data=tmp_path), []
    threads = [threading.Thread(target=lambda: found.append(ensure_keys(config))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_missing_keys_name_the_command_that_makes_them(tmp_path):
    """There is no default secret; the error says what to run."""
    with pytest.raises(ConfigError, match="prelisten keys new"):
        load_keys(load_config({}, data=tmp_path))


@pytest.mark.parametrize("env", ["test", "development"])
def test_keys_made_outside_production_are_refused_there(tmp_path, env):
    """Their ids begin with `test-`; production does not start with one, wherever in the ring it stands."""
    made = ensure_keys(load_config({}, data=tmp_path, env=env))
    assert made.signing.id.startswith("test-")
    for ring in (made, Keys((Key.generate(), *made.ring))):
        write_keys(tmp_path / "keys.json", ring, replace=True)
        assert load_keys(load_config({}, data=tmp_path, env=env)) == ring
        with pytest.raises(ConfigError, match="prelisten keys new"):
            load_keys(load_config({}, data=tmp_path))


@pytest.mark.parametrize(
    "text", ["", "{}", '{"keys": []}', '{"keys": [{"id": "a", "secret": "YWJj", "created_at": 1}]}']
)
def test_unfit_key_file_is_refused(tmp_path, text):
    """A damaged file, an empty ring or a short secret never becomes a key."""
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        load_keys(load_config({}, data=tmp_path))


def test_keys_come_from_a_setting_too():
    """`PRELISTEN_KEYS` carries the same text as the file."""
    ring = Keys((Key.generate(),))
    assert load_keys(load_config({"PRELISTEN_KEYS": ring.to_json()})) == ring


def test_repeated_key_id_is_refused():
    """Two keys of one id would make "which key?" a matter of order."""
    key = Key.generate()
    with pytest.raises(ConfigError, match="two keys of one id"):
        Keys.from_json(Keys((key, key)).to_json(), source="test")


def test_writing_does_not_replace_by_default(tmp_path):
    """A key file that is there stays as it is."""
    path = tmp_path / "keys.json"
    first = Keys((Key.generate(),))
    write_keys(path, first, replace=False)
    write_keys(path, Keys((Key.generate(),)), replace=False)
    assert Keys.from_json(path.read_text(), source="test") == first


def test_digests_outlive_a_rotation_and_differ_by_purpose():
    """A stored digest stays comparable, and one purpose tells nothing about another."""
    old = Keys((Key.generate(),))
    rotated = Keys((Key.generate(), *old.ring))
    assert old.digest("session", "x") == rotated.digest("session", "x")
    assert old.digest("session", "x") != old.digest("reviewer-form", "x")
