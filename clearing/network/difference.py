"""What a package would change in a city that is loaded: in words, in money, and from which service day. Pure.

Prices and rules are compared day by day, so that a tariff that is only cut in two, or that ends where another begins, is no
change. What concerns money names the first service day that it touches; a change without one holds from the moment it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from clearing.money import format_minor
from clearing.network.package import CityPackage, Price
from clearing.network.parties import Parties
from clearing.network.records import FIRST_DAY
from clearing.network.ride_rules import RideRules
from clearing.network.tariff_rules import TariffRules, read_tariff_rules, with_ride_rules

_OPEN_END = "9999-12-31"
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class DatedRules:
    """The rules of one dated tariff."""

    valid_from: str
    valid_until: str | None
    rules: TariffRules


@dataclass(frozen=True)
class CityState:
    """A city as it can be compared: one that is loaded, or a package.

    Attributes:
        facts: what does not change in the life of a city, by name.
        places: carriers, routes, vehicles and stops, in words, by name.
        payees: carrier by vehicle: who is owed its fares.
        ride_rules: what validators apply, by name; `rules` what clearing prices by.
        parties: absent where a city was loaded before there were any.
    """

    facts: Mapping[str, str]
    places: Mapping[str, str]
    payees: Mapping[str, str]
    prices: Sequence[Price]
    rules: Sequence[DatedRules]
    ride_rules: Mapping[str, Any]
    parties: Parties | None


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        about: `city`, `network`, `tariff`, `rules` or `parties`.
        text: in words.
        is_money: it changes what somebody pays or is owed, and needs two persons.
        since, until: first and last service day; absent when it holds from its loading on, or without an end.
        before_minor, after_minor: of a price; absent where there is none.
    """

    about: str
    text: str
    is_money: bool
    since: str | None = None
    until: str | None = None
    before_minor: int | None = None
    after_minor: int | None = None


def state_of(package: CityPackage) -> CityState:
    """A package as it can be compared."""
    return CityState(
        facts={name: str(getattr(package, name)) for name in ("number", "zone", "currency", "kato", "iso_3166_2")},
        places={
            **{f"carrier {code}": name_text(names) for code, names in package.carriers.items()},
            **{
                f"route {number}": f"{name_text(names)}, {carrier}"
                for number, (carrier, names) in package.routes.items()
            },
            **{
                f"vehicle {code}": vehicle_text(line, package.plates.get(code))
                for code, line in package.vehicles.items()
            },
            **{f"stop {stop.number}": name_text(stop.names.model_dump()) for stop in package.stops},
        },
        payees={code: package.routes[line][0] for code, line in package.vehicles.items()},
        prices=package.prices,
        rules=[dated_rules(first, last, table, package.rules) for first, last, table in package.dated_rules],
        ride_rules=package.rules_table,
        parties=package.parties,
    )


def dated_rules(first: str, last: str | None, table: Mapping[str, Any], ride_rules: RideRules) -> DatedRules:
    """The rules of a tariff, completed by those of the city."""
    return DatedRules(first, last, with_ride_rules(read_tariff_rules(table), ride_rules))


def vehicle_text(line: int, plate: str | None) -> str:
    """A vehicle in words."""
    return f"line {line}" + (f", {plate}" if plate else "")


def name_text(names: Mapping[str, str]) -> str:
    """A name in all its languages."""
    return " / ".join(dict.fromkeys(names[language] for language in sorted(names)))


def changes(before: CityState, after: CityState) -> list[Change]:
    """Every change, money first."""
    found = [
        *_price_changes(before.prices, after.prices),
        *_rule_changes(before, after),
        *_ride_rule_changes(before.ride_rules, after.ride_rules),
        *_party_changes(before.parties, after.parties),
        *_fact_changes(before.facts, after.facts),
        *_place_changes(before, after),
    ]
    return sorted(found, key=lambda change: not change.is_money)


def _days(pairs: Iterable[tuple[str, str | None]]) -> list[str]:
    """First days of the stretches of time within which nothing begins or ends."""
    days = set()
    for first, last in pairs:
        days.add(first)
        if last is not None:
            days.add(_day(last, 1))
    return sorted(days)


def _day(day: str, later: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=later)).isoformat()


def _holds(first: str, last: str | None, day: str) -> bool:
    return first <= day <= (last or _OPEN_END)


def _stretches(found: Iterable[tuple[str, str | None, _Key]]) -> list[tuple[str, str | None, _Key]]:
    """Join stretches of one key that follow each other: (first day, first day after it, key), oldest first."""
    joined: dict[_Key, list[tuple[str, str | None]]] = {}
    for first, end, key in found:
        of_key = joined.setdefault(key, [])
        if of_key and of_key[-1][1] == first:
            of_key[-1] = (of_key[-1][0], end)
        else:
            of_key.append((first, end))
    return [(first, end and _day(end, -1), key) for key, stretches in joined.items() for first, end in stretches]


