"""Riders with bank cards, and the validators that they hold them to: one in this process, or one that is a real program.

Both run the firmware as it is. The first has its flash and its files in memory, and its links are real HTTP: it is fast, and its
memory cannot be told from that of the cards. The second is a process of its own, whose memory holds nothing but its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware import app
from firmware.enrol import enrol
from firmware.loop import Loop
from simulator.bus import DriverTerminal
from simulator.camera import QrScanner
from simulator.chaos.board import ChaosBoard, Rtc, Store
from simulator.counterparties.acquirer import initial_key
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.flash import NorFlash
from simulator.network import CALM, Network, call_service, request_bytes
from simulator.pn532_chip import Pn532Chip
from simulator.process import ProcessFault, ValidatorProcess
from simulator.wallet import bank_card_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from simulator.service import ClockFile, Service
    from simulator.world import World

_SECTORS = 64
_SECURE_ELEMENT = 1
_NO_LIGHT_MS = 5_000
_NEXT_RIDER_MS = 700
_SENT_WITHIN_MS = 20 * 60_000


class Card:
    """One rider's card.

    Attributes:
        number: of the card: what is looked for.
    """

    def __init__(self, number: int) -> None:
        # Its digits look as any: many zeros would be found in memory by chance.
        self.number = bank_card_number(number * 7_654_321 % 1_000_000_000)
        scheme = VISA_LIKE if number % 2 else MASTERCARD_LIKE
        uid = b"\x08" + hashlib.sha256(f"scanned card {number}".encode()).digest()[:3]
        self.card = EmvCard(uid, self.number, "3012", scheme)


class Lights:
    """What a validator shows, and all that it says besides, which goes into a log.

    Attributes:
        accepted, others: how many riders saw green, and how many something else.
    """

    def __init__(self, log: BinaryIO) -> None:
        self._log = log
        self.accepted = 0
        self.others = 0

    def hear(self, line: str) -> None:
        self._log.write(line.encode() + b"\n")
        word, _, rest = line.partition(" ")
        if word == "light" and rest != "off":
            self.accepted += rest == "green"
            self.others += rest != "green"

    @property
    def seen(self) -> int:
        return self.accepted + self.others


class Wiretap:
    """Carries requests to the service, and writes down every byte there and back."""

    def __init__(self, address: tuple[str, int], capture: BinaryIO) -> None:
        self._address = address
        self._capture = capture

    @property
    def host(self) -> str:
        """Of the service, as HTTP says it."""
        return f"{self._address[0]}:{self._address[1]}"

    def call(self, request: bytes) -> bytes:
        answer = call_service(self._address, request)
        self._capture.write(request + answer)
        return answer


class _HttpPort:
    """A connection of the validator in this process."""

    def __init__(self, wiretap: Wiretap) -> None:
        self._wiretap = wiretap
        self._request = b""
        self._answer = b""
        self.closed = False

    def has_data(self) -> bool:
        return bool(self._answer) or self.closed

    def read(self) -> bytes:
        data, self._answer = self._answer, b""
        return data

    def write(self, data: bytes) -> None:
        self._request += data
        size = request_bytes(self._request)
        if size is not None and len(self._request) >= size:
            self._answer = self._wiretap.call(self._request)
            self.closed = True

    def close(self) -> None:
        self.closed = True


class _Board(ChaosBoard):
    """A board that waits by letting the world's time pass."""

    def wait(self, until_ms: int | None) -> None:
        assert until_ms is not None
        self._world.now_ms = max(self._world.now_ms, self._started_ms + until_ms)


