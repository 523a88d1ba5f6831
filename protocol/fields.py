"""Reading the map of a message: which keys it has, how long its byte strings are, and between what its integers lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import CborError

if TYPE_CHECKING:
    from typing import Any

    from protocol.errors import RemoteProtocolError

    # Key, least and greatest value.
    Ranges = tuple[tuple[int, int, int], ...]
    # Key and size in bytes.
    Sizes = tuple[tuple[int, int], ...]

U16_MAX = const(0xFFFF)
U32_MAX = const(0xFFFFFFFF)


class Layout:
    """What every message of a kind has in common.

    Attributes:
        name: for refusals.
        error: the class of a refusal.
        keys: how many keys it has at least, counted from 0; `optional` ones may follow.
        sizes, ranges: byte strings and integers, where they are there; key 0 is the version, 1.
    """

    __slots__ = ("error", "keys", "name", "optional", "ranges", "sizes")

    def __init__(
        self,
        name: str,
        error: type[RemoteProtocolError],
        keys: int,
        sizes: Sizes,
        ranges: Ranges,
        optional: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self.error = error
        self.keys = keys
        self.optional = optional
        self.sizes = sizes
        self.ranges = ((0, 1, 1),) + ranges

    def read(self, payload: bytes) -> dict[int, Any]:
        """Return the fields of a payload; it is refused with `error` unless it has this layout."""
        try:
            fields = cbor.decode(payload)
        except CborError as error:
            raise self.refusal("not deterministic CBOR: " + str(error)) from None
        required = set(range(self.keys))
        if not isinstance(fields, dict) or not required <= set(fields) <= required | set(self.optional):
            raise self.refusal("other keys than it should have")
        for key, size in self.sizes:
            if key in fields and not (isinstance(fields[key], bytes) and len(fields[key]) == size):
                raise self.refusal("key " + str(key) + " has " + str(size) + " bytes")
        for key, least, greatest in self.ranges:
            if key in fields and not is_integer(fields[key], least, greatest):
                raise self.refusal("key " + str(key) + " is out of range")
        return fields

    def refusal(self, reason: str) -> RemoteProtocolError:
        return self.error(self.name + ": " + reason)
