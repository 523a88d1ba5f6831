"""Sold, applied, and on the card: what two of the three say differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.channels.top_up_check import (
    APPLIED_NOT_ON_CARD,
    LOADED_NOT_SOLD,
    PAID_NOT_LOADED,
    WAITS_THOUGH_SEEN,
    Sale,
    Sighting,
    check_three_ways,
)
from protocol.decisions import DECISION_COMMITTED
from tests.builders import DAY, NOW_S, Device, Office, make_token
from tests.clearing.small_day import send
from tests.clearing.test_counterparties import breaks, reconcile

if TYPE_CHECKING:
    from tests.clearing.command import Command

CARD = b"c" * 16


def sale(at_s: int = 15, amount_minor: int = 500, status: str = "loaded", reference: str = "A") -> Sale:
    return Sale(reference, CARD, amount_minor, at_s, status)


def ride(counter: int, balance_minor: int, at_s: int) -> Sighting:
    return Sighting(CARD, counter, balance_minor, at_s, fare_minor=100)


def load(counter: int, balance_minor: int, at_s: int, amount_minor: int = 500) -> Sighting:
    return Sighting(CARD, counter, balance_minor, at_s, loaded_minor=amount_minor)


@pytest.mark.parametrize(
    ("sales", "seen", "kinds"),
    [
        # Loaded at a desk: one commit that nobody has seen, and the balance has it.
        ([sale()], [ride(5, 900, 10), ride(7, 1300, 20)], []),
        # Paid at a desk and never loaded: the card rides on without it.
        ([sale()], [ride(5, 900, 10), ride(6, 800, 20)], [PAID_NOT_LOADED]),
        ([sale()], [ride(5, 900, 10), ride(6, 800, 20), ride(7, 700, 30)], [PAID_NOT_LOADED]),
        # Loaded later than it was sold.
        ([sale()], [ride(5, 900, 10), ride(6, 800, 20), ride(8, 1200, 30)], []),
        # Nobody has seen the card since.
        ([sale(at_s=40)], [ride(5, 900, 10), ride(6, 800, 20)], []),
        # A lost tap explains a balance that is too low.
        ([sale()], [ride(5, 900, 10), ride(8, 1200, 20)], []),
        # Two sales, one load.
        ([sale(), sale(16, 300, reference="B")], [ride(5, 900, 10), ride(7, 1300, 20)], [PAID_NOT_LOADED]),
        ([sale(), sale(16, 300, reference="B")], [ride(5, 900, 10), ride(7, 1100, 20)], [PAID_NOT_LOADED]),
        ([sale(), sale(16, 300, reference="B")], [ride(5, 900, 10), ride(8, 1600, 20)], []),
        # More on the card than anybody has sold.
        ([sale()], [ride(5, 900, 10), ride(7, 2300, 20)], [LOADED_NOT_SOLD]),
        # On a bus.
        ([sale(status="applied")], [ride(5, 900, 10), load(6, 1400, 20), ride(7, 1300, 30)], []),
        ([sale(status="applied")], [ride(5, 900, 10), load(6, 900, 20)], [APPLIED_NOT_ON_CARD]),
        ([sale(status="waiting")], [ride(5, 900, 10), ride(6, 800, 20)], [WAITS_THOUGH_SEEN]),
        ([sale(at_s=25, status="waiting")], [ride(5, 900, 10), ride(6, 800, 20)], []),
        ([sale(status="refunded")], [ride(5, 900, 10), ride(6, 800, 20)], []),
        ([sale()], [], []),
    ],
)
def test_what_two_of_the_three_say_differently(sales: list[Sale], seen: list[Sighting], kinds: list[str]) -> None:
    report = check_three_ways(sales, seen)
    assert [each.kind for each in report.differences] == kinds
    assert report.sold_minor == sum(each.amount_minor for each in sales)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 900), st.booleans()), max_size=12), st.randoms())
def test_an_honest_life_of_a_card_shows_no_difference(steps: list[tuple[int, int, bool]], chance: Any) -> None:  # noqa: ANN401
    """Rides and loads in any order, loads at desks and on buses, however the records arrive."""
    sales, counter, balance_minor, at_s = [], 1, 10_000, 0
    seen = [ride(1, 10_000, 0)]
    for kind, amount_minor, on_bus in steps:
        counter, at_s = counter + 1, at_s + 10
        if kind == 1:
            balance_minor += amount_minor
            sales.append(sale(at_s, amount_minor, "applied" if on_bus else "loaded", f"S{counter}"))
            if on_bus:
                seen.append(load(counter, balance_minor, at_s, amount_minor))
        else:
            balance_minor -= 100
            seen.append(ride(counter, balance_minor, at_s))
    seen.append(ride(counter + 1, balance_minor - 100, at_s + 10))
    chance.shuffle(seen)
    chance.shuffle(sales)
    report = check_three_ways(sales, seen)
    assert report.differences == []
    assert report.loaded_minor == report.sold_minor


def test_the_report_finds_a_top_up_that_was_paid_and_never_loaded(
    office: Office, device: Device, command: Command
) -> None:
    send(office, device, _rides(device, (5, 90_000, NOW_S - 500)))
    order = {"reference": "T-1", "token": make_token(1).hex(), "amount_minor": 500_000, "at_s": NOW_S - 400}
    assert office.client.post("/v1/top-ups", json=order).status_code == 200
    found = command.json("channels", "check-top-ups", DAY, DAY)
    assert (found["differences"], found["unseen"]) == ([], 1)
    send(office, device, _rides(device, (6, 80_000, NOW_S - 300)))
    asked = {"city": "almaty", "first_day": DAY, "last_day": DAY}
    (difference,) = office.client.get("/v1/top-ups/check", params=asked).json()["differences"]
    assert (difference["kind"], difference["reference"]) == (PAID_NOT_LOADED, "T-1")
    assert command.run("channels", "check-top-ups", DAY, DAY)[0] == 4
    reconcile(office, DAY)
    assert breaks(office) == [(PAID_NOT_LOADED, "T-1")]
    send(office, device, _rides(device, (8, 570_000, NOW_S - 200)))
    assert office.client.get("/v1/top-ups/check", params=asked).json()["differences"] == []
    reconcile(office, DAY)
    assert breaks(office, "vanished") == [(PAID_NOT_LOADED, "T-1")]


def _rides(device: Device, *rides: tuple[int, int, int]) -> list[bytes]:
    """Rides of one card: counter before, balance after, and when."""
    records = []
    for counter, balance_minor, at_s in rides:
        intent, outcome = device.card_ride(1, counter)
        del outcome
        device.next_sequence -= 1
        records += [
            intent,
            device.record(
                kind=15,
                reference=device.next_sequence - 1,
                decision=DECISION_COMMITTED,
                counter=counter + 1,
                fare_minor=10_000,
                balance_minor=balance_minor,
                tapped_at_s=at_s,
                token=make_token(1),
                token_key_version=1,
                medium=1,
            ),
        ]
    return records