class ValidatorHere:
    """A validator in this process.

    Attributes:
        flash, files: what it leaves behind.
    """

    def __init__(self, name: str, world: World, wiretap: Wiretap, lights: Lights, clock: ClockFile) -> None:
        self._world = world
        self._clock = clock
        self._lights = lights
        self._wiretap = wiretap
        self.flash = NorFlash(_SECTORS)
        self.files = {"acquirer-keys": initial_key(name)}
        self._chip = Pn532Chip()
        store = Store(self.files, _nothing)
        chance = world.chance(name)
        self._board = _Board(world, self.flash, store, Rtc(), chance, self._dial, self._hear, self._to_chip)
        self._board.profile = _SECURE_ELEMENT
        self._board.host = wiretap.host
        self._loop = Loop(self._board)

    def _hear(self, word: str, text: str) -> None:
        self._lights.hear(f"{word} {text}")

    def _dial(self) -> _HttpPort:
        return _HttpPort(self._wiretap)

    def _to_chip(self, data: bytes) -> None:
        self._chip.receive_data(data, self._world.now_ms)
        self._from_chip()

    def _from_chip(self) -> None:
        data = self._chip.data_to_send(self._world.now_ms)
        if data:
            self._board.nfc.deliver(data)

    def enrol(self, code: str) -> None:
        """Enrol, and start to serve."""
        self._loop.spawn(enrol(self._board, self._loop, code))
        self._loop.run()
        self._loop = app.start(self._board)
        self.send()

    def hold(self, card: Card) -> None:
        """A rider holds a card until a light comes, and takes it away."""
        before = self._lights.seen
        self._chip.present(card.card, self._world.now_ms)
        self._from_chip()
        self._run(self._world.now_ms + _NO_LIGHT_MS, lambda: self._lights.seen > before)
        self._chip.remove(card.card)
        self._run(self._world.now_ms + _NEXT_RIDER_MS, _never)

    def send(self) -> None:
        """Send all that waits."""
        self._run(self._world.now_ms + _SENT_WITHIN_MS, _never)

    def _run(self, until_ms: int, is_done: object) -> None:
        board, loop, world = self._board, self._loop, self._world
        while not is_done():  # type: ignore[operator]
            if loop.run_ready():
                continue
            moments = [self._chip.next_timeout_ms()]
            deadline_ms = loop.next_deadline_ms()
            if deadline_ms is not None:
                moments.append(board.moment_ms(deadline_ms))
            next_ms = min((moment for moment in moments if moment is not None), default=until_ms)
            world.now_ms = max(world.now_ms, min(next_ms, until_ms))
            self._clock.set(world.now_ms)
            if next_ms > until_ms:
                return
            self._from_chip()


class ValidatorProgram:
    """A validator that is a process: the real program on a real MicroPython."""

    def __init__(
        self,
        runtime: str,
        state: Path,
        world: World,
        wiretap: Wiretap,
        lights: Lights,
        service: Service,
        clock: ClockFile,
    ) -> None:
        self._world = world
        self._clock = clock
        self._lights = lights
        self._chip = Pn532Chip()
        network = _TappedNetwork(service.address, world, wiretap)
        devices = (self._chip, QrScanner(world.chance("camera")), DriverTerminal())
        self.validator = ValidatorProcess(runtime, state, "scanned", devices, network.dial, lights.hear)

    def start(self, service: Service, code: str) -> None:
        self.validator.enrol(service.address, code)
        self.validator.boot(self._world.now_ms)
        self._run(self._world.now_ms + 30_000, _never)

    @property
    def process_id(self) -> int:
        """Of the process, whose memory is looked at."""
        number = self.validator.process_id
        if number is None:
            raise ProcessFault("the validator has ended")
        return number

    def hold(self, card: Card) -> None:
        """A rider holds a card until a light comes, and takes it away."""
        before = self._lights.seen
        self._chip.present(card.card, self._world.now_ms)
        self._run(self._world.now_ms + _NO_LIGHT_MS, lambda: self._lights.seen > before)
        self._chip.remove(card.card)
        self._run(self._world.now_ms + _NEXT_RIDER_MS, _never)

    def send(self) -> None:
        """Send all that waits."""
        self._run(self._world.now_ms + _SENT_WITHIN_MS, _never)

    def _run(self, until_ms: int, is_done: object) -> None:
        world = self._world
        while not is_done():  # type: ignore[operator]
            deadline_ms = self.validator.run_until_idle(world.now_ms)
            if is_done():  # type: ignore[operator]
                return
            next_ms = until_ms if deadline_ms is None else min(deadline_ms, until_ms)
            world.now_ms = max(world.now_ms, next_ms)
            self._clock.set(world.now_ms)
            if deadline_ms is None or deadline_ms > until_ms:
                return


class _TappedNetwork(Network):
    """A good network, on which somebody listens."""

    def __init__(self, address: tuple[str, int], world: World, wiretap: Wiretap) -> None:
        super().__init__(address, world.chance("network"), CALM)
        self._wiretap = wiretap

    def _call(self, request: bytes) -> bytes:
        return self._wiretap.call(request)


def in_turn(cards: list[Card], taps: int) -> Iterator[Card]:
    """Return who holds a card when: everybody, again and again."""
    for tap in range(taps):
        yield cards[tap % len(cards)]


def _nothing(*_: str) -> None:
    """The power does not fail here."""


def _never() -> bool:
    return False
