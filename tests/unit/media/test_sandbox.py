"""What a decoding child may no longer do: tried from inside, one attempt a process."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prelisten.media import sandbox, syscalls

CLOSED = """
import ctypes, errno, json, mmap, os, signal, socket, sys, threading
from prelisten.media.limits import DecodeLimits
from prelisten.media.sandbox import close_behind, isolate, limit_resources
libc = ctypes.CDLL(None, use_errno=True)
from prelisten.media.syscalls import forbid_system_calls
def raw(number, *arguments):
    if libc.syscall(number, *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")
limit_resources(DecodeLimits())
if sys.argv[1] == "all":
    close_behind(isolate())
elif sys.argv[1] == "calls":
    forbid_system_calls()
elif sys.argv[1] == "limits":
    isolate()
try:
    exec(sys.argv[2])
    word = "done"
except (OSError, RuntimeError) as error:
    word = errno.errorcode.get(getattr(error, "errno", None), str(error))
sys.stdout.write(word)
"""
# Asked of the kernel and not of our own code, so that a filter that no longer installs fails these tests.
has_filter = pytest.mark.skipif(
    not Path("/proc/sys/kernel/seccomp/actions_avail").exists(), reason="this system filters no system calls"
)


def attempt(code: str, closed: str = "all") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CLOSED, closed, code], capture_output=True, text=True)


@pytest.mark.parametrize(
    "code",
    [
        "os.fork()",
        "threading.Thread(target=print).start()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "socket.socket()",
        "socket.socketpair()",
        "socket.socket(socket.AF_UNIX)",
        "os.kill(os.getppid(), 0)",
        "open('/etc/passwd')",
        "os.listdir('/')",
        "os.stat('/etc/passwd', dir_fd=None) and os.readlink('/proc/self/exe')",
        "os.pipe()",
        "os.dup(0)",
        "os.memfd_create('code')",
        "os.setpriority(os.PRIO_PROCESS, 0, 19)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "signal.setitimer(signal.ITIMER_REAL, 1)",
    ],
)
@has_filter
def test_call_is_refused(code: str) -> None:
    """What decoding does not need is not permitted, and the process lives on to say so."""
    done = attempt(code, "calls")
    said = done.stdout or done.stderr
    assert "done" not in said
    assert done.returncode == 0, said


FATAL = sorted(syscalls.CALLS.get(platform.machine(), syscalls.CALLS["x86_64"]).fatal)


@pytest.mark.parametrize("number", FATAL)
@has_filter
def test_call_of_an_attack_ends_the_process(number: int) -> None:
    """Running programs, looking into others, mounting, loading into the kernel: not even an answer."""
    assert attempt(f"raw({number}, 0, 0, 0)", "calls").returncode == -signal.SIGSYS


@has_filter
def test_running_a_program_ends_the_process() -> None:
    """By the C library's own way too."""
    assert attempt("os.execv('/bin/true', ['true'])", "calls").returncode == -signal.SIGSYS


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only there are two sets of numbers")
@has_filter
def test_second_set_of_numbers_ends_the_process() -> None:
    """The same calls under their x32 numbers would walk around the table."""
    assert attempt("raw(0x40000000 + 59, 0, 0, 0)", "calls").returncode == -signal.SIGSYS


def test_no_process_is_started_even_without_the_filter() -> None:
    """The limit on processes holds where the kernel has no filter, once root's rights are gone."""
    assert attempt("os.fork()", "limits").stdout == "EAGAIN"


def test_process_is_closed_to_others() -> None:
    """Nobody of the same user may attach to it or read its memory."""
    assert attempt("sys.stdout.write(str(libc.prctl(3, 0, 0, 0, 0)))", "limits").stdout == "0done"


def test_abilities_say_what_holds_here() -> None:
    """The trial names every ability, and what it says of this kernel is what the kernel offers."""
    said = sandbox.abilities()
    assert set(said) == set(sandbox.ABILITIES)
    status = Path("/proc/self/status").read_text()
    assert said["has_call_filter"] == ("Seccomp_filters:" in status)
    assert said["is_no_root"] or os.geteuid() == 0


def test_abilities_without_a_trial_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the trial can run nothing is promised."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert not any(sandbox.abilities().values())


def test_no_call_is_both_needed_and_an_attack() -> None:
    """The tables of all processors hold each number once."""
    for calls in syscalls.CALLS.values():
        assert not calls.needed & calls.fatal
        assert not calls.code & (calls.needed | calls.fatal)
        assert calls.clone3 not in calls.needed | calls.fatal


def test_unknown_processor_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the numbers are not known nothing is filtered, and it is said."""
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "abacus")
    assert syscalls.forbid_system_calls() is False


def test_trial_prints_only_its_word() -> None:
    """Other programs may ask for it too."""
    done = subprocess.run([sys.executable, "-m", "prelisten.media.sandbox"], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) == set(sandbox.ABILITIES)
