"""The other doors: validators of one vehicle tell each other whom they have just let in (SPEC.md "Neighbours").

A datagram is a tap that was accepted, as it was journalled, with an HMAC under the vehicle's key of the day. It may be lost, and
a validator without neighbours works as ever: what gets past two doors at once is found by the clearing service. Nothing here
is trusted before its HMAC holds, none counts twice, and no more are looked at in a second than a vehicle can have riders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.decisions import DECISION_ACCEPTED
from protocol.errors import TapError
from protocol.limits import RECORD_BYTES_MAX
from protocol.tap import KIND_INTENT, KIND_SINGLE, decode_tap, encode_tap

if TYPE_CHECKING:
    from firmware.boards.board import Board, Datagrams
    from firmware.keys import Membership
    from firmware.loop import Loop
    from firmware.recent_taps import RecentTaps
    from protocol.tap import Tap

_MAGIC = b"JQN1"
_DEVICE_BYTES = const(8)
_HEAD_BYTES = const(24)
_MAC_BYTES = const(16)
_SENDERS_MAX = const(8)
_A_SECOND_MAX = const(16)
_AGE_S_MAX = const(120)
_DAY_S = const(86_400)


class Neighbours:
    """Tells and hears.

    Attributes:
        refused: datagrams that were not believed, by why.
    """

    def __init__(
        self, board: Board, port: Datagrams, membership: Membership, device: bytes, boot: int, recent: RecentTaps
    ) -> None:
        self._board = board
        self._port = port
        self._membership = membership
        self._device = device[:_DEVICE_BYTES]
        self._boot = boot
        self._recent = recent
        self._sent = 0
        self._last: dict[bytes, bytes] = {}
        self._second = 0
        self._seen_in_second = 0
        self.refused: dict[str, int] = {}

    def _key(self, day: int) -> bytes | None:
        bundle = self._membership.bundle
        day_key = bundle.qr_day_keys.get(day)
        if day_key is None or not any(bundle.vehicle_secret):
            return None
        return hmac_sha256(day_key, b"neighbours" + bundle.vehicle_secret)

    def tell(self, tap: Tap) -> None:
        """Tell the other doors of a tap that was accepted here."""
        day = read_clock(self._board)[0] // _DAY_S
        key = self._key(day)
        if key is None:
            return
        self._sent += 1
        numbers = b"".join([number.to_bytes(4, "big") for number in (day, self._boot, self._sent)])
        message = _MAGIC + self._device + numbers + encode_tap(tap)
        self._port.send(message + hmac_sha256(key, message)[:_MAC_BYTES])

    async def listen(self, loop: Loop) -> None:
        """Hear what the other doors tell."""
        while True:
            await loop.port_ready(self._port)
            self.hear(self._port.receive())
            await loop.pause()

    def hear(self, datagram: bytes) -> None:
        """Take a datagram; one that is not believed is counted, and changes nothing."""
        reason = self._take(datagram)
        if not reason:
            return
        if reason not in self.refused:
            self._board.log("neighbours: " + reason)  # the first of each kind: who floods must not fill a log
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def _take(self, datagram: bytes) -> str:
        """Take a datagram and return why it is not believed: nothing, if it is."""
        if self._is_flooded():
            return "too many"
        if not _HEAD_BYTES + _MAC_BYTES < len(datagram) <= _HEAD_BYTES + RECORD_BYTES_MAX + _MAC_BYTES:
            return "not the size of one"
        if datagram[:4] != _MAGIC:
            return "not a neighbour's"
        key = self._key(int.from_bytes(datagram[12:16], "big"))
        if key is None:
            return "of a day without a key"
        message = datagram[:-_MAC_BYTES]
        if not constant_time_equal(hmac_sha256(key, message)[:_MAC_BYTES], datagram[-_MAC_BYTES:]):
            return "forged"
        sender, place = message[4:12], message[16:24]
        if sender == self._device:
            return "our own"
        if place <= self._last.get(sender, b""):
            return "replayed"
        if sender not in self._last and len(self._last) == _SENDERS_MAX:
            return "too many doors"
        self._last[sender] = place
        return self._take_record(message[_HEAD_BYTES:])

    def _take_record(self, record: bytes) -> str:
        try:
            tap = decode_tap(record)
        except TapError:
            return "not a tap"
        if tap.kind not in {KIND_SINGLE, KIND_INTENT} or tap.decision != DECISION_ACCEPTED or tap.token is None:
            return "not a ride"
        if abs(tap.tapped_at_s - read_clock(self._board)[0]) > _AGE_S_MAX:
            return "too old"  # after a start nobody knows what was heard before: old datagrams might come again
        self._recent.remember(tap, is_ours=False)
        return ""

    def _is_flooded(self) -> bool:
        second = self._board.ticks_ms() // 1000
        if second != self._second:
            self._second, self._seen_in_second = second, 0
        self._seen_in_second += 1
        return self._seen_in_second > _A_SECOND_MAX
