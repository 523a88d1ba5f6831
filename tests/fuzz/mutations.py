"""Seeded mutations: what the tests try of every target, and what fuzzes where atheris cannot be had. Nothing guides them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.fuzz.cbor_values import change_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.target import Target

_EDITS_MAX = 4
# What decoders stumble over: CBOR's edges (a true is a 1 to Python), ends of lines, starts of frames, blank flash.
STRIKING = tuple(
    bytes((byte,)) for byte in (0, 1, 0x17, 0x18, 0x20, 0x40, 0x60, 0x7F, 0x80, 0xA0, 0xF4, 0xF5, 0xF6, 0xFF)
)
STRIKING += (
    b"\x18\x18",
    b"\x19\x01\x00",
    b"\x1b" + b"\xff" * 8,
    b"\x3b" + b"\xff" * 8,
    b"\x00\xff",
    b"\r\n",
    b"\xff" * 4,
)


def change_bytes(chance: random.Random, seeds: list[bytes], bytes_max: int) -> bytes:
    """Return a seed with up to four pieces changed."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, _EDITS_MAX)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(1, 8))
        what = chance.randrange(6)
        if what == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif what == 1 and at < len(data):
            word = chance.choice(STRIKING)
            data[at : at + len(word)] = word
        elif what == 2:
            data[at:end] = b""
        elif what == 3:
            data[at:at] = chance.randbytes(chance.randint(1, 4))
        elif what == 4:
            data[at:at] = data[at:end]
        else:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            data[at:end] = other[start : start + chance.randint(1, 16)]
    return bytes(data[:bytes_max])


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """Yield the target's seeds, and then mutations of them without end; the same for the same seed."""
    seeds = target.seeds()
    yield from seeds
    chance = random.Random(f"{seed} {target.name}")
    while True:
        if target.is_cbor and chance.random() < 0.5:
            yield change_value(chance.choice(seeds), chance)
        else:
            yield change_bytes(chance, seeds, target.bytes_max)
