"""A process that screens the files of the corpus and does nothing else: its sizes are what the corpus costs.

The process of the tests cannot tell: it has grown in other tests, and what it starts counts as large as itself until
it runs another program.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prelisten.pipeline import Services
from prelisten.records import Action
from tests.poison.corpus import CORPUS
from tests.services import make_services, screened

_SERVICES: list[Services] = []


@dataclass(frozen=True)
class End:
    """How a file ended, and what its decoders took of the processor."""

    state: str
    codes: frozenset[str]
    action: Action
    is_partial: bool
    analysed_s: float | None
    total_s: float | None
    decoder_s: float


@contextmanager
def screening_process(data: Path) -> Iterator[ProcessPoolExecutor]:
    """Start it with services of its own in `data`; `screen` and `peak_bytes` are to be submitted to it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_start, initargs=(data,)) as process:
        yield process


def _start(data: Path) -> None:
    _SERVICES.append(make_services(data))


def screen(name: str) -> End:
    """Send the file of the corpus with this name down the main path, under a name that says nothing."""
    services = _SERVICES[0]
    content = next(poison for poison in CORPUS if poison.name == name).make()
    before_s = _decoder_s()
    submission, decision = screened(services, content, file_name="named.otherwise")
    with services.storage.read() as tx:
        finding = next(finding for finding in tx.findings(submission.id) if finding.check == "recompute")
        evidence = tx.evidence(submission.id)
    return End(
        state=finding.state,
        codes=frozenset(reason.code for reason in decision.reasons),
        action=decision.action,
        is_partial=bool(finding.details.get("is_partial")),
        analysed_s=evidence.analysed_s if evidence else None,
        total_s=evidence.total_s if evidence else None,
        decoder_s=_decoder_s() - before_s,
    )


def peak_bytes() -> tuple[int, int]:
    """Return the most memory that this process has taken, and the most that one of its decoders has."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, child = (resource.getrusage(kind).ru_maxrss * 1024 for kind in kinds)
    return own, child


def _decoder_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
