"""Mutations that know CBOR: one value of a message is changed, and the message is deterministic CBOR again.

Bytes that are changed blindly are mostly no CBOR any more, and never get past the codec. Byte strings that hold CBOR themselves
(headers, payloads, records, keys) are entered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cbor2

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_BOUNDS = (8, 16, 32, 40, 63, 64)
_STRIKING: tuple[Any, ...] = (
    *(True, False, None, 1.5, b"", "", [], {}, [0], {0: 0}, "\U0001f68d"),
    *(0, 1, -1, 2, 3, 15, 23, 24, 100),
    *(number for bits in _BOUNDS for number in ((1 << bits) - 1, (1 << bits) % (1 << 64), -(1 << bits))),
)


def change_value(data: bytes, chance: random.Random) -> bytes:
    """Return the encoding with one value changed; what is no CBOR, as it is."""
    try:
        value = cbor2.loads(data)
        if isinstance(value, list | dict):
            _change(value, chance)
        else:
            value = chance.choice(_STRIKING)
        return bytes(cbor2.dumps(value, canonical=True))
    except Exception:  # noqa: BLE001 - whatever cbor2 says, there is nothing to be changed here
        return data


def _change(value: list[Any] | dict[Any, Any], chance: random.Random) -> None:
    places = list(_places(value))
    what = chance.randrange(8)
    if what == 0 or not places:
        _add(value, chance)
        return
    container, key = chance.choice(places)
    item = container[key]
    if what == 1:
        del container[key]
    elif what == 2:
        other, other_key = chance.choice(places)
        container[key] = other[other_key]
    elif isinstance(item, bytes) and what < 6:
        container[key] = _change_bytes(item, chance)
    elif isinstance(item, int) and what < 5:
        container[key] = item + chance.choice((-1, 1))
    else:
        container[key] = chance.choice(_STRIKING)


def _places(value: list[Any] | dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    keys = range(len(value)) if isinstance(value, list) else value
    for key in keys:
        yield value, key
        if isinstance(value[key], list | dict):
            yield from _places(value[key])


def _add(value: list[Any] | dict[Any, Any], chance: random.Random) -> None:
    if isinstance(value, list):
        value.append(chance.choice(_STRIKING))
    else:
        value[chance.randrange(-1, 25)] = chance.choice(_STRIKING)


def _change_bytes(item: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.7 and (changed := change_value(item, chance)) != item:
        return changed
    at = chance.randrange(len(item) + 1)
    return (item[:at] + item[at + 1 :], item[:at] + b"\x00" + item[at:], item[:at] + b"\xff" + item[at + 1 :])[
        chance.randrange(3)
    ]
