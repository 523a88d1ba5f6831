"""The dated rules of a tariff, beside its prices: `[tariff.rules]` inside a `[[tariff]]` of `tariffs.toml`.

    [tariff.rules]
    free_days = ["2025-03-22"]          # service days on which every ride is free
    quotas = { 3 = 2 }                  # free rides a service day by rider category; then the fare is paid
    transfer = { within_s = 1800, rides = 1, fare_minor = 0 }   # from the last paid ride
    same_vehicle_s = 60                 # a second charge of one medium on the same vehicle is the first one again
    group = { riders_max = 5, media = ["bank_card"] }           # one medium pays for several riders
    ages = { 2 = { from = 7, until = 17 } }                     # years at which a category may be held
    agreed_minor = { 5 = 9000 }         # what the payer of a concession owes for a ride; left out: an adult's fare

    [[tariff.rules.cap]]                # no more than this in a day, a week (from Monday) or a month
    period = "day"
    amount_minor = 36000
    media = ["bank_card"]               # left out: all; so are `categories`

    [[tariff.rules.pass]]
    product = 100                       # its number on cards and in taps, 100 and more
    names = { kk = "…", ru = "…", en = "…" }
    period = "month"
    price_minor = 990000
    media = ["transport_card"]

    [tariff.rules.zones]
    order = ["A", "B", "C"]             # along the line
    stops = { A = [1, 2], B = [3], C = [4] }
    lines = [301]                       # where zones count; left out: on all
    fares_minor = { 1 = [11000, 15000, 20000] }                 # by category: for one zone, two, three
    pairs = [{ zones = ["A", "C"], fares_minor = { 1 = 18000 } }]

    [tariff.rules.tap_off]              # media are held twice; who does not is charged the highest fare from there
    media = ["bank_card"]
    within_s = 7200

A transfer may be narrowed by `media`, `categories`, `same_carrier` and `other_line`. What is left out does not hold. Of what
`[rules]` says as well (`transfer`, `quotas`, `free_days`), a tariff's own word counts; both are told to the buses. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from clearing.network.ride_rules import RideRules
from clearing.network.rule_reading import Reader
from clearing.network.tariff_rule_kinds import (
    Ages,
    Cap,
    Group,
    PassRule,
    TapOff,
    TariffRules,
    Transfer,
    Whom,
    Zones,
)
from protocol.fare_rules import ZONE_MAX, FareRules
from protocol.limits import ZONE_RANGES_MAX
from protocol.tap import PRODUCT_PASSES

__all__ = [
    "LANGUAGES",
    "PERIODS",
    "Ages",
    "Cap",
    "Group",
    "PassRule",
    "TapOff",
    "TariffRules",
    "Transfer",
    "Whom",
    "Zones",
    "offline_rules",
    "read_tariff_rules",
    "stop_zones",
    "with_ride_rules",
]

PERIODS = ("day", "week", "month")
LANGUAGES = ("kk", "ru", "en")
# As many as the fold can tell apart (`clearing.pricing.fold`), and more than any city has.
CAPS_MAX = 16
RIDERS_MAX = 80
_SECONDS_MAX = 86_400
_RIDES_MAX = 100
_AMOUNT_MINOR_MAX = 100_000_000
_CATEGORY_MAX = 0xFFFF
_NUMBER_MAX = 0xFFFFFFFF
_AGE_MAX = 130
_LIST_MAX = 5000
_EPOCH = date(1970, 1, 1)


def read_tariff_rules(table: Mapping[str, Any]) -> TariffRules:
    """Read the rules of one tariff; an empty table has none.

    Raises:
        ValueError: they are not well-formed; it lists every fault.
    """
    reader = Reader("tariff.rules", table)
    rules = TariffRules(
        free_days=frozenset(reader.days("free_days")),
        quotas=reader.by_category("quotas", 1, _RIDES_MAX),
        transfer=_transfer(reader),
        same_vehicle_s=reader.integer("same_vehicle_s", 0, _SECONDS_MAX, 0),
        group=_group(reader),
        ages=_ages(reader),
        agreed_minor=reader.by_category("agreed_minor", 0, _AMOUNT_MINOR_MAX),
        caps=_caps(reader),
        passes=_passes(reader),
        zones=_zones(reader),
        tap_off=_tap_off(reader),
    )
    reader.refuse_the_rest()
    if reader.faults:
        raise ValueError("; ".join(reader.faults))
    return rules


def _whom(reader: Reader) -> Whom:
    return Whom(frozenset(reader.names("media")), frozenset(reader.integers("categories", 0, _CATEGORY_MAX, _LIST_MAX)))


def _transfer(rules: Reader) -> Transfer | None:
    reader = rules.table("transfer")
    if reader is None:
        return None
    transfer = Transfer(
        reader.integer("within_s", 1, _SECONDS_MAX),
        reader.integer("rides", 1, _RIDES_MAX),
        reader.integer("fare_minor", 0, _AMOUNT_MINOR_MAX),
        _whom(reader),
        reader.flag("same_carrier"),
        reader.flag("other_line"),
    )
    reader.refuse_the_rest()
    return transfer


def _group(rules: Reader) -> Group | None:
    reader = rules.table("group")
    if reader is None:
        return None
    group = Group(reader.integer("riders_max", 2, RIDERS_MAX), _whom(reader))
    reader.refuse_the_rest()
    return group


def _ages(rules: Reader) -> dict[int, Ages]:
    ages = {}
    for category, reader in rules.tables_by_category("ages"):
        until = reader.integer("until", 0, _AGE_MAX, -1)
        ages[category] = Ages(reader.integer("from", 0, _AGE_MAX, 0), None if until < 0 else until)
        if 0 <= until < ages[category].first:
            reader.fault("ends before it begins")
        reader.refuse_the_rest()
    return ages


def _caps(rules: Reader) -> tuple[Cap, ...]:
    caps = []
    for reader in rules.tables("cap", CAPS_MAX):
        caps.append(
            Cap(reader.choice("period", PERIODS), reader.integer("amount_minor", 1, _AMOUNT_MINOR_MAX), _whom(reader))
        )
        reader.refuse_the_rest()
    if len({(cap.period, cap.whom) for cap in caps}) < len(caps):
        rules.fault("two caps of one period for the same media and categories: keep the lower one")
    return tuple(caps)


def _passes(rules: Reader) -> dict[int, PassRule]:
    passes: dict[int, PassRule] = {}
    for reader in rules.tables("pass", _LIST_MAX):
        rule = PassRule(
            reader.integer("product", PRODUCT_PASSES, _CATEGORY_MAX),
            reader.texts("names", LANGUAGES),
            reader.choice("period", PERIODS),
            reader.integer("price_minor", 0, _AMOUNT_MINOR_MAX),
            _whom(reader),
        )
        if rule.product in passes:
            reader.fault(f"product {rule.product} is there already")
        passes[rule.product] = rule
        reader.refuse_the_rest()
    return passes


def _zones(rules: Reader) -> Zones | None:
    reader = rules.table("zones")
    if reader is None:
        return None
    order = tuple(reader.names("order"))
    if not order or len(set(order)) < len(order):
        reader.fault("order names each zone once")
    stops: dict[int, str] = {}
    for zone, numbers in reader.lists("stops", 0, _NUMBER_MAX, _LIST_MAX).items():
        if zone not in order:
            reader.fault(f"stops: there is no zone {zone}")
        for stop in numbers:
            if stops.setdefault(stop, zone) != zone:
                reader.fault(f"stop {stop} is in zones {stops[stop]} and {zone}")
    zones = Zones(
        order,
        stops,
        frozenset(reader.integers("lines", 0, _CATEGORY_MAX, _LIST_MAX)),
        _fares_by_zones(reader, len(order)),
        _pairs(reader, order),
    )
    if len(order) > ZONE_MAX:
        reader.fault(f"order: a pass can tell {ZONE_MAX} zones apart")
    elif all(zone in order for zone in stops.values()) and len(stop_zones(zones)) > ZONE_RANGES_MAX:
        reader.fault(f"stops: buses are told {ZONE_RANGES_MAX} ranges: number the stops of a zone one after another")
    reader.refuse_the_rest()
    return zones


def _fares_by_zones(reader: Reader, count: int) -> dict[int, tuple[int, ...]]:
    fares = {}
    for name, amounts in reader.lists("fares_minor", 0, _AMOUNT_MINOR_MAX, count).items():
        if not name.isdecimal() or len(amounts) != count:
            reader.fault(f"fares_minor {name}: a category, and a fare for each number of zones up to {count}")
            continue
        fares[int(name)] = tuple(amounts)
    if not fares:
        reader.fault("fares_minor is missing")
    return fares


def _pairs(zones: Reader, order: tuple[str, ...]) -> dict[tuple[str, str], dict[int, int]]:
    pairs = {}
    for reader in zones.tables("pairs", _LIST_MAX):
        names = reader.names("zones")
        fares = reader.by_category("fares_minor", 0, _AMOUNT_MINOR_MAX)
        if len(names) != 2 or any(name not in order for name in names):
            reader.fault("zones are two of the order")
        else:
            first, last = sorted(names, key=order.index)
            pairs[(first, last)] = fares
        reader.refuse_the_rest()
    return pairs


def _tap_off(rules: Reader) -> TapOff | None:
    reader = rules.table("tap_off")
    if reader is None:
        return None
    tap_off = TapOff(frozenset(reader.names("media")), reader.integer("within_s", 60, _SECONDS_MAX))
    reader.refuse_the_rest()
    return tap_off


def with_ride_rules(rules: TariffRules, ride_rules: RideRules) -> TariffRules:
    """The rules of a tariff, completed by what the city says of all its tariffs (`[rules]`)."""
    city = ride_rules.rules
    plain = Transfer(city.transfer_s, city.transfers_max, city.transfer_fare_minor) if city.transfer_s else None
    return replace(
        rules,
        transfer=rules.transfer or plain,
        quotas=rules.quotas or city.quotas,
        free_days=rules.free_days or frozenset(_iso(day) for day in city.free_days),
    )


def offline_rules(rules: TariffRules, ride_rules: RideRules) -> RideRules:
    """What the buses are told: the city's rules of the ride with those of the tariff, as far as a validator can apply them.

    A narrowed transfer it cannot: it charges the single fare, and clearing gives back what was too much.
    """
    told = FareRules(ride_rules.rules.encode())
    if rules.transfer is not None:
        plain = rules.transfer if rules.transfer.is_plain else Transfer(0, 0, 0)
        told.transfer_s, told.transfers_max, told.transfer_fare_minor = plain.within_s, plain.rides, plain.fare_minor
    told.quotas = dict(rules.quotas) or told.quotas
    if rules.free_days:
        told.free_days = sorted((date.fromisoformat(day) - _EPOCH).days for day in rules.free_days)
    told.zones = [] if rules.zones is None else stop_zones(rules.zones)
    return RideRules(told, ride_rules.allow_listed)


def stop_zones(zones: Zones) -> list[list[int]]:
    """In which zone stops lie, as buses are told: [first stop, last stop, zone]; a zone's number is its place in the order.

    Where that takes more ranges than a fare table has room for, stops that are in no zone count to the one around them.
    """
    exact = _ranges(zones, 1)
    return exact if len(exact) <= ZONE_RANGES_MAX else _ranges(zones, _NUMBER_MAX)


def _ranges(zones: Zones, step_max: int) -> list[list[int]]:
    ranges: list[list[int]] = []
    for stop, name in sorted(zones.stops.items()):
        zone = zones.order.index(name) + 1
        if ranges and ranges[-1][2] == zone and stop - ranges[-1][1] <= step_max:
            ranges[-1][1] = stop
        else:
            ranges.append([stop, stop, zone])
    return ranges


def _iso(day: int) -> str:
    return date.fromordinal(_EPOCH.toordinal() + day).isoformat()
