"""The strict CBOR decoder on a batch of taps, beside cbor2, which accepts what a signed format must refuse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cbor2

from protocol.batch import encode_batch
from tests.bench.child import RUNTIMES, run_in
from tests.bench.table import Table
from tests.builders import Device

if TYPE_CHECKING:
    from tests.bench.table import Tell

_RECORDS = 48
_ROUNDS = 200
_PEER_ROUNDS = 2000
# A batch, and each record in it: what a service decodes.
_SOURCE = """
from protocol import cbor
message = bytes.fromhex("{message}")
records = cbor.decode(message)[{records_key}]
begun = ticks()
for _ in range({rounds}):
    for record in cbor.decode(message)[{records_key}]:
        cbor.decode(record)
print(ticks() - begun)
"""


def measure(tell: Tell) -> Table:
    """Measure decoding on each runtime."""
    device = Device(seed=1)
    message = encode_batch(device.batch([device.record() for _ in range(_RECORDS)], 1, device.head))
    decoded = cbor2.loads(message)
    key = next(key for key, value in decoded.items() if isinstance(value, list) and len(value) == _RECORDS)
    begun = time.perf_counter()
    for _ in range(_PEER_ROUNDS):
        for record in cbor2.loads(message)[key]:
            cbor2.loads(record)
    peer_us = (time.perf_counter() - begun) / _PEER_ROUNDS * 1e6
    size = len(message) + sum(len(record) for record in decoded[key])
    rows: list[tuple[str | float | None, ...]] = [("cbor2", size / peer_us, _RECORDS / peer_us * 1e6, 1)]
    for runtime in RUNTIMES:
        tell(f"cbor on {runtime}")
        source = _SOURCE.format(message=message.hex(), records_key=key, rounds=_ROUNDS)
        ours_us = run_in(runtime, source)[0] / _ROUNDS
        rows.append((f"protocol.cbor on {runtime}", size / ours_us, _RECORDS / ours_us * 1e6, peer_us / ours_us))
    columns = ("decoder", "MB/s", "taps/s", "share of the peer")
    note = f"A batch of {_RECORDS} taps and each tap in it, {size} bytes. cbor2 is compiled; ours is Python and strict."
    return Table("CBOR decoding", columns, rows, note)
