"""Taps through the service, signed to durable, beside the same rows put bare into the same table.

The peer has no HTTP, no signatures, no chain and no evidence to keep: what it does is the least that a database must do, with
`executemany` on SQLite and COPY on PostgreSQL, one transaction for each batch, into the table as the service left it.
"""

from __future__ import annotations

import http.client
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.bench.machine import DISK
from tests.bench.stores import PostgresqlStore, SqliteStore
from tests.bench.table import Table
from tests.builders import Counter, Device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.stores import Store
    from tests.bench.table import Tell

_CLIENTS = 4
# Taps in a batch, and batches that each client sends.
_SIZES = {1: 150, 48: 75, 256: 25}


def measure(tell: Tell) -> Table:
    """Measure both databases."""
    rows: list[tuple[str | int | float | None, ...]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jolaqy-bench-", dir=DISK)))
        for store in (SqliteStore(folder / "sqlite"), PostgresqlStore(folder / "postgresql")):
            with store:
                rows.extend(_measure_store(store, tell))
    columns = (
        "database, peer",
        "taps a batch",
        "service taps/s",
        "peer taps/s",
        "service, share of the peer",
        "batch ms",
    )
    note = (
        f"{_CLIENTS} client connections on either side (the peer has one on SQLite, which has one writer); clients and service "
        "share the machine. Durable: SQLite with synchronous=FULL, PostgreSQL with fsync, both on a disk. Batch ms: median, from "
        "signing to ack."
    )
    return Table("Ingest: sign, HTTP, verify, store, acknowledge", columns, rows, note)


def _measure_store(store: Store, tell: Tell) -> Iterator[tuple[str | int | float | None, ...]]:
    with httpx.Client(base_url=store.url, trust_env=False, timeout=60) as client:
        counter = Counter(client)
        devices = [counter.enrol(Device(seed=number), f"A-{100 + number}") for number in range(1, _CLIENTS + 1)]
        for size, batches in _SIZES.items():
            tell(f"ingest on {store.name}, {size} a batch")
            service_rate, batch_ms = _through_the_service(store.url, devices, size, batches)
            peer_rate = store.insert_bare(_CLIENTS)
            yield f"{store.name}, {store.peer}", size, service_rate, peer_rate, service_rate / peer_rate, batch_ms


def _through_the_service(url: str, devices: list[Device], size: int, batches: int) -> tuple[float, float]:
    """Return taps a second and the median milliseconds of a batch; all taps are acknowledged."""
    senders = [_Sender(url, device, size, batches) for device in devices]
    start = threading.Barrier(len(senders) + 1)
    with ThreadPoolExecutor(len(senders)) as pool:
        sent = [pool.submit(sender.send, start) for sender in senders]
        start.wait()
        begun = time.perf_counter()
        times_s = sorted(each for future in sent for each in future.result())
        seconds = time.perf_counter() - begun
    for sender in senders:
        sender.check()
    return len(senders) * size * batches / seconds, times_s[len(times_s) // 2] * 1000


class _Sender:
    """One validator with its connection; its records are made before the clock runs, its batches are signed while it does."""

    def __init__(self, url: str, device: Device, size: int, batches: int) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self._device = device
        self._batches = [[device.record() for _ in range(size)] for _ in range(batches)]
        self._next = device.next_sequence - size * batches
        self._answer = b""

    def send(self, start: threading.Barrier) -> list[float]:
        """Send everything and return how long each batch took, in seconds."""
        times = []
        start.wait()
        for records in self._batches:
            begun = time.perf_counter()
            batch = self._device.batch(records, self._next, self._device.head)
            self._post(self._device.sign(batch))
            self._device.head = batch.head_after
            self._next += len(records)
            times.append(time.perf_counter() - begun)
        self._connection.close()
        return times

    def _post(self, message: bytes) -> None:
        self._connection.request("POST", "/v1/batches", message, {"content-type": "application/cose"})
        response = self._connection.getresponse()
        self._answer = response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"a batch was answered with {response.status}")

    def check(self) -> None:
        """Make sure that the last ack covers all that was sent."""
        ack = self._device.read_ack(self._answer)
        if (ack.sequence, ack.head) != (self._next - 1, self._device.head):
            raise RuntimeError("not everything was acknowledged")
