"""The shape that all codes here share: a prefix, and base45 of a flat CBOR map whose keys count from 0, its version first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const
from protocol.errors import CborError, QrError
from protocol.qr import base45

if TYPE_CHECKING:
    from typing import Any

_TEXT_CHARACTERS_MAX = const(250)


def read_fields(text: str, prefix: str, sizes: tuple[int, ...], greatest: tuple[int, ...]) -> dict[int, Any]:
    """Return what a code says, by key.

    Args:
        text: as it was scanned.
        prefix: of the kind of code that is expected.
        sizes: for each key, how many bytes it has; 0 for a number.
        greatest: for each key, the greatest number that it may be. Key 0 is the version, and that number alone.

    Raises:
        QrError: it is not one of ours.
    """
    if len(text) > _TEXT_CHARACTERS_MAX or not text.startswith(prefix):
        raise QrError("not a code of this kind")
    try:
        fields = cbor.decode(base45.decode(text[len(prefix) :]), depth_max=1)
    except CborError as error:
        raise QrError("not a code: " + str(error)) from None
    if not isinstance(fields, dict) or sorted(fields) != list(range(len(sizes))):
        raise QrError("a code of this kind has the keys 0 to " + str(len(sizes) - 1))
    for key, size in enumerate(sizes):
        value = fields[key]
        if size and (not isinstance(value, bytes) or len(value) != size):
            raise QrError("key " + str(key) + " has " + str(size) + " bytes")
        if not size and not cbor.is_integer(value, 0 if key else greatest[0], greatest[key]):
            raise QrError("key " + str(key) + " is out of range")
    return fields
