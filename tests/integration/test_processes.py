"""The processes behind `prelisten serve`: they end together, and say in a sentence what they cannot use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRELISTEN = Path(sys.executable).parent / "prelisten"


def prelisten(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [str(part) for part in (PRELISTEN, *arguments)]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=60)


def test_worker_whose_starter_is_gone_ends_at_once(tmp_path):
    """Also when the starter was gone before the worker had read its first line."""
    prelisten("keys", "new", "--data", tmp_path)
    assert prelisten("worker", "--data", tmp_path, SUPERVISOR_PID="1").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--data", __file__),
        ("keys", "new", "--data", f"{__file__}/x"),
        ("review-link", "--data", "/proc/x"),
    ],
)
def test_unfit_data_folder_is_one_sentence(arguments):
    """A file where a folder should be: no traceback, exit status 2."""
    done = prelisten(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("prelisten: ")
    assert "Traceback" not in done.stderr


def test_impossible_port_is_refused_by_name(tmp_path):
    """The option that is wrong is the one that is named."""
    done = prelisten("serve", "--data", tmp_path, "--port", "99999")
    assert done.returncode == 2
    assert "a port is 1 to 65535" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--workers", "-1"), "0 (none) to 64, not -1"),
        (("--workers", "many"), "0 (none) to 64, not many"),
        (("--port", "http"), "a port is 1 to 65535, not http"),
        (("--host", "no.such.host.invalid"), "--host no.such.host.invalid is no address of this machine"),
        (("--host", "192.0.2.1"), "This machine has no such address"),
    ],
)
def test_unfit_option_is_named_in_words_of_its_own(tmp_path, arguments, said):
    """No message of a library, no traceback: what was given, and what to give."""
    done = prelisten("serve", "--data", tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_review_link_leads_to_where_the_server_was_started(tmp_path):
    """A new link names the address of the last start, unless another one is given."""
    prelisten("keys", "new", "--data", tmp_path)
    (tmp_path / "address").write_text("http://127.0.0.1:8123")
    assert prelisten("review-link", "--data", tmp_path).stdout.startswith(
        "http://127.0.0.1:8123/review/sign-in?code="
    )
    given = prelisten("review-link", "--data", tmp_path, "--address", "https://site.example/")
    assert given.stdout.startswith("https://site.example/review/sign-in?code=")
