"""What became of a street: every light that was seen, against what is cleared, and what the cards' purses have paid."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.desfire_card import DesfireCard
    from simulator.service import Service
    from tests.soak.riders import Doubt
    from tests.soak.validator import StreetValidator

CITY = "almaty"
DAY = date(2024, 5, 15)
_FARES_A_PAGE = 5000


@dataclass
class Tally:
    """What came of it.

    Attributes:
        green: rides that were answered by a light.
        cleared: rides in the books.
        lost, doubled, phantom: must be 0.
        dark: cleared, and the power failed between record and light: each is the payment of one driver's key that was pressed.
        server_kills, power_cuts, network: how often, by kind.
        faults: what else was wrong, in words.
    """

    green: int = 0
    cleared: int = 0
    lost: int = 0
    doubled: int = 0
    phantom: int = 0
    dark: int = 0
    presented: int = 0
    server_kills: Counter[str] = field(default_factory=Counter)
    power_cuts: Counter[str] = field(default_factory=Counter)
    network: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def count(tally: Tally, service: Service, validators: Sequence[StreetValidator], cards: Sequence[DesfireCard]) -> None:
    """Count, when the day is closed."""
    fares = _fares(service)
    keys = [fare["source_key"] for fare in fares]
    tally.cleared = len(keys)
    tally.doubled = len(keys) - len(set(keys))
    devices = {row["device"]: row["vehicle"] for row in service.get("/v1/validators")["validators"]}
    cleared: dict[str, set[int]] = {}
    for device, epoch, sequence in (key.split("/") for key in keys):
        if epoch != "1":
            tally.faults.append(f"a ride of epoch {epoch} is cleared")
        cleared.setdefault(devices[device], set()).add(int(sequence))
    for validator in validators:
        _count_validator(tally, validator, cleared.get(validator.vehicle, set()))
    _check_money(tally, service, fares, cards)


def _count_validator(tally: Tally, validator: StreetValidator, cleared: set[int]) -> None:
    riders = validator.riders
    tally.green += len(riders.seen)
    tally.presented += riders.presented
    lost = sorted(riders.seen - cleared)
    tally.lost += len(lost)
    if lost:
        tally.faults.append(f"{validator.vehicle} ({validator.runtime}): lost are {', '.join(map(str, lost[:10]))}")
    dark, phantom = explain(cleared - riders.seen, riders.doubts)
    tally.dark += dark
    tally.phantom += phantom
    tally.power_cuts.update(validator.power_cuts)
    tally.faults += validator.faults
    if riders.unsettled:
        tally.faults.append(f"{validator.vehicle}: {riders.unsettled} riders gave up, refused {dict(riders.refused)}")


def _check_money(tally: Tally, service: Service, fares: list[dict[str, Any]], cards: Sequence[DesfireCard]) -> None:
    """The books balance, and the purses of the cards have paid what is cleared: each card is a witness."""
    balance = service.get("/v1/ledger/trial-balance", city=CITY)
    tally.faults += balance["faults"]
    if balance["imbalance_minor"]:
        tally.faults.append(f"the books are off by {balance['imbalance_minor']}")
    paid = [amount for card in cards for amount in card.committed_debits_minor]
    booked = [fare["charged_minor"] for fare in fares if fare["medium"] == "transport_card"]
    tally.doubled += max(0, len(booked) - len(paid))
    if sorted(paid) != sorted(booked):
        tally.faults.append(
            f"purses have paid {len(paid)} rides, {sum(paid)}; cleared are {len(booked)}, {sum(booked)}"
        )


def explain(unseen: set[int], doubts: Sequence[Doubt]) -> tuple[int, int]:
    """Return how many rides that nobody saw are payments in doubt, each explaining one, and how many nothing explains."""
    doubts = sorted(doubts, key=lambda doubt: doubt.before or sys.maxsize)
    dark = 0
    for sequence in sorted(unseen):
        doubt = next((each for each in doubts if each.explains(sequence)), None)
        if doubt is not None:
            doubts.remove(doubt)
            dark += 1
    return dark, len(unseen) - dark


def _fares(service: Service) -> list[dict[str, Any]]:
    fares: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = service.get("/v1/fares", city=CITY, day=DAY.isoformat(), after=after, limit=_FARES_A_PAGE)
        fares += page["fares"]
        after = page["next_after"]
    return fares
