"""A filter for system calls (seccomp), written as the kernel reads it: no library, one table for each processor.

What a decoder needs once everything is imported is short: read, write, memory, time. Everything else answers
"not permitted"; what only an attack asks for ends the process. See "Seccomp BPF" in the kernel's documentation,
`<linux/seccomp.h>`, `<linux/filter.h>` and `<linux/audit.h>`.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
# The C library falls back to the older call where this answer says that the kernel is too old.
NOT_THERE = 0x00050000 | errno.ENOSYS
# Instructions of the filter machine: load a word, jump if equal, if at least, if any bit is set; return.
LOAD, IF_EQUAL, IF_LEAST, IF_ANY, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Where `struct seccomp_data` holds the number, the architecture and the third argument's lower half.
NUMBER_AT, ARCHITECTURE_AT, THIRD_ARGUMENT_AT = 0, 4, 32
PROT_EXEC = 4
# x86-64 has a second set of numbers (x32) from here on.
X32_FROM = 0x40000000


@dataclass(frozen=True, slots=True)
class Calls:
    """One processor's numbers. `needed` pass, `code` pass without execute rights, `fatal` end the process."""

    architecture: int
    needed: frozenset[int]
    code: frozenset[int]
    fatal: frozenset[int]
    clone3: int = 435


def _of(architecture: int, needed: dict[str, int], code: dict[str, int], fatal: dict[str, int]) -> Calls:
    return Calls(
        architecture, frozenset(needed.values()), frozenset(code.values()), frozenset(fatal.values())
    )


CALLS = {
    "x86_64": _of(
        0xC000003E,
        {
            "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "munmap": 11, "brk": 12,
            "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19,
            "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39,
            "exit": 60, "gettimeofday": 96, "getrusage": 98, "sysinfo": 99, "getppid": 110,
            "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219,
            "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
            "newfstatat": 262, "ppoll": 271, "getrandom": 318,
        },
        {"mmap": 9, "mprotect": 10},
        {
            "execve": 59, "ptrace": 101, "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166,
            "init_module": 175, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
            "unshare": 272, "perf_event_open": 298, "process_vm_readv": 310, "process_vm_writev": 311,
            "finit_module": 313, "bpf": 321, "execveat": 322, "userfaultfd": 323, "pkey_mprotect": 329,
            "io_uring_setup": 425,
        },
    ),
    "aarch64": _of(
        0xC00000B7,
        {
            "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66,
            "pread64": 67, "ppoll": 73, "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94,
            "futex": 98, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
            "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132,
            "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165,
            "gettimeofday": 169, "getpid": 172, "getppid": 173, "gettid": 178, "sysinfo": 179, "brk": 214,
            "munmap": 215, "mremap": 216, "madvise": 233, "getrandom": 278,
        },
        {"mmap": 222, "mprotect": 226},
        {
            "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97, "kexec_load": 104,
            "init_module": 105, "ptrace": 117, "add_key": 217, "request_key": 218, "keyctl": 219,
            "execve": 221, "perf_event_open": 241, "process_vm_readv": 270, "process_vm_writev": 271,
            "finit_module": 273, "bpf": 280, "execveat": 281, "userfaultfd": 282, "pkey_mprotect": 288,
            "io_uring_setup": 425,
        },
    ),
}  # fmt: skip
"""By `platform.machine()`. From `<asm/unistd_64.h>` and `<asm-generic/unistd.h>`."""


def program(calls: Calls) -> bytes:
    """Return the filter, eight bytes an instruction.

    1. Another architecture's numbers mean other calls: end the process.
    2. What only an attack asks for ends the process; what decoding needs passes.
    3. Memory may be mapped and protected, but never made executable.
    4. Everything else is refused.
    """
    steps = [
        _step(LOAD, ARCHITECTURE_AT),
        _step(IF_EQUAL, calls.architecture, if_so=1),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER_AT),
        *_answer([X32_FROM], KILL, test=IF_LEAST),
        *_answer(sorted(calls.fatal), KILL),
        *_answer(sorted(calls.needed), ALLOW),
        *_answer([calls.clone3], NOT_THERE),
    ]
    for number in sorted(calls.code):
        steps += [
            _step(IF_EQUAL, number, if_not=4),
            _step(LOAD, THIRD_ARGUMENT_AT),
            _step(IF_ANY, PROT_EXEC, if_so=1),
            _step(RETURN, ALLOW),
            _step(RETURN, REFUSE),
        ]
    return b"".join([*steps, _step(RETURN, REFUSE)])


def _step(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_so, if_not, value)


def _answer(numbers: Iterable[int], answer: int, *, test: int = IF_EQUAL) -> list[bytes]:
    return [step for number in numbers for step in (_step(test, number, if_not=1), _step(RETURN, answer))]


class _Program(ctypes.Structure):
    """`struct sock_fprog`: the number of instructions, and where they are."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def forbid_system_calls() -> bool:
    """Put this process under the filter for good; `False` where the system or the processor has none for it.

    Nothing can be opened, started, joined or signalled afterwards, by no thread and no child.
    """
    calls = CALLS.get(platform.machine())
    if calls is None or sys.platform != "linux" or sys.maxsize < 2**32:
        return False
    steps = program(calls)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    asked = _Program(len(steps) // 8, steps)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(asked), 0, 0) == 0)
