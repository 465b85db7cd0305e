"""What a decoding child gives up before it reads the first byte: memory, time, files, network, rights."""

from __future__ import annotations

import codecs
import ctypes
import importlib
import math
import os
import pkgutil
import resource
import signal
import sys
from collections.abc import Iterable
from types import ModuleType

from prelisten.media.limits import MAX_OPEN_FILES, DecodeLimits

# From <linux/prctl.h> and <linux/sched.h>; `os.unshare` came with Python 3.12 only.
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
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
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def isolate() -> dict[str, bool]:
    """Leave the network and root's rights where the system allows it, and say what was reached."""
    has_no_network = sys.platform == "linux" and _leave_network()
    return {"has_no_network": has_no_network, "is_unprivileged": _leave_root()}


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
