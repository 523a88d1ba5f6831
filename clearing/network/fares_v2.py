"""Tariffs as GTFS Fares v2 (GTFS Schedule reference, "Fares"), as far as it can say them; the rest is listed. Pure.

A tariff is a fare product `ride_DAY` with a row for each rider category and medium, used by leg rules in a timeframe whose
service is the days on which the tariff holds. Zones are areas, lines with zones a network, transfers are transfer rules. Amounts
have the two decimals of the tenge. The files belong into the city's feed; rows of `calendar.txt` are added to those there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clearing.money import format_minor
from clearing.network.consistency import CATEGORIES
from clearing.network.package_files import ADULT, PackageFiles, TariffTable, prices_of
from clearing.network.tariff_rules import TariffRules, Transfer, Zones

# Columns in the order of the reference; a file is written with all of them.
COLUMNS = {
    "calendar.txt": (
        *("service_id", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("start_date", "end_date"),
    ),
    "timeframes.txt": ("timeframe_group_id", "start_time", "end_time", "service_id"),
    "rider_categories.txt": ("rider_category_id", "rider_category_name", "is_default_fare_category", "eligibility_url"),
    "fare_media.txt": ("fare_media_id", "fare_media_name", "fare_media_type"),
    "fare_products.txt": (
        *("fare_product_id", "fare_product_name", "rider_category_id", "fare_media_id", "amount", "currency"),
    ),
    "fare_leg_rules.txt": (
        *("leg_group_id", "network_id", "from_area_id", "to_area_id", "from_timeframe_group_id"),
        *("to_timeframe_group_id", "fare_product_id", "rule_priority"),
    ),
    "fare_transfer_rules.txt": (
        *("from_leg_group_id", "to_leg_group_id", "transfer_count", "duration_limit", "duration_limit_type"),
        *("fare_transfer_type", "fare_product_id"),
    ),
    "areas.txt": ("area_id", "area_name"),
    "stop_areas.txt": ("area_id", "stop_id"),
    "networks.txt": ("network_id", "network_name"),
    "route_networks.txt": ("network_id", "route_id"),
}
CURRENCY = "KZT"
# A calendar needs an end; a tariff without one ends on this day.
OPEN_END = "20991231"
# The networks of a city in which some lines have fares by zone: these lines, and the others.
ZONED, FLAT = "zoned", "flat"
# fare_media_type: 0 none, 2 transit card, 3 cEMV, 4 mobile app.
MEDIA = {
    "transport_card": ("Transport card", "2"),
    "bank_card": ("Bank card", "3"),
    "phone_nfc": ("Phone by NFC", "3"),
    "qr": ("QR ticket in an app", "4"),
    "qr_screen": ("QR code on the validator", "4"),
    "sms": ("SMS", "0"),
    "cash": ("Cash", "0"),
}
# With priorities an empty network or area means any; without, it would mean those that no other tariff names.
ANYWHERE, BETWEEN_ZONES = "0", "1"
FROM_DEPARTURE_TO_DEPARTURE, FARE_PLUS_TRANSFER = "1", "0"

Row = Mapping[str, str]


@dataclass(frozen=True)
class Unsaid:
    """What Fares v2 cannot say.

    Attributes:
        tariff: first day of the tariff, or `all`.
    """

    tariff: str
    rule: str
    text: str


@dataclass(frozen=True)
class FaresExport:
    """Rows by file, in the order of the reference, and what is not in them."""

    tables: dict[str, list[Row]]
    unsaid: tuple[Unsaid, ...]


def export_fares(files: PackageFiles) -> FaresExport:
    """The tariffs of a package as Fares v2."""
    tables: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    categories = {number: name.capitalize() for number, name in CATEGORIES.items()}
    categories |= {int(number): names.en for number, names in files.tariffs.categories.items()}
    prices = [prices_of(tariff) for tariff in files.tariffs.tariffs]
    tables["rider_categories.txt"] += [
        {
            "rider_category_id": str(number),
            "rider_category_name": categories[number],
            "is_default_fare_category": "1" if number == ADULT else "0",
        }
        for number in sorted({category for each in prices for _, category in each})
    ]
    tables["fare_media.txt"] += [
        {"fare_media_id": medium, "fare_media_name": name, "fare_media_type": kind}
        for medium, (name, kind) in MEDIA.items()
        if any(medium == priced for each in prices for priced, _ in each)
    ]
    _add_places(tables, files)
    unsaid = [Unsaid("all", "service_day", "a service day begins at 03:00; a timeframe knows calendar days only")]
    for tariff, rules in zip(files.tariffs.tariffs, files.tariff_rules, strict=True):
        _add_tariff(tables, tariff, rules)
        unsaid += _unsaid(tariff, rules)
    unsaid += [
        Unsaid("all", name, f"{name} of [rules]: {value}") for name, value in sorted(files.tariffs.rules.items())
    ]
    return FaresExport({name: rows for name, rows in tables.items() if rows}, tuple(unsaid))


def _add_places(tables: dict[str, list[Row]], files: PackageFiles) -> None:
    """Areas and networks: those of the last tariff that has zones, since an area has no dates."""
    zones = next((rules.zones for rules in reversed(files.tariff_rules) if rules.zones), None)
    if zones is None:
        return
    stop_ids = {stop.number: stop.gtfs_id or str(stop.number) for stop in files.network.stops}
    route_ids = {route.number: route.gtfs_id or str(route.number) for route in files.network.routes}
    tables["areas.txt"] += [{"area_id": zone, "area_name": zone} for zone in zones.order]
    tables["stop_areas.txt"] += [
        {"area_id": zone, "stop_id": stop_ids[stop]} for stop, zone in sorted(zones.stops.items())
    ]
    if zones.lines:
        tables["networks.txt"] += [
            {"network_id": ZONED, "network_name": "Lines with fares by zone"},
            {"network_id": FLAT, "network_name": "Lines with one fare"},
        ]
        tables["route_networks.txt"] += [
            {"network_id": ZONED if line in zones.lines else FLAT, "route_id": route_id}
            for line, route_id in sorted(route_ids.items())
        ]


def _add_tariff(tables: dict[str, list[Row]], tariff: TariffTable, rules: TariffRules) -> None:
    name = f"tariff_{tariff.valid_from}"
    week = dict.fromkeys(COLUMNS["calendar.txt"][1:8], "1")
    last = OPEN_END if tariff.valid_until is None else tariff.valid_until.replace("-", "")
    calendar = {"service_id": name, **week, "start_date": tariff.valid_from.replace("-", ""), "end_date": last}
    tables["calendar.txt"].append(calendar)
    tables["timeframes.txt"].append({"timeframe_group_id": name, "service_id": name})
    prices = prices_of(tariff)
    leg = {"leg_group_id": name, "from_timeframe_group_id": name}
    if rules.zones is None or rules.zones.lines:
        product = f"ride_{tariff.valid_from}"
        tables["fare_products.txt"] += _products(product, "Single ride", prices)
        network = FLAT if rules.zones is not None else ""
        rule = {"network_id": network, "fare_product_id": product, "rule_priority": ANYWHERE}
        tables["fare_leg_rules.txt"].append({**leg, **rule})
    if rules.zones is not None:
        _add_zones(tables, tariff.valid_from, leg, rules.zones, prices)
    if rules.transfer is not None and _is_said(rules.transfer):
        _add_transfer(tables, tariff.valid_from, rules.transfer, prices)


def _products(product: str, name: str, fares: Mapping[tuple[str, int], int]) -> list[Row]:
    """One product, priced by medium and rider category."""
    return [
        {
            "fare_product_id": product,
            "fare_product_name": name,
            "rider_category_id": str(category),
            "fare_media_id": medium,
            "amount": format_minor(fare_minor),
            "currency": CURRENCY,
        }
        for (medium, category), fare_minor in sorted(fares.items())
    ]


def _add_zones(
    tables: dict[str, list[Row]], day: str, leg: Row, zones: Zones, prices: Mapping[tuple[str, int], int]
) -> None:
    """A product for each number of zones, and for each pair with a fare of its own; a leg rule for each pair of areas."""
    products: set[str] = set()
    for first in zones.order:
        for last in zones.order:
            begin, end = sorted((first, last), key=zones.order.index)
            distance = zones.order.index(end) - zones.order.index(begin) + 1
            is_own = bool(zones.pairs.get((begin, end)))
            product = f"ride_{day}_{begin}-{end}" if is_own else f"ride_{day}_zones_{distance}"
            fares = {
                (medium, category): fare_minor
                for medium, category in prices
                if (fare_minor := zones.fare_minor(category, begin, end)) is not None
            }
            if product not in products:
                products.add(product)
                tables["fare_products.txt"] += _products(product, f"Ride through {distance} zones", fares)
            network = ZONED if zones.lines else ""
            places = {"network_id": network, "from_area_id": first, "to_area_id": last}
            rule = {**leg, **places, "fare_product_id": product, "rule_priority": BETWEEN_ZONES}
            tables["fare_leg_rules.txt"].append(rule)


def _is_said(transfer: Transfer) -> bool:
    """Whether a transfer rule holds for everybody and everywhere, as Fares v2 has it."""
    return transfer.is_plain


def _add_transfer(
    tables: dict[str, list[Row]], day: str, transfer: Transfer, prices: Mapping[tuple[str, int], int]
) -> None:
    rule = {
        "from_leg_group_id": f"tariff_{day}",
        "to_leg_group_id": f"tariff_{day}",
        "transfer_count": str(transfer.rides),
        "duration_limit": str(transfer.within_s),
        "duration_limit_type": FROM_DEPARTURE_TO_DEPARTURE,
        "fare_transfer_type": FARE_PLUS_TRANSFER,
    }
    if transfer.fare_minor:
        rule["fare_product_id"] = f"transfer_{day}"
        fares = {key: min(transfer.fare_minor, fare_minor) for key, fare_minor in prices.items()}
        tables["fare_products.txt"] += _products(rule["fare_product_id"], "Transfer", fares)
    tables["fare_transfer_rules.txt"].append(rule)


def _unsaid(tariff: TariffTable, rules: TariffRules) -> Iterator[Unsaid]:
    """Every rule of a tariff for which the format has no place."""
    day = tariff.valid_from
    for cap in rules.caps:
        yield Unsaid(day, "cap", f"no more than {format_minor(cap.amount_minor)} tenge in a {cap.period}")
    for category, rides in rules.quotas.items():
        yield Unsaid(day, "quotas", f"rider category {category} rides {rides} times a day for nothing")
    for free_day in sorted(rules.free_days):
        yield Unsaid(day, "free_days", f"{free_day} is free for all")
    for each in rules.passes.values():
        price = format_minor(each.price_minor)
        yield Unsaid(day, "pass", f"{each.names['en']}, {price} tenge a {each.period} (product {each.product})")
    if rules.transfer is not None and not _is_said(rules.transfer):
        yield Unsaid(day, "transfer", f"a transfer within {rules.transfer.within_s} s for some riders or lines only")
    for category, ages in rules.ages.items():
        until = "" if ages.last is None else f" until {ages.last}"
        yield Unsaid(day, "ages", f"rider category {category} is for ages from {ages.first}{until}")
    for category, agreed_minor in rules.agreed_minor.items():
        text = f"the payer of rider category {category} owes {format_minor(agreed_minor)} tenge for a ride"
        yield Unsaid(day, "agreed_minor", text)
    if rules.same_vehicle_s:
        yield Unsaid(day, "same_vehicle_s", f"twice on one vehicle within {rules.same_vehicle_s} s is once")
    if rules.group is not None:
        yield Unsaid(day, "group", f"one medium pays for up to {rules.group.riders_max} riders")
    if rules.tap_off is not None:
        media = ", ".join(sorted(rules.tap_off.media))
        yield Unsaid(day, "tap_off", f"{media} are held twice, or the highest fare is charged")
    yield Unsaid(day, "source", tariff.source + (" (an example)" if tariff.example else ""))


def table_text(name: str, rows: list[Row]) -> str:
    """A file of the feed (RFC 4180, lines end with CR LF)."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS[name], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
