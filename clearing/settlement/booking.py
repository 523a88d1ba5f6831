"""The entries that a close books, from its totals alone. Pure.

A version books the difference to what the versions before it have booked, so that all versions together always book the day
once. What each carrier is due after commission, pools and changes adds up to what was taken, to the tiyn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from clearing.ledger.chart import (
    agents_account,
    commission_account,
    concession_account,
    funding_account,
    payable_account,
    pending_account,
    purses_account,
    refund_account,
)
from clearing.ledger.entries import Entry, entry_of
from clearing.money import split_minor
from clearing.settlement.totals import Totals

# By these the rider has paid what the record says; by others the counterparty will be asked for the fare alone.
TAKEN_ON_THE_SPOT = frozenset({"transport_card", "cash", "sms"})
BASIS = 10_000
Legs = dict[str, int]


def legs_by_subject(city: str, totals: Totals | None) -> dict[str, Legs]:
    """Amounts by account for each subject of a day, as they stand after these totals.

    Subjects are `CARRIER/MEDIUM` for rides; `top-ups`, `concessions`, `commissions`, `pools`, `transfers`, `adjustments`.
    """
    if totals is None:
        return {}
    subjects = _rides(city, totals)
    for subject, legs_of in _OTHERS.items():
        legs = legs_of(city, totals)
        if legs:
            subjects[subject] = legs
    return subjects


def _rides(city: str, totals: Totals) -> dict[str, Legs]:
    subjects: dict[str, Counter[str]] = {}
    for line in totals.lines:
        taken = line.charged_minor + (line.correction_minor if line.medium in TAKEN_ON_THE_SPOT else 0)
        legs = subjects.setdefault(f"{line.carrier}/{line.medium}", Counter())
        legs[funding_account(city, line.carrier, line.medium, line.party)] += taken
        legs[payable_account(city, line.carrier)] -= line.charged_minor
        legs[refund_account(city)] += line.charged_minor - taken
    return {subject: dict(legs) for subject, legs in subjects.items()}


def _top_ups(city: str, totals: Totals) -> Legs:
    """What agents owe, and what is on purses for it, or waits for its card."""
    legs: Counter[str] = Counter()
    for line in totals.agents:
        legs[agents_account(city, line.party)] += line.sold_minor
        legs[pending_account(city)] -= line.waiting_minor
        legs[purses_account(city)] -= line.sold_minor - line.waiting_minor
    if not totals.agents:
        # Closes of format 1 do not say by whom they were sold.
        legs.update({agents_account(city): totals.top_ups_minor, purses_account(city): -totals.top_ups_minor})
    legs[pending_account(city)] += totals.applied_minor
    legs[purses_account(city)] -= totals.applied_minor
    return dict(legs)


def _concessions(city: str, totals: Totals) -> Legs:
    legs: Counter[str] = Counter()
    for line in totals.subsidies:
        legs[concession_account(city, line.payer)] += line.subsidy_minor
        legs[payable_account(city, line.carrier)] -= line.subsidy_minor
    return dict(legs)


def commissions(totals: Totals) -> dict[tuple[str, str], int]:
    """What each operator keeps of the fares of each carrier, by (carrier, operator)."""
    fares: Counter[tuple[str, str, int]] = Counter()
    for line in totals.lines:
        fares[line.carrier, line.operator, line.commission_bp] += line.charged_minor
    kept: Counter[tuple[str, str]] = Counter()
    for (carrier, operator, basis_points), fares_minor in fares.items():
        kept[carrier, operator] += split_minor(fares_minor, [basis_points, BASIS - basis_points])[0]
    return {who: amount_minor for who, amount_minor in kept.items() if amount_minor}


def _commissions(city: str, totals: Totals) -> Legs:
    legs: Counter[str] = Counter()
    for (carrier, operator), amount_minor in commissions(totals).items():
        legs[payable_account(city, carrier)] += amount_minor
        legs[commission_account(city, operator)] -= amount_minor
    return dict(legs)


def net_fares(totals: Totals) -> dict[str, int]:
    """What each carrier has of the fares that it drove, after commission and changes, and before pools."""
    net: Counter[str] = Counter()
    for line in totals.lines:
        net[line.carrier] += line.charged_minor
    for (carrier, _), amount_minor in commissions(totals).items():
        net[carrier] -= amount_minor
    net.update(dict(totals.transfers))
    return dict(net)


def pool_shares(totals: Totals) -> dict[str, int]:
    """What each carrier gets out of its pool beyond what it put in; negative where it gives. They add up to nothing."""
    net = net_fares(totals)
    gains: dict[str, int] = {}
    for pool in totals.pools:
        carriers = [carrier for carrier, _ in pool.weights]
        weights = [weight for _, weight in pool.weights]
        if not any(weights):
            continue
        parts = split_minor(sum(net.get(carrier, 0) for carrier in carriers), weights)
        gains |= {carrier: part - net.get(carrier, 0) for carrier, part in zip(carriers, parts, strict=True)}
    return gains


def _pools(city: str, totals: Totals) -> Legs:
    return {payable_account(city, carrier): -gain for carrier, gain in pool_shares(totals).items()}


def _transfers(city: str, totals: Totals) -> Legs:
    return {payable_account(city, carrier): -gain for carrier, gain in totals.transfers}


def _adjustments(_city: str, totals: Totals) -> Legs:
    legs: Counter[str] = Counter()
    for line in totals.adjustments:
        for account, amount_minor in line.legs:
            legs[account] += amount_minor
    return dict(legs)


_OTHERS: Mapping[str, Callable[[str, Totals], Legs]] = {
    "top-ups": _top_ups,
    "concessions": _concessions,
    "commissions": _commissions,
    "pools": _pools,
    "transfers": _transfers,
    "adjustments": _adjustments,
}


def entries_between(city: str, day: str, version: int, before: Totals | None, after: Totals) -> list[Entry]:
    """The entries that a version books: what the day is worth after it, less what was booked before it."""
    old, new = legs_by_subject(city, before), legs_by_subject(city, after)
    entries = []
    for subject in sorted({*old, *new}):
        legs = dict(new.get(subject, {}))
        for account, amount in old.get(subject, {}).items():
            legs[account] = legs.get(account, 0) - amount
        key = f"close/{city}/{day}/{version}/{subject}"
        entry = entry_of(key, city, day, f"{day}: {subject.replace('/', ', ')}", legs)
        if entry is not None:
            entries.append(entry)
    return entries
