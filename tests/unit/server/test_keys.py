"""The key ring: made once, kept private, refused when it is unfit."""

from __future__ import annotations

import base64
import json
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from prelisten.cli import main
from prelisten.config import load_config
from prelisten.errors import ConfigError
from prelisten.hints.envelope import EnvelopeError, pack, unpack
from prelisten.keys import (
    Key,
    Keys,
    ensure_keys,
    key_file,
    load_keys,
    rotate_keys,
    watch_keys,
    write_keys,
)


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


def aged(*ages_days: int) -> Keys:
    """Return a ring whose keys were made so many days ago, newest first."""
    now = int(time.time())
    return Keys(tuple(replace(Key.generate(), created_at=now - days * 86_400) for days in ages_days))


def rotated_in(tmp_path: Path, keys: Keys, **options) -> Keys:
    write_keys(tmp_path / "keys.json", keys, replace=True)
    before, after = rotate_keys(load_config({}, data=tmp_path), **options)
    assert before == keys
    assert load_keys(load_config({}, data=tmp_path)) == after
    return after


def test_rotation_signs_anew_and_forgets_nothing(tmp_path):
    """The new key is first, every earlier one still verifies, and no digest changes."""
    old = aged(0, 40)
    new = rotated_in(tmp_path, old)
    assert new.ring[1:] == old.ring
    assert new.find(new.signing.id) is not None
    assert old.find(new.signing.id) is None
    assert new.digest("session", "x") == old.digest("session", "x")
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("days", "left"), [(None, 4), (41, 4), (40, 3), (10, 3), (3, 2), (0, 1)])
def test_keys_are_dropped_by_when_they_were_replaced(tmp_path, days, left):
    """A key made 90 days ago that signed until 40 days ago was replaced 40 days ago: that is what counts."""
    old = aged(3, 40, 90)
    new = rotated_in(tmp_path, old, drop_after_s=None if days is None else days * 86_400)
    assert len(new.ring) == left
    assert new.ring[1:] == old.ring[: left - 1]


def test_digests_outlive_the_key_that_they_began_with(tmp_path):
    """However often keys are rotated and dropped, what is stored under a digest is found again."""
    keys = first = aged(0)
    for _ in range(3):
        keys = rotated_in(tmp_path, keys, drop_after_s=0)
        assert len(keys.ring) == 1
        assert keys.find(first.signing.id) is None
        assert keys.digest("api-key", "x") == first.digest("api-key", "x")


def test_dropped_key_verifies_nothing(tmp_path):
    """Its secret lives on for digests alone: a text that it signed is unknown."""
    old = aged(0)
    text = pack({"a": 1}, salt="s", keys=old)
    kept = rotated_in(tmp_path, old)
    assert unpack(text, salt="s", keys=kept) == {"a": 1}
    with pytest.raises(EnvelopeError) as refused:
        unpack(text, salt="s", keys=rotated_in(tmp_path, kept, drop_after_s=0))
    assert refused.value.code == "unknown_key"


def test_rotations_at_once_keep_each_others_keys(tmp_path):
    """Eight at once make eight keys; none is lost."""
    config = load_config({}, data=tmp_path)
    ensure_keys(config)
    threads = [threading.Thread(target=rotate_keys, args=(config,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_keys(config).ring) == 9


def test_running_server_knows_a_new_key_at_once_and_signs_with_it_soon(tmp_path, monkeypatch):
    """What another process signed with a key of a moment ago is known; a look once a second finds the rest."""
    config = load_config({}, data=tmp_path)
    old = ensure_keys(config)
    watched = watch_keys(config)
    monkeypatch.setattr("prelisten.keys.LOOK_EVERY_S", 3600.0)
    _, new = rotate_keys(config, drop_after_s=0)
    assert watched.find(old.signing.id) is not None
    assert watched.find(new.signing.id) is not None
    assert watched.find(old.signing.id) is None
    _, newest = rotate_keys(config)
    assert watched.signing == new.signing
    monkeypatch.setattr("prelisten.keys.LOOK_EVERY_S", 0.0)
    assert (watched.signing, watched.ring, watched.digest_key) == (
        newest.signing,
        newest.ring,
        newest.digest_key,
    )
    assert watched.digest("session", "x") == old.digest("session", "x")


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_text("{"), lambda path: path.write_bytes(b"\xff")]
)
def test_running_server_survives_an_unfit_key_file(tmp_path, monkeypatch, spoil):
    """The keys stay as they were, and a good file counts again."""
    config = load_config({}, data=tmp_path)
    old = ensure_keys(config)
    watched = watch_keys(config)
    monkeypatch.setattr("prelisten.keys.LOOK_EVERY_S", 0.0)
    spoil(tmp_path / "keys.json")
    assert watched.ring == old.ring
    assert watched.find("ffffffff") is None
    write_keys(tmp_path / "keys.json", aged(0), replace=True)
    assert watched.ring != old.ring


def test_keys_of_a_setting_are_not_rotated(tmp_path):
    """No command can change a variable; the message says what to do, and shows no key."""
    keys = aged(0)
    config = load_config({}, data=tmp_path, keys=keys.to_json())
    assert watch_keys(config) == keys
    with pytest.raises(ConfigError, match="PRELISTEN_KEYS") as refused:
        rotate_keys(config)
    assert json.loads(keys.to_json())["keys"][0]["secret"] not in str(refused.value)


def test_no_text_of_a_key_ring_shows_a_secret():
    """Whatever is logged or printed by mistake."""
    keys = aged(0, 1)
    assert str(keys.signing.secret) not in f"{keys} {keys!r} {keys.signing!r}"


def test_rotate_and_list_say_what_each_key_is_for(tmp_path, capsys):
    """As an operator reads it: ids, uses and ages, and never a key."""
    write_keys(tmp_path / "keys.json", aged(40, 90), replace=True)
    old = load_keys(load_config({}, data=tmp_path))
    assert main(["keys", "rotate", "--data", str(tmp_path), "--drop-older-than", "30"]) == 0
    said = capsys.readouterr().out
    new = load_keys(load_config({}, data=tmp_path))
    assert f"{new.signing.id} signs from now on" in said
    assert f"Dropped: {old.ring[1].id}" in said
    assert main(["keys", "list", "--data", str(tmp_path)]) == 0
    first, second, third = listed = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{new.signing.id}  signs, verifies  made ")
    assert second.startswith(f"{old.ring[0].id}  verifies  made ")
    assert "(40 days ago), replaced" in second
    assert third.startswith(f"{old.ring[1].id}  digests  made ")
    secrets = [base64.b64encode(key.secret).decode() for key in (*new.ring, *old.ring)]
    assert not any(secret in line for secret in secrets for line in listed)


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "soon", "99999999"])
def test_unfit_age_is_refused_and_changes_nothing(tmp_path, capsys, days):
    """A typing error must not drop keys."""
    config = load_config({}, data=tmp_path)
    old = ensure_keys(config)
    with pytest.raises(SystemExit):
        main(["keys", "rotate", "--data", str(tmp_path), "--drop-older-than", days])
    assert load_keys(config) == old
