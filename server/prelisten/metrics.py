"""Metrics for Prometheus: totals that all processes add to, and what the database and the disk say now.

The totals lie in the database, so that one answer covers the web processes and the screening processes, on every
machine, and no restart sets them back. A process adds its part every few seconds and at its end; one that is
killed loses the last seconds of it. Decisions themselves are never counted from here.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from prelisten.config import Config
from prelisten.engine.embedded import ALIVE_S, LEASED, QUEUED, jobs, workers
from prelisten.errors import StorageError
from prelisten.meter import DECLARED, PREFIX, SECONDS, Counted, Meter, Series
from prelisten.storage.interface import Storage
from prelisten.storage.tables import cases, counters, outbox

log = logging.getLogger(__name__)

FLUSH_EVERY_S = 5.0


class Totals:
    """Takes what a meter added up to the database."""

    def __init__(self, meter: Meter, storage: Storage) -> None:
        self._meter = meter
        self._storage = storage

    def flush(self) -> None:
        """Add what there is, in one transaction; what cannot be stored now is kept for the next time."""
        taken = self._meter.take()
        if not taken:
            return
        try:
            with self._storage.transaction() as tx:
                insert_into = sqlite_insert if tx.connection.dialect.name == "sqlite" else postgresql_insert
                # In one order everywhere, so that two processes never wait for each other's rows in a circle.
                for (name, labels), value in sorted(taken.items()):
                    added = insert_into(counters).values(name=name, labels=labels, value=value)
                    added = added.on_conflict_do_update(
                        index_elements=[counters.c.name, counters.c.labels],
                        set_={"value": counters.c.value + added.excluded.value},
                    )
                    tx.connection.execute(added)
        except StorageError as error:
            self._meter.put_back(taken)
            log.warning("the counters wait for the storage: %s", error)

    def run(self, stop: threading.Event) -> None:
        """Flush every few seconds until `stop` is set, and once more then."""
        while not stop.wait(FLUSH_EVERY_S):
            self.flush()
        self.flush()


def exposition(
    storage: Storage, config: Config, in_use: Callable[[], dict[str, int]], accept: str
) -> tuple[bytes, str]:
    """Return (body, media type) of the metrics, in the form that `accept` asks for.

    `in_use` tells the places in use of the process that answers.
    """
    registry = CollectorRegistry()
    registry.register(_Now(storage, config, in_use))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Now(Collector):
    """What Prometheus asks: every family, read at this moment."""

    def __init__(self, storage: Storage, config: Config, in_use: Callable[[], dict[str, int]]) -> None:
        self._storage = storage
        self._config = config
        self._in_use = in_use

    def describe(self) -> Iterable[Metric]:
        """Describe nothing in advance: the registry is made for one answer."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the totals, then the gauges."""
        with self._storage.read() as tx:
            rows = tx.connection.execute(select(counters)).all()
            yield from _families({(row.name, row.labels): row.value for row in rows})
            yield from _gauges(tx.connection)
        in_use = GaugeMetricFamily(
            f"{PREFIX}places_in_use",
            "Bodies received, and senders kept waiting, in this process.",
            labels=["kind"],
        )
        for kind, number in self._in_use().items():
            in_use.add_metric([kind], number)
        yield in_use
        free = shutil.disk_usage(self._config.data).free
        yield GaugeMetricFamily(
            f"{PREFIX}disk_free_bytes", "Free bytes where the data folder lies.", value=free
        )


def _families(values: dict[Series, float]) -> Iterator[Metric]:
    by_name: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for (name, text), value in values.items():
        by_name[name].append((json.loads(text), value))
    for name, declared in DECLARED.items():
        if isinstance(declared, Counted):
            counter = CounterMetricFamily(f"{PREFIX}{name}", declared.help, labels=declared.labels)
            for labels, value in by_name[f"{name}_total"]:
                counter.add_metric([labels[label] for label in declared.labels], value)
            if not declared.labels and not by_name[f"{name}_total"]:
                counter.add_metric([], 0)
            yield counter
            continue
        histogram = HistogramMetricFamily(f"{PREFIX}{name}", declared.help, labels=declared.labels)
        buckets: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
        for labels, value in by_name[f"{name}_bucket"]:
            buckets[tuple(labels[label] for label in declared.labels)][labels["le"]] = value
        for labels, total in by_name[f"{name}_sum"]:
            key = tuple(labels[label] for label in declared.labels)
            histogram.add_metric(key, _cumulated(buckets[key]), total)
        yield histogram


def _cumulated(counts: dict[str, float]) -> list[tuple[str, float]]:
    """Return (upper bound, how many at or below it), as Prometheus wants them."""
    so_far, cumulated = 0.0, []
    for bound in (*map(str, SECONDS), "+Inf"):
        so_far += counts.get(bound, 0)
        cumulated.append((bound, so_far))
    return cumulated


def _gauges(connection: Any) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        f"{PREFIX}queue_depth", "Recordings that wait or are being screened.", labels=["state"]
    )
    found = connection.execute(select(jobs.c.state, func.count()).where(_open()).group_by(jobs.c.state)).all()
    numbers: dict[str, int] = dict(map(tuple, found))
    for state in (QUEUED, LEASED):
        depth.add_metric([state], numbers.get(state, 0))
    yield depth
    oldest = connection.execute(
        select(jobs.c.enqueued_at).where(_open()).order_by(jobs.c.enqueued_at).limit(1)
    ).scalar()
    age_s = 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())
    yield GaugeMetricFamily(
        f"{PREFIX}queue_oldest_seconds",
        "How long the oldest recording without a decision has waited.",
        value=age_s,
    )
    since = datetime.now(UTC) - timedelta(seconds=ALIVE_S)
    seen = select(func.count()).select_from(workers).where(workers.c.seen_at >= since)
    alive = connection.execute(seen).scalar_one()
    yield GaugeMetricFamily(
        f"{PREFIX}workers_alive", "Screening processes that were seen lately.", value=alive
    )
    for name, help_text, statement in (
        (
            "cases_open",
            "Cases that wait for a reviewer.",
            select(func.count()).where(cases.c.outcome.is_(None)),
        ),
        (
            "outbox_pending",
            "Events that wait to be sent.",
            select(func.count()).where(outbox.c.state == "pending"),
        ),
    ):
        yield GaugeMetricFamily(
            f"{PREFIX}{name}", help_text, value=connection.execute(statement).scalar_one()
        )


def _open() -> Any:
    return jobs.c.state.in_((QUEUED, LEASED))
