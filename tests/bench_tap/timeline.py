"""Where the time of a tap goes, by the model of `simulator.timing`.

It is counted from the card's first answer, or the last byte of a code, to the light.

What the firmware does while the chip, the air or the card is at work costs nothing; what it is late with is its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from firmware.readers.pn532_frames import FrameDecoder
from simulator import timing
from tests.bench_tap.recording import LIGHT, NFC, WRITE

if TYPE_CHECKING:
    import random

    from simulator.timing import CardWork, Link, Processor
    from tests.bench_tap.counting import Act, Step

_LISTED, _EXCHANGED, _SWITCHED = b"\xd5\x4b", b"\xd5\x41", b"\xd5\x4f"
_DEFAULT_ATS = b"\x05\x72"
_RESPONSE_HEAD_BYTES = 3


@dataclass
class Split:
    """Where the milliseconds of a tap went; `link` is with the reader chip's own work."""

    air: float = 0.0
    link: float = 0.0
    card: float = 0.0
    firmware: float = 0.0
    flash: float = 0.0

    @property
    def total(self) -> float:
        return float(sum(getattr(self, part.name) for part in fields(self)))

    @property
    def without_firmware(self) -> float:
        """What would be left if the firmware computed nothing."""
        return self.total - self.firmware


@dataclass(frozen=True)
class World:
    """What a tap meets.

    Attributes:
        card: how a card works; None for a code.
        link: to the reader chip.
        kbits: of the air.
        processor: that computes.
    """

    card: CardWork | None
    link: Link
    kbits: int
    processor: Processor


class Tap:
    """One tap on the model's clock, which begins with it.

    Attributes:
        split: where its time has gone so far.
        is_over: the light has turned.
    """

    def __init__(self, world: World, chance: random.Random) -> None:
        self.split = Split()
        self.is_over = False
        self._world = world
        self._chance = chance
        self._card_frame_bytes = timing.frame_bytes_of(_DEFAULT_ATS)
        self._free = 0.0  # since when the processor has had nothing to do
        self._sent = 0.0  # when the last command was written
        self._command = b""

    def take(self, step: Step) -> None:
        """Let the firmware hear, compute and act; what it does after the light is not looked at."""
        arrived = max((self._arrival(data) for port, data in step.heard if port == NFC), default=self._free)
        start = max(self._free, arrived)
        done = 0.0
        flash = 0.0
        for act in step.acts:
            computed = self._compute_ms(act.instructions)
            if act.kind in {WRITE, LIGHT}:
                self.split.firmware += computed - done
                done = computed
            if act.kind == LIGHT:
                self.is_over = True
                return
            if act.kind == WRITE:
                self._sent = start + computed + flash
                self._command = act.data
            else:
                flash += self._flash_ms(act)
        self._free = start + self._compute_ms(step.instructions) + flash

    def _arrival(self, data: bytes) -> float:
        """Return when bytes of the chip are there, and say where the time until then has gone."""
        decoder = FrameDecoder()
        decoder.receive(data)
        frame = decoder.next_frame()
        link = self._world.link
        if frame is None or frame.is_ack:
            return self._sent + link.frame_ms(len(self._command) + timing.ACK_BYTES)
        if frame.data[:2] == _LISTED:
            air, card = timing.ACTIVATION_MS, 0.0
            on_link = link.frame_ms(len(data))
            self._card_frame_bytes = timing.frame_bytes_of(_ats(frame.data) or _DEFAULT_ATS)
        else:
            air, card = self._exchange_ms(frame.data)
            on_link = link.frame_ms(len(self._command) + timing.ACK_BYTES + len(data)) + timing.CHIP.draw(self._chance)
        arrived = self._sent + air + card + on_link
        self.split.air += air
        self.split.card += card
        self.split.link += on_link
        self.split.firmware += max(0.0, self._free - arrived)
        return arrived

    def _exchange_ms(self, answer: bytes) -> tuple[float, float]:
        """Return how long a command and its response are in the air, and how long the card works on it."""
        if self._world.card is None:
            return 0.0, 0.0
        if answer[:2] == _SWITCHED:
            return timing.switch_ms(), self._world.card.command.draw(self._chance)
        if answer[:2] != _EXCHANGED:
            return 0.0, 0.0
        decoder = FrameDecoder()
        decoder.receive(self._command)
        sent = decoder.next_frame()
        command = sent.data[_RESPONSE_HEAD_BYTES:] if sent is not None else b""
        response_bytes = len(answer) - _RESPONSE_HEAD_BYTES
        air = timing.air_ms(len(command), response_bytes, self._card_frame_bytes, self._world.kbits)
        return air, self._world.card.draw(command, response_bytes, self._chance)

    def _compute_ms(self, instructions: int | None) -> float:
        return 0.0 if instructions is None else self._world.processor.compute_ms(instructions)

    def _flash_ms(self, act: Act) -> float:
        if act.kind == "program":
            spent = timing.program_ms(act.size, self._chance)
        elif act.kind == "read":
            spent = timing.read_ms(act.size)
        else:
            spent = timing.ERASE_SECTOR.draw(self._chance)
        self.split.flash += spent
        return spent


def _ats(listed: bytes) -> bytes:
    """Return the answer to select of the first card that is listed (UM0701-02 section 7.3.5)."""
    uid_end = 8 + listed[7] if len(listed) > 7 else 0
    return listed[uid_end : uid_end + listed[uid_end]] if 0 < uid_end < len(listed) else b""


def time_of(rider: list[Step], world: World, chance: random.Random) -> Split:
    """Return where the time of one rider's tap goes, from the first thing that is heard of the medium to the light."""
    tap = Tap(world, chance)
    for step in rider:
        tap.take(step)
        if tap.is_over:
            return tap.split
    raise AssertionError("the validator has shown no light")