def _price_changes(before: Sequence[Price], after: Sequence[Price]) -> Iterator[Change]:
    days = _days((price.valid_from, price.valid_until) for price in (*before, *after))
    found = []
    for day, end in zip(days, [*days[1:], None], strict=True):
        old, new = _prices_on(before, day), _prices_on(after, day)
        for medium, category in sorted({*old, *new}):
            key = (medium, category)
            if old.get(key) != new.get(key):
                found.append((day, end, (category, old.get(key), new.get(key), medium)))
    grouped: dict[tuple[str, str | None, int, int | None, int | None], list[str]] = {}
    for first, last, (category, old_minor, new_minor, medium) in _stretches(found):
        grouped.setdefault((first, last, category, old_minor, new_minor), []).append(medium)
    for (first, last, category, old_minor, new_minor), media in sorted(grouped.items(), key=_place):
        text = f"rider category {category} by {', '.join(sorted(media))}: {_fare(old_minor)} -> {_fare(new_minor)}"
        yield Change("tariff", text, True, first, last, old_minor, new_minor)


def _place(item: tuple[tuple[str, str | None, int, int | None, int | None], list[str]]) -> tuple[str, int]:
    (first, _, category, _, _), _ = item
    return first, category


def _prices_on(prices: Sequence[Price], day: str) -> dict[tuple[str, int], int]:
    return {
        (price.medium, price.category): price.fare_minor
        for price in prices
        if _holds(price.valid_from, price.valid_until, day)
    }


def _fare(fare_minor: int | None) -> str:
    return "not accepted" if fare_minor is None else f"{format_minor(fare_minor)} tenge"


def _rule_changes(before: CityState, after: CityState) -> Iterator[Change]:
    days = _days((dated.valid_from, dated.valid_until) for dated in (*before.rules, *after.rules))
    found = []
    for day, end in zip(days, [*days[1:], None], strict=True):
        old, new = _rules_on(before.rules, day), _rules_on(after.rules, day)
        if old is not None and new is not None:
            found += [
                (day, end, (name, old.get(name), new.get(name))) for name in new if old.get(name) != new.get(name)
            ]
    for first, last, (name, old_text, new_text) in sorted(_stretches(found), key=str):
        since = first
        if name == "free_days":
            differing = sorted(set(json.loads(old_text or "[]")) ^ set(json.loads(new_text or "[]")))
            since = max(first, differing[0])
        yield Change("rules", f"{name}: {old_text} -> {new_text}", True, since, last)


def _rules_on(dated: Sequence[DatedRules], day: str) -> dict[str, str] | None:
    """The rules of a day by name, as texts; absent when there is no tariff."""
    holding = [each for each in dated if _holds(each.valid_from, each.valid_until, day)]
    if not holding:
        return None
    rules = max(holding, key=lambda each: each.valid_from).rules
    return {name: _text(value) for name, value in vars(rules).items()}


def _text(value: object) -> str:
    """Anything of a tariff's rules as one text."""
    return json.dumps(value, default=_plain, ensure_ascii=False, sort_keys=True) if value else "none"


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a rule holds
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    return (
        {name: each for name, each in asdict(value).items() if each}
        if hasattr(value, "__dataclass_fields__")
        else str(value)
    )


def _ride_rule_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    # Of these clearing has its own version in `rules`, by the day.
    dated = {"transfer", "quotas", "free_days"}
    for name in sorted({*before, *after} - dated):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Change("rules", f"validators, {name}: {_text(old)} -> {_text(new)}", True)


def _party_changes(before: Parties | None, after: Parties | None) -> Iterator[Change]:
    if before is None or after is None:
        return
    if after.valid_from < before.valid_from:
        text = f"valid_from: {before.valid_from} -> {after.valid_from}; what was said of the days between is void"
        yield Change("parties", text, True, after.valid_from)
    old, new = _flat(before), _flat(after)
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            text = f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}"
            yield Change("parties", text, ", names" not in name, after.valid_from)


def _flat(parties: Parties) -> dict[str, str]:
    """What is said of each party, by name and key; a party is named by its role and code, whatever its place."""
    flat: dict[str, str] = {}
    for role, said in parties.model_dump(by_alias=True, exclude={"valid_from", "demonstration"}).items():
        for each in said if isinstance(said, (tuple, list)) else (said,):
            name = f"{role} {each.get('code') or each.get('bic') or ''}".strip() if each else role
            flat |= {f"{name}, {key}": _text(value) for key, value in (each or {}).items() if key != "code"}
    return flat


def _fact_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name, new in after.items():
        old = before.get(name, "")
        if old != new:
            # Service days come from the zone, and the number is on cards: this touches every day there was.
            touches_all = name in {"number", "zone", "currency"}
            yield Change("city", f"{name}: {old or 'none'} -> {new}", touches_all, FIRST_DAY if touches_all else None)


def _place_changes(before: CityState, after: CityState) -> Iterator[Change]:
    for vehicle, carrier in after.payees.items():
        if before.payees.get(vehicle, carrier) != carrier:
            text = f"fares of vehicle {vehicle} are owed to {carrier} instead of {before.payees[vehicle]}"
            yield Change("network", text, True)
    for name in sorted({*before.places, *after.places}):
        old, new = before.places.get(name), after.places.get(name)
        if new is None:
            yield Change("network", f"{name} is not named any more; it stays, since taps name it", False)
        elif old is None:
            yield Change("network", f"{name} is new: {new}", False)
        elif old != new:
            yield Change("network", f"{name}: {old} -> {new}", False)
