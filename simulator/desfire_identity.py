"""What a DESFire chip tells anybody who asks, before anything is authenticated (data sheet MF2DLHX0, chapter 11).

Version, free memory and the settings of the card master key: what a card tool shows of a card that it has no keys of.
"""

from __future__ import annotations

_OK = b"\x91\x00"
_MORE = b"\x91\xaf"
_HARDWARE_EV2_8K = bytes.fromhex("04010112001a05")
_SOFTWARE_EV2_8K = bytes.fromhex("04010102011a05")
_BATCH_WEEK_YEAR = bytes.fromhex("00000000000124")
_FREE_BYTES = 4704
_ALL_MAY_BE_CHANGED = 0x0F
_ONE_AES_KEY = 0x81


class Identity:
    """One chip's identity; its version comes in three parts, each asked for."""

    def __init__(self, uid: bytes) -> None:
        self._uid = uid
        self._rest: tuple[bytes, ...] = ()

    def respond(self, ins: int, data: bytes) -> bytes | None:
        """Return the answer to a command; None for one that is not about the chip."""
        rest, self._rest = self._rest, ()
        if data:
            return None
        if ins == 0x60:
            self._rest = (_SOFTWARE_EV2_8K, self._uid + _BATCH_WEEK_YEAR)
            return _HARDWARE_EV2_8K + _MORE
        if ins == 0xAF and rest:
            self._rest = rest[1:]
            return rest[0] + (_MORE if self._rest else _OK)
        if ins == 0x45:
            return bytes((_ALL_MAY_BE_CHANGED, _ONE_AES_KEY)) + _OK
        return _FREE_BYTES.to_bytes(3, "little") + _OK if ins == 0x6E else None
