"""Measures the taps of each medium, in the world as the firmware sets it up and in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.readers.pn532_frames import HOST_TO_CHIP, FrameDecoder
from simulator import timing
from tests.bench_tap.counting import steps
from tests.bench_tap.media import RIDES
from tests.bench_tap.recording import NFC, record
from tests.bench_tap.timeline import Split, World, time_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.bench_tap.media import Ride
    from tests.bench_tap.recording import Recording

# Of each tap that was counted: in the world as it is, and in others.
_DRAWS = 200
_DRAWS_OF_OTHERS = 20
_SET_SERIAL_BAUDRATE = 0x10
_PARAMETER_SWITCH = 0x4E
# UM0701-02: how SetSerialBaudrate and InPSL name a rate.
_BAUDRATES = {4: 115_200, 7: 921_600}
_AIR_RATES = {0: 106, 1: 212, 2: 424}


@dataclass(frozen=True)
class Measured:
    """The taps of one medium.

    Attributes:
        ride: which.
        kind: of its cards: plastic or phone.
        host_rate, kbits: of the link and of the air, as the firmware sets them up.
        splits: a tap each.
        others: largest of 99 in 100 taps by (air, link), milliseconds.
    """

    ride: Ride
    kind: str
    host_rate: int
    kbits: int
    splits: list[Split]
    others: dict[tuple[int, int], float]

    @property
    def name(self) -> str:
        return f"{self.ride.name}, {self.kind}" if self.kind else self.ride.name


def measure(chance: random.Random) -> list[Measured]:
    """Record, replay and time each medium's taps."""
    return [measured for ride in RIDES for measured in _measure(ride, chance)]


def _measure(ride: Ride, chance: random.Random) -> Iterator[Measured]:
    recording = record(ride.riders())
    assert all(shown.startswith("ok ") for shown in recording.shown), (ride.name, recording.shown)
    riders = steps(recording)[ride.warm_up :]
    host_rate, kbits = rates(recording)
    for kind, work in ride.works.items():

        def taps(rate: int, air: int, draws: int, work: timing.CardWork | None = work) -> list[Split]:
            world = World(work, timing.LINKS[rate], air, timing.PROCESSORS[timing.REFERENCE])
            return [time_of(rider, world, chance) for _ in range(draws) for rider in riders]

        others = {}
        if work is not None:
            others = {
                (air, rate): percentile([tap.total for tap in taps(rate, air, _DRAWS_OF_OTHERS)], 99)
                for air in timing.AIR_KBITS
                for rate in timing.LINKS
            }
        yield Measured(ride, kind, host_rate, kbits, taps(host_rate, kbits, _DRAWS), others)


def rates(recording: Recording) -> tuple[int, int]:
    """Return the rates that the firmware has set, on the link (bit/s) and in the air (kbit/s), or those that all begin with."""
    host_rate, kbits = timing.UART_DEFAULT, timing.AIR_KBITS[0]
    decoder = FrameDecoder()
    for port, data in recording.writes:
        if port != NFC:
            continue
        decoder.receive(data)
        while (frame := decoder.next_frame()) is not None:
            code, parameters = frame.data[:2], frame.data[2:]
            if code == bytes((HOST_TO_CHIP, _SET_SERIAL_BAUDRATE)):
                host_rate = _BAUDRATES[parameters[0]]
            elif code == bytes((HOST_TO_CHIP, _PARAMETER_SWITCH)):
                kbits = _AIR_RATES[parameters[1]]
    return host_rate, kbits


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
