"""A validator in process serves riders, and all that is said to it and by it is written down, byte for byte.

The recording is what the emulated Cortex-M4 is told again (`hardware.emulated_m4.device.replay`), and what the model takes sizes
from. It begins with the validator's start and ends before a batch is due, so that nothing but riders happens in it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.app import Parts, start
from firmware.readers.pn532 import RATE_SLOW
from simulator.pn532_chip import Pn532Chip
from simulator.virtual_card import VirtualCard
from tests.firmware.bench_board import BenchBoard, BenchPort
from tests.firmware.bench_service import BenchService
from tests.simulator.validator_bench import BusBench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Medium = VirtualCard | Callable[[int], str]

NFC, QR, DRIVER, FIRST_LINK, MARK = 0, 1, 2, 3, 255
EVENT, WRITE, LIGHT = "event", "write", "light"
_INTERVAL_S = 1_000_000
_SETTLED_MS = 20_000
_BETWEEN_RIDERS_MS = 1_500
_EVENT = struct.Struct("<IIBH")
_WRITE = struct.Struct("<BH")
# What a board is, as far as it can be said in a word: its profile, what it has and has not.
_PLAIN = (bool, int, str, type(None))


@dataclass
class Recording:
    """What was said.

    Attributes:
        store: the validator's files before it starts.
        settings: of its board, as JSON.
        events: to the validator: moment, how many writes came before, port, bytes; a mark before each rider, and behind the last.
        writes: by the validator: port, bytes.
        said: both in one order, and the lights: kind, port, bytes.
        shown: what each rider was told.
    """

    store: dict[str, bytes]
    settings: str
    events: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    writes: list[tuple[int, bytes]] = field(default_factory=list)
    said: list[tuple[str, int, bytes]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def files(self) -> dict[str, bytes]:
        """Return it as the files that the replay reads."""
        events = b"".join(_EVENT.pack(when, before, port, len(data)) + data for when, before, port, data in self.events)
        writes = b"".join(_WRITE.pack(port, len(data)) + data for port, data in self.writes)
        files = {"script/events": events, "script/writes": writes, "script/settings": self.settings.encode()}
        return files | {f"script/store/{name}": content for name, content in self.store.items()}


class _RecordedPort(BenchPort):
    def __init__(self, board: _RecordingBoard, number: int) -> None:
        super().__init__()
        self._board = board
        self._number = number

    def give(self, data: bytes) -> None:
        super().give(data)
        self._board.note_event(self._number, data)

    def write(self, data: bytes) -> None:
        self._board.note_write(self._number, data)
        super().write(data)


class _RecordingBoard(BenchBoard):
    """A bench board that writes down what is said."""

    def __init__(self, bus: BusBench) -> None:
        super().__init__(flash=bus.flash, store=bus.store)
        self.profile = getattr(bus, "profile", self.profile)
        plain = {name: value for name, value in vars(self).items() if name[0] != "_" and _is_plain(value)}
        settings = {
            "unix_ms": self.unix_ms_at_boot,
            "quality": self.quality,
            "sectors": bus.flash.ioctl(4, 0),
            "plain": plain,
        }
        self.recording = Recording({name: bytes(data) for name, data in bus.store.files.items()}, json.dumps(settings))
        self.nfc, self.qr, self.driver = (_RecordedPort(self, number) for number in (NFC, QR, DRIVER))
        self.links = 0

    def note_event(self, number: int, data: bytes) -> None:
        self.recording.events.append((self.now_ms, len(self.recording.writes), number, bytes(data)))
        self.recording.said.append((EVENT, number, bytes(data)))

    def note_write(self, number: int, data: bytes) -> None:
        self.recording.writes.append((number, bytes(data)))
        self.recording.said.append((WRITE, number, bytes(data)))

    def light(self, colour: str) -> None:
        super().light(colour)
        self.recording.said.append((LIGHT, 0, colour.encode()))

    def new_link(self) -> BenchPort:
        self.links += 1
        return _RecordedPort(self, FIRST_LINK + self.links - 1)


class RecordedBus(BusBench):
    """One bus whose validator is recorded."""

    board: _RecordingBoard  # type: ignore[assignment] # another one than a bench bus has

    def start(self, chip: Pn532Chip | None = None) -> None:
        self.board = _RecordingBoard(self)
        self.service = BenchService(self.identity.device, self.board)
        self.board.answer = self.service.answer
        self.chip = chip or Pn532Chip()
        self.board.nfc.on_write = self.chip_hears
        self.board.nfc.on_rate = self.line_changes
        self.line_changes(RATE_SLOW)
        parts = Parts()
        parts.journal = self._open_journal
        self.loop = start(self.board, _INTERVAL_S, parts=parts)
        self.run(_SETTLED_MS)

    def serve(self, medium: Medium) -> None:
        """Serve one rider, who shows a card or, at that moment, a code."""
        self.board.note_event(MARK, b"")
        links = self.board.links
        shown = self.hold(medium) if isinstance(medium, VirtualCard) else self.scan(medium(self.board.clock()[0]))
        assert self.board.links == links, "a batch was sent while a rider was served: record fewer riders"
        self.board.recording.shown.append(shown)
        self.run(_BETWEEN_RIDERS_MS)


def _is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN) or (
        isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    )


def record(media: Iterable[Medium]) -> Recording:
    """Let a validator serve riders one after the other and return what was said."""
    bus = RecordedBus()
    for medium in media:
        bus.serve(medium)
    bus.board.note_event(MARK, b"")
    return bus.board.recording
