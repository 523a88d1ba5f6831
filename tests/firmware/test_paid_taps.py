"""Who has paid rides on: how long, on which runs of the vehicle, and by which clock that is told."""

from __future__ import annotations

from firmware.paid_taps import PaidTap, PaidTaps
from protocol.fare_rules import FareRules
from protocol.tap import KIND_SINGLE, Tap

NOW_S = 1_715_742_000
TOKEN = b"t" * 16
RING = FareRules({1: [3600, 1200]})


def tap(sequence: int = 1, token: bytes = TOKEN, trip: int | None = 5, at_s: int = NOW_S, uptime_s: int = 100) -> Tap:
    return Tap(
        sequence=sequence,
        tapped_at_s=at_s,
        clock_quality=3,
        uptime_ms=uptime_s * 1000 + 999,
        boot=2,
        kind=KIND_SINGLE,
        token=token,
        token_key_version=1,
        trip=trip,
        fare_minor=12_000,
    )


def paid(taps: PaidTaps, token: bytes = TOKEN) -> PaidTap:
    found = taps.newest(token)
    assert found is not None
    return found


def one(is_ours: bool = True, **fields: int) -> PaidTap:
    taps = PaidTaps()
    taps.add(tap(**fields), None, True, is_ours)  # type: ignore[arg-type]
    return paid(taps)


def test_what_was_shown_comes_back() -> None:
    taps = PaidTaps()
    taps.add(tap(7), -500, False, True)
    found = paid(taps)
    assert (found.sequence, found.fare_minor, found.balance_minor, found.trip) == (7, 12_000, -500, 5)
    assert not found.seen
    taps.see(found)
    assert paid(taps).seen
    taps.add(tap(8, trip=None), None, True, True)
    assert (paid(taps).trip, paid(taps).balance_minor) == (None, None)


def test_the_newest_of_a_medium_counts_also_when_the_ring_has_turned() -> None:
    taps = PaidTaps()
    for number in range(500):
        taps.add(tap(number + 1, (number % 7).to_bytes(16, "little"), at_s=NOW_S + number), None, True, True)
        for other in range(min(number + 1, 7)):
            newest = number - (number - other) % 7
            assert paid(taps, other.to_bytes(16, "little")).sequence == newest + 1


def test_a_token_that_lies_across_two_entries_is_nobodys() -> None:
    taps = PaidTaps()
    taps.add(tap(), None, True, True)
    inside = bytes(taps._entries[4:12]) + bytes(8)
    assert taps.newest(inside) is None
    assert taps.newest(bytes(16)) is None


def test_within_one_start_the_uptime_tells_whatever_the_clock_does() -> None:
    for now_s in (0, NOW_S - 10_000, NOW_S, NOW_S + 10_000):
        assert one().age_s(now_s, 2, 160) == 60


def test_after_a_start_the_clock_tells_and_one_set_back_makes_nothing_old() -> None:
    assert one().age_s(NOW_S + 60, 3, 5) == 60
    assert one().age_s(NOW_S - 60, 3, 5) == 0
    assert one(is_ours=False).age_s(NOW_S + 7, 2, 100) == 7, "another door has another uptime"


def test_a_ride_lasts_as_long_as_the_city_says_on_its_run_and_on_the_next() -> None:
    ride = one()
    for trip, before, age_s, rides_on in (
        (5, 4, 3599, True),
        (5, 4, 3600, False),
        (6, 5, 1199, True),
        (6, 5, 1200, False),
        (7, 6, 0, False),
        (None, 5, 10, True),
        (None, None, 10, False),
    ):
        assert ride.pays_for(RING, trip, before, age_s) is rides_on, (trip, before, age_s)
    assert not ride.pays_for(FareRules(), 6, 5, 0), "a city without ring routes"
