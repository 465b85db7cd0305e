"""What a decoding child gives up before it reads the first byte: memory, time, files, network, rights, calls.

`python -m prelisten.media.sandbox` gives all of it up and says what was reached; `abilities` asks it.
"""

from __future__ import annotations

import codecs
import ctypes
import importlib
import json
import math
import os
import pkgutil
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType

from prelisten.media.limits import MAX_OPEN_FILES, DecodeLimits
from prelisten.media.syscalls import PR_SET_NO_NEW_PRIVS, forbid_system_calls

# From <linux/prctl.h> and <linux/sched.h>; `os.unshare` came with Python 3.12 only.
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
# From <linux/landlock.h>: the system calls' numbers, the same on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
# (version of the interface, number of file rights it knows), newest first.
LANDLOCK_FILE_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))
# The kernel's own "nobody": what user namespaces call a user that they do not know.
NOBODY = 65_534
# CPU time is the second line behind the parent's clock; imports and one blocked write come on top.
CPU_MARGIN_S = 5


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies; a decoder must not outlive its worker.

    To be asked again after a change of user, which clears it. Elsewhere than on Linux a broken pipe ends it.
    """
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def import_everything(packages: Iterable[ModuleType], encodings: Iterable[str]) -> None:
    """Import all that decoding may need, then nothing any more.

    Who has given up root's rights may not read the environment's own folder (a home folder, say), so an import
    that came later would work on one machine and fail on the next. Ending all imports makes it fail on every one.
    """
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for encoding in encodings:
        codecs.lookup(encoding)
    sys.meta_path.clear()


def limit_resources(limits: DecodeLimits) -> None:
    """Set the hard limits. Memory counts address space: Python, numpy and PyAV alone take about 210 MB."""
    cpu_s = math.ceil(limits.timeout_s) + CPU_MARGIN_S
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),  # No file grows; standard output is a pipe.
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),  # No process and no thread; root is exempt, and gives that up next.
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


ABILITIES = {
    "has_no_network": "no network of its own (network namespace)",
    "is_no_root": "no rights of root",
    "has_no_files": "no file can be opened (Landlock)",
    "is_unreadable": "no other process may look into it",
    "has_no_processes": "no process can be started",
    "has_call_filter": "system calls are filtered (seccomp)",
}
"""What isolation can reach, in words; not every system has all of it."""


def isolate() -> dict[str, bool]:
    """Leave the network, root's rights and the file system where the system allows it; say what was reached.

    What is open already (the recording, the pipes) stays usable. The keys are some of `ABILITIES`.
    """
    is_linux = sys.platform == "linux"
    has_no_network = is_linux and _leave_network()
    is_no_root = _leave_root()
    return {
        "has_no_network": has_no_network,
        "is_no_root": is_no_root,
        "has_no_files": is_linux and _leave_file_system(),
        "is_unreadable": is_linux and _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0,
        "has_no_processes": is_no_root and resource.getrlimit(resource.RLIMIT_NPROC)[1] == 0,
    }


def close_behind(isolation: Mapping[str, bool]) -> dict[str, bool]:
    """Add the last step, after which nothing else can be asked of the system: the filter for its calls."""
    return {**isolation, "has_call_filter": forbid_system_calls()}


def abilities() -> dict[str, bool]:
    """Return what a decoding child reaches on this machine, tried by a process that does the same.

    Every key of `ABILITIES` is there; all are `False` when not even the trial could run.
    """
    command = [sys.executable, "-P", "-m", "prelisten.media.sandbox"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=True, stdin=subprocess.DEVNULL)
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        said = {}
    return {name: said.get(name) is True for name in ABILITIES}


def _leave_file_system() -> bool:
    """Enter a Landlock domain without any rule: nothing can be opened, made, renamed or removed any more.

    From version 6 of its interface on, signals and abstract sockets outside the domain are closed too.
    Returns `False` where the kernel has no Landlock; see "Landlock: unprivileged access control" in its docs.
    """
    libc = _libc()
    abi = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if abi < 1:
        return False
    handled = (
        (1 << next(bits for least, bits in LANDLOCK_FILE_RIGHTS if abi >= least)) - 1,
        0b11 if abi >= 4 else 0,  # TCP: bind, connect.
        0b11 if abi >= 6 else 0,  # Abstract sockets, signals.
    )
    ruleset = (ctypes.c_uint64 * 3)(*handled)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    descriptor = libc.syscall(LANDLOCK_CREATE_RULESET, ruleset, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if descriptor < 0:
        return False
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    is_entered = bool(libc.syscall(LANDLOCK_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0)) == 0)
    os.close(descriptor)
    return is_entered


def _leave_network() -> bool:
    libc = _libc()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET
    return bool(libc.unshare(flags) == 0)


def _leave_root() -> bool:
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    limit_resources(DecodeLimits())
    sys.stdout.write(json.dumps(close_behind(isolate())))
