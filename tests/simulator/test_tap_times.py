"""Where a tap's time goes: the pieces add up, and the firmware's share is what it is late with."""

from __future__ import annotations

import random

import pytest

from simulator import timing
from tests.bench_tap.counting import Act, Step, uncounted_steps
from tests.bench_tap.measure import percentile, rates
from tests.bench_tap.media import RIDES
from tests.bench_tap.recording import LIGHT, NFC, WRITE, record
from tests.bench_tap.timeline import World, time_of

PROCESSOR = timing.PROCESSORS[timing.REFERENCE]
SELECT = bytes.fromhex("0000ff09f7d4400100a4040001aa00a800")
ANSWER = bytes.fromhex("0000ff05fbd5410090005a00")
LISTED = bytes.fromhex("0000ff15ebd54b010103442007040000000000030675778102807400")


def world(card: timing.CardWork | None = timing.DESFIRE, rate: int = 115_200, kbits: int = 106) -> World:
    return World(card, timing.LINKS[rate], kbits, PROCESSOR)


def exchange(after_command: int, to_light: int) -> list[Step]:
    """A card is listed, a command sent, and the light turns: with so many instructions after the one and before the other."""
    return [
        Step(((NFC, LISTED),), (Act(WRITE, SELECT, len(SELECT), 1000),), 1000 + after_command),
        Step(((NFC, ANSWER),), (Act("program", b"", 128, 10), Act(LIGHT, b"green", 5, to_light)), to_light),
    ]


def test_what_is_done_while_the_card_works_costs_nothing() -> None:
    quick, busy = (time_of(exchange(after, 1000), world(), random.Random(1)) for after in (0, 100_000))
    assert busy == quick
    late = time_of(exchange(5_000_000, 1000), world(), random.Random(1))
    assert late.firmware > quick.firmware + 30
    assert late.total - quick.total == pytest.approx(late.firmware - quick.firmware)


def test_what_is_computed_before_the_light_is_the_firmwares() -> None:
    little, much = (time_of(exchange(0, count), world(), random.Random(1)) for count in (1000, 1_001_000))
    assert much.firmware - little.firmware == pytest.approx(PROCESSOR.compute_ms(1_000_000))
    assert much.flash == little.flash >= timing.PROGRAM_PAGE.low


def test_a_faster_air_and_link_shorten_their_own_parts_only() -> None:
    slow = time_of(exchange(0, 1000), world(), random.Random(1))
    fast = time_of(exchange(0, 1000), world(rate=921_600, kbits=424), random.Random(1))
    assert (fast.card, fast.firmware, fast.flash) == (slow.card, slow.firmware, slow.flash)
    assert timing.ACTIVATION_MS < fast.air < slow.air
    assert fast.link < slow.link


@pytest.mark.parametrize("ride", RIDES, ids=lambda ride: ride.name)
def test_each_medium_is_recorded_and_timed_without_an_emulator(ride) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    recording = record(ride.riders()[:2])
    assert all(shown.startswith("ok ") for shown in recording.shown)
    assert rates(recording)[0] in timing.LINKS
    riders = uncounted_steps(recording)
    assert len(riders) == 2
    for work in ride.works.values():
        split = time_of(riders[1], world(work), random.Random(1))
        assert (split.firmware, split.flash) == (0, 0)
        assert (split.card > 20) == (split.air > 20) == (split.link > 20) == (work is not None)


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 99)] == [51, 96, 100]
