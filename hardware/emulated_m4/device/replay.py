"""A program: the validator, and a board that says to it, word for word, what was said when it was recorded.

The recording (`/rom/script`) was made with the same firmware, so what the validator writes must be what it wrote then, byte for
byte; else the replay stops. Between two waits it counts the instructions of the firmware alone: what the board itself does here,
in Python and with a flash in memory, is left out. So is what drivers of a real board would do.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import TYPE_CHECKING

from micropython import const

from firmware.app import start
from firmware.boards.crypto_micropython import Aes
from hardware.emulated_m4.device.meter import LIGHT, RESUME, WAIT, WRITE, Meter
from hardware.emulated_m4.device.parts import Flash, Port, Store, content
from protocol import p256
from protocol.compat import sha256

if TYPE_CHECKING:
    from firmware.boards.board import Datagrams

_INTERVAL_S = const(1_000_000)
_MARK = const(255)
# Moment, how many writes come before it, port, size.
_EVENT = "<IIBH"
_EVENT_BYTES = const(11)
_WRITE = "<BH"
_WRITE_BYTES = const(3)


class Board:
    """The board, see `firmware.boards.board.Board`. What can be said of it in a word the recording says."""

    host: str
    profile: int
    neighbours: Datagrams | None
    has_code_screen: bool
    languages: list[str]

    def __init__(self) -> None:
        self._meter = Meter()
        self._events = content("events")
        self._writes = content("writes")
        self._event_at = self._write_at = self._written = 0
        settings = json.loads(bytes(content("settings")))
        for name, value in settings["plain"].items():
            setattr(self, name, value)
        self._unix_ms, self._quality = settings["unix_ms"], settings["quality"]
        self.flash = Flash(self._meter, settings["sectors"])
        self.store = Store()
        self.aes = Aes()
        self._ports = [Port(number, self._heard) for number in range(3)]
        self.nfc, self.qr, self.driver = self._ports
        self._now_ms = 0
        self._random = 0
        self._read_event()

    # Time.

    def ticks_ms(self) -> int:
        return self._now_ms

    def wait(self, until_ms: int | None) -> None:
        self._meter.enter()
        self._meter.note(WAIT)
        if self._event_at >= len(self._events):
            self._end()
        when_ms = self._event[0]
        self._now_ms = max(self._now_ms, when_ms if until_ms is None else min(when_ms, until_ms))
        self._meter.note(RESUME, self._deliver())
        self._meter.resume()

    def _deliver(self) -> int:
        """Say what is to be said now, and return how many events that were."""
        count = 0
        while self._event_at < len(self._events):
            when_ms, after_writes, number, size = self._event
            if when_ms > self._now_ms or after_writes > self._written:
                break
            begin = self._event_at + _EVENT_BYTES
            self._event_at = begin + size
            if number != _MARK:
                self._ports[number].give(bytes(self._events[begin : self._event_at]))
            count += 1
            self._read_event()
        return count

    def _read_event(self) -> None:
        """Read the next one's head, once: the firmware's heap should hold little that is not the firmware's."""
        if self._event_at < len(self._events):
            self._event = struct.unpack_from(_EVENT, self._events, self._event_at)

    def _heard(self, number: int, data: bytes) -> None:
        self._meter.enter()
        self._meter.note(WRITE, number)
        begin = self._write_at + _WRITE_BYTES
        expected_number, size = struct.unpack_from(_WRITE, self._writes, self._write_at)
        self._write_at = begin + size
        self._written += 1
        if number != expected_number or self._writes[begin : self._write_at] != data:
            raise ValueError(
                "the validator does not write what it wrote when it was recorded: write " + str(self._written)
            )
        self._meter.leave()

    def _end(self) -> None:
        if self._write_at != len(self._writes):
            raise ValueError("the validator writes less than when it was recorded")
        self._meter.tell()
        sys.exit(0)

    def clock(self) -> tuple[int, int]:
        return (self._unix_ms + self._now_ms) // 1000, self._quality

    def set_clock(self, unix_ms: int, quality: int) -> None:
        self._unix_ms = unix_ms - self._now_ms
        self._quality = quality

    # Links, chance, keys.

    def dial(self) -> Port:
        self._ports.append(Port(len(self._ports), self._heard))
        return self._ports[-1]

    def random_bytes(self, count: int) -> bytes:
        """Return what the recorded board returned: its numbers are made in the same way."""
        self._meter.enter()
        out = b""
        while len(out) < count:
            self._random += 1
            out += sha256(b"bench" + self._random.to_bytes(4, "big"))
        self._meter.leave()
        return out[:count]

    def public_point(self, private: int) -> tuple[bytes, bytes]:
        x, y = p256.public_key(private)
        return x.to_bytes(32, "big"), y.to_bytes(32, "big")

    def signer(self, kid: bytes, private: int) -> p256.P256Signer:
        return p256.P256Signer(kid, private)

    def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> p256.P256Verifier:
        return p256.P256Verifier(keys)

    # The rider.

    def light(self, _: str) -> None:
        self._meter.enter()
        self._meter.note(LIGHT)
        self._meter.leave()

    def show(self, text: str) -> None: ...

    def say(self, language: str, text: str) -> None: ...

    def show_code(self, text: str) -> None: ...

    def beep(self, pattern: str) -> None: ...

    def log(self, text: str) -> None:
        print("log", text)


start(Board(), _INTERVAL_S).run()
