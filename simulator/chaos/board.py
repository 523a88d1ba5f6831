"""A board in the simulation's own process (`firmware.boards.board.Board`): ports are buffers, time is the world's.

A board is one life of the hardware, from switching on to a power cut. What survives a cut is handed in: flash, store, clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.boards.crypto_cpython import Aes, Es256Signer, Es256Verifier, public_point
from firmware.boards.desktop import Steps
from protocol.tap import CLOCK_HOLDOVER, CLOCK_UNKNOWN

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from firmware.boards.board import Flash, Port, Signer, Verifier
    from simulator.world import World

HOST = "clearing.example:443"
_EPOCH_2000_S = 946_684_800
_U32_MAX = 0xFFFFFFFF
_SOFTWARE_KEY = 2


class Wire:
    """A UART: what is written goes to somebody, and what somebody sends waits to be read.

    Attributes:
        closed: never.
    """

    closed = False

    def __init__(self, listener: Callable[[bytes], None]) -> None:
        self._listener = listener
        self._waiting = b""

    def deliver(self, data: bytes) -> None:
        """Let bytes arrive."""
        self._waiting += data

    def has_data(self) -> bool:
        return bool(self._waiting)

    def read(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        self._listener(data)

    def set_rate(self, bits_per_s: int) -> None:
        """It carries any."""

    def close(self) -> None:
        """A UART stays open."""


class Store:
    """Small files that survive a power cut: a write happens whole, or the power fails before it.

    Attributes:
        files: what is kept, by name.
    """

    def __init__(self, files: dict[str, bytes], before_write: Callable[[str], None]) -> None:
        self.files = files
        self._before_write = before_write

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._before_write(name)
        self.files[name] = data

    def size(self, name: str) -> int | None:
        return len(self.files[name]) if name in self.files else None

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        return self.files[name][offset : offset + count]

    def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._before_write(name)
        self.files[name] = self.files.get(name, b"") + bytes(data)

    def rename(self, name: str, new_name: str) -> None:
        self._before_write(new_name)
        self.files[new_name] = self.files.pop(name)

    def remove(self, name: str) -> None:
        self._before_write(name)
        self.files.pop(name, None)


class Rtc:
    """The battery-backed clock of a device.

    Attributes:
        offset_ms: how far it is ahead of the true time.
        is_dead: its battery is empty: after each start it knows nothing.
        jumped: it was moved since somebody last set it.
    """

    def __init__(self) -> None:
        self.offset_ms = 0
        self.is_dead = False
        self.jumped = False

    def jump(self, by_ms: int) -> None:
        self.offset_ms += by_ms
        self.jumped = True


class ChaosBoard:
    """One life of a board; see `firmware.boards.board.Board`."""

    def __init__(
        self,
        world: World,
        flash: Flash,
        store: Store,
        rtc: Rtc,
        chance: random.Random,
        dial: Callable[[], Port],
        hear: Callable[[str, str], None],
        to_chip: Callable[[bytes], None],
    ) -> None:
        self._world = world
        self._started_ms = world.now_ms
        self._chance = chance
        self._dial = dial
        self._hear = hear
        self._rtc = rtc
        self._quality = CLOCK_UNKNOWN if rtc.is_dead else CLOCK_HOLDOVER
        if rtc.is_dead:
            rtc.offset_ms = _EPOCH_2000_S * 1000 - world.now_ms
        self.nfc = Wire(to_chip)
        self.qr = Wire(_nobody)
        self.driver = Wire(_nobody)
        self.flash = flash
        self.store = store
        self.aes = Aes()
        self.host = HOST
        self.profile = _SOFTWARE_KEY
        self.neighbours = None
        self.has_code_screen = False
        self.languages: list[str] = []

    # Time.

    def ticks_ms(self) -> int:
        return self._world.now_ms - self._started_ms

    def wait(self, until_ms: int | None) -> None:
        """Nobody waits here: the simulation runs the loop by itself."""
        raise AssertionError(until_ms)

    def moment_ms(self, ticks_ms: int) -> int:
        """Return the world's time at a moment of this life."""
        return self._started_ms + ticks_ms

    def clock(self) -> tuple[int, int]:
        unix_s = (self._world.now_ms + self._rtc.offset_ms) // 1000
        return min(max(unix_s, 0), _U32_MAX), self._quality

    def set_clock(self, unix_ms: int, quality: int) -> None:
        self._rtc.offset_ms = unix_ms - self._world.now_ms
        self._rtc.jumped = False
        self._quality = quality

    # Links, chance, keys.

    def dial(self) -> Port:
        return self._dial()

    def random_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def public_point(self, private: int) -> tuple[bytes, bytes]:
        return public_point(private)

    def signer(self, kid: bytes, private: int) -> Signer:
        return Steps(signer=Es256Signer(kid, private))

    def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> Verifier:
        return Steps(verifier=Es256Verifier(keys))

    # The rider, and whoever holds the board.

    def show(self, text: str) -> None:
        self._hear("show", text)

    def light(self, colour: str) -> None:
        self._hear("light", colour)

    def show_code(self, text: str) -> None:
        """It has no screen for codes."""

    def say(self, language: str, text: str) -> None:
        """It shows no words."""

    def beep(self, pattern: str) -> None:
        """Nobody listens to the sound: it says what the light says."""

    def log(self, text: str) -> None:
        self._hear("log", text)


def _nobody(data: bytes) -> None:
    """Scanner and console take nothing."""
