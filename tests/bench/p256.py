"""ES256 as a validator without a secure element computes it, in Python, beside the `cryptography` library."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clearing.fleet.keys import Es256Signer, verify_es256
from tests.bench.child import RUNTIMES, run_in
from tests.bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.table import Tell

_ROUNDS = 20
_PEER_ROUNDS = 2000
_SOURCE = f"""
from protocol import p256
private = int.from_bytes(bytes(range(1, 33)), "big")
x, y = p256.public_key(private)
digest = bytes(32)
signature = p256.finish(p256.sign_steps(private, digest))
assert p256.finish(p256.verify_steps(x, y, digest, signature))
begun = ticks()
for _ in range({_ROUNDS}):
    p256.finish(p256.sign_steps(private, digest))
signed = ticks()
for _ in range({_ROUNDS}):
    p256.finish(p256.verify_steps(x, y, digest, signature))
print(signed - begun, ticks() - signed)
"""


def measure(tell: Tell) -> Table:
    """Measure signing and verifying on each runtime."""
    signer = Es256Signer(bytes(range(1, 33)))
    message = bytes(32)
    signature = signer.sign(message)
    peer = (
        _mean_us(lambda: signer.sign(message)),
        _mean_us(lambda: verify_es256(signer.x, signer.y, message, signature)),
    )
    rows: list[tuple[str | float | None, ...]] = [("cryptography (OpenSSL)", peer[0] / 1000, peer[1] / 1000, 1, 1)]
    for runtime in RUNTIMES:
        tell(f"p256 on {runtime}")
        sign_us, verify_us = (total / _ROUNDS for total in run_in(runtime, _SOURCE))
        rows.append(
            (f"protocol.p256 on {runtime}", sign_us / 1000, verify_us / 1000, sign_us / peer[0], verify_us / peer[1])
        )
    columns = ("ES256", "sign ms", "verify ms", "sign, times the peer", "verify, times the peer")
    note = "One signature of a digest, tables of the keys already made. No microcontroller was measured."
    return Table("Signatures", columns, rows, note)


def _mean_us(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(_PEER_ROUNDS):
        act()
    return (time.perf_counter() - begun) / _PEER_ROUNDS * 1e6
