"""Tariffs of GTFS Fares v2 as a `tariffs.toml`, for a person to look through. What a tariff here cannot say is listed. Pure.

It reads what `fares_v2` writes, and as much of others: leg rules by timeframes of whole days, one network with areas, products
by rider category and medium, plain transfers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearing.network.fares_v2 import COLUMNS, FARE_PLUS_TRANSFER, FROM_DEPARTURE_TO_DEPARTURE, MEDIA, OPEN_END
from clearing.network.fares_v2_reading import Fares, FeedFares
from clearing.network.faults import Fault
from clearing.network.gtfs_feed import LINE, Feed, FeedError, require_tables
from clearing.network.package_files import ADULT, CASH

TABLES = (*COLUMNS, "calendar_dates.txt", "fare_leg_join_rules.txt", "routes.txt")


@dataclass(frozen=True)
class TariffsImport:
    """What became of a feed's fares.

    Attributes:
        tariffs: tables of `[[tariff]]`, oldest first.
        categories: tables of `[categories]` by number.
        notes: what is in the feed and not here, a sentence each.
    """

    tariffs: tuple[dict[str, Any], ...]
    categories: dict[str, dict[str, str]]
    notes: tuple[str, ...]


def import_fares(feed: Feed, stops: Mapping[str, int], lines: Mapping[str, int]) -> TariffsImport:
    """Make tariffs of a feed's fares.

    Args:
        feed: with `TABLES`.
        stops: numbers of the package's stops by the feed's ids.
        lines: numbers of its routes by the feed's ids.

    Raises:
        FeedError: an amount is negative or in another currency, or a row names what is not there.
    """
    require_tables(feed, ("fare_products.txt", "fare_leg_rules.txt"))
    fares = FeedFares(feed)
    making = _Tariffs(feed, fares, stops, lines)
    tariffs = [making.tariff(group) for group in fares.groups()]
    if fares.faults:
        raise FeedError(feed.name, fares.faults)
    tariffs.sort(key=lambda tariff: str(tariff["valid_from"]))
    return TariffsImport(tuple(tariffs), fares.categories, tuple(dict.fromkeys(fares.notes)))


class _Tariffs:
    """Makes tariffs of a feed's fares."""

    def __init__(self, feed: Feed, fares: FeedFares, stops: Mapping[str, int], lines: Mapping[str, int]) -> None:
        self._feed, self._stops, self._lines = feed, stops, lines
        self._products, self._notes, self._fares = fares.products, fares.notes, fares

    def tariff(self, rules: Sequence[dict[str, str]]) -> dict[str, Any]:
        """A tariff of the leg rules of one timeframe."""
        first, last = self._dates(rules[0])
        tariff: dict[str, Any] = {"valid_from": first}
        if last is not None:
            tariff["valid_until"] = last
        tariff["source"] = f"GTFS Fares v2 of {self._feed.name}"
        flat = [row for row in rules if not row.get("from_area_id") and not row.get("to_area_id")]
        zoned = [row for row in rules if row.get("from_area_id") and row.get("to_area_id")]
        half = len(rules) - len(flat) - len(zoned)
        if half:
            self._notes.append(f"{half} leg rules of {first} name one area only: they are left out")
        fares = self._flat_fares(first, flat)
        zones = self._zones(first, zoned) if zoned else None
        tariff |= price_tables(
            fares or {key: fare for row in zoned[:1] for key, fare in self._products[row["fare_product_id"]].items()}
        )
        table: dict[str, Any] = {}
        transfer = self._transfer(first, {row.get("leg_group_id", "") for row in rules})
        if transfer is not None:
            table["transfer"] = transfer
        if zones is not None:
            table["zones"] = zones
        return tariff | ({"rules": table} if table else {})

    def _dates(self, rule: Mapping[str, str]) -> tuple[str, str | None]:
        """First and last day of a timeframe; a tariff without one holds always."""
        group = rule.get("from_timeframe_group_id", "")
        services = {
            row["service_id"] for row in self._feed.rows("timeframes.txt") if row["timeframe_group_id"] == group
        }
        days = [row for row in self._feed.rows("calendar.txt") if row["service_id"] in services]
        if group and not days:
            self._fares.fault(
                "fare_leg_rules.txt", rule, f"timeframe {group} has no days in calendar.txt", "add its service there"
            )
        if not days:
            return "2000-01-01", None
        for row in days:
            if any(row[day] != "1" for day in COLUMNS["calendar.txt"][1:8]):
                self._notes.append(f"service {row['service_id']} is not on every day of the week: it is taken to be")
        if any(row["service_id"] in services for row in self._feed.rows("calendar_dates.txt")):
            self._notes.append(f"exceptions in calendar_dates.txt of timeframe {group} are left out")
        first, last = min(row["start_date"] for row in days), max(row["end_date"] for row in days)
        return _iso(first), None if last >= OPEN_END else _iso(last)

    def _flat_fares(self, first: str, rules: Sequence[Mapping[str, str]]) -> Fares:
        """Fares without zones; where networks have fares of their own, those of the first one."""
        networks = list(dict.fromkeys(row.get("network_id", "") for row in rules))
        for network in networks[1:]:
            self._notes.append(
                f"tariff {first}: the fares of network {network or 'all'} are left out: prices are not by line here"
            )
        fares: Fares = {}
        for row in (row for row in rules if row.get("network_id", "") in networks[:1]):
            for key, fare_minor in self._products[row["fare_product_id"]].items():
                if fares.setdefault(key, fare_minor) != fare_minor:
                    self._notes.append(
                        f"tariff {first}: {key[0]} for rider category {key[1]} has two fares: the lower one is taken"
                    )
                    fares[key] = min(fares[key], fare_minor)
        return fares

    def _zones(self, first: str, rules: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Zones in the order of `areas.txt`, with their fares: for a number of zones, and of pairs that differ."""
        order = [row["area_id"] for row in self._feed.rows("areas.txt")]
        by_pair = self._fares_by_pair(first, order, rules)
        usual = _most_common(by_pair)
        categories = sorted({category for fares in usual.values() for category in fares})
        for distance in range(len(order)):
            if set(usual.get(distance, ())) != set(categories):
                what = f"no fare through {distance + 1} zones for every rider category"
                self._fares.fault("fare_leg_rules.txt", rules[0], what, "write a rule for each pair of areas")
        pairs = [
            {"zones": [order[begin], order[end]], "fares_minor": {str(key): fare for key, fare in fares.items()}}
            for (begin, end), fares in by_pair.items()
            if fares != usual[end - begin]
        ]
        networks = {row.get("network_id", "") for row in rules}
        fares_minor = {
            str(category): [usual.get(distance, {}).get(category, 0) for distance in range(len(order))]
            for category in categories
        }
        table = {"order": order, **self._places(order, networks), "fares_minor": fares_minor}
        return table | ({"pairs": pairs} if pairs else {})

    def _fares_by_pair(
        self, first: str, order: Sequence[str], rules: Iterable[Mapping[str, str]]
    ) -> dict[tuple[int, int], dict[int, int]]:
        """Fares by rider category from one zone to another, both by their place in the order; the nearer one comes first."""
        found: dict[tuple[int, int], dict[int, int]] = {}
        for row in rules:
            areas = (row["from_area_id"], row["to_area_id"])
            if any(area not in order for area in areas):
                self._fares.fault("fare_leg_rules.txt", row, "names an area that is not there", "add it to areas.txt")
                continue
            begin, end = sorted(order.index(area) for area in areas)
            fares: dict[int, int] = {}
            for (medium, category), fare_minor in self._products[row["fare_product_id"]].items():
                if fares.setdefault(category, fare_minor) != fare_minor:
                    self._notes.append(
                        f"tariff {first}: fares by zone differ by medium; those of {medium} are left out"
                    )
            if found.setdefault((begin, end), fares) != fares:
                self._notes.append(f"tariff {first}: {' and '.join(areas)} have another fare back: one is taken")
        return found

    def _places(self, order: Sequence[str], networks: set[str]) -> dict[str, Any]:
        """On which lines zones count, and which stops lie in each."""
        routes = [row["route_id"] for row in self._feed.rows("route_networks.txt") if row["network_id"] in networks]
        stops: dict[str, list[int]] = {zone: [] for zone in order}
        for row in self._feed.rows("stop_areas.txt"):
            if row["area_id"] in stops:
                stops[row["area_id"]].append(self._number("stop", row["stop_id"], self._stops))
        return {
            "lines": sorted(self._number("route", route, self._lines) for route in routes),
            "stops": {zone: sorted(numbers) for zone, numbers in stops.items()},
        }

    def _number(self, kind: str, gtfs_id: str, known: Mapping[str, int]) -> int:
        if gtfs_id not in known:
            what = f"{kind} {gtfs_id} is not in network.toml"
            self._fares.faults.append(
                Fault("stop_areas.txt" if kind == "stop" else "route_networks.txt", 0, what, "import the network first")
            )
        return known.get(gtfs_id, 0)

    def _transfer(self, first: str, groups: set[str]) -> dict[str, int] | None:
        found = None
        for row in self._feed.rows("fare_transfer_rules.txt"):
            ends = {row.get("from_leg_group_id", ""), row.get("to_leg_group_id", "")}
            if not ends & (groups - {""}):
                continue
            amounts = set(self._products.get(row.get("fare_product_id", ""), {("", 0): 0}).values())
            is_plain = (
                len(ends) == 1
                and row["fare_transfer_type"] == FARE_PLUS_TRANSFER
                and row.get("duration_limit_type") == FROM_DEPARTURE_TO_DEPARTURE
                and int(row.get("transfer_count") or 0) > 0
            )
            if not is_plain or found is not None:
                self._notes.append(
                    f"tariff {first}: transfer rule in line {row[LINE]} is left out: it has no counterpart here"
                )
                continue
            found = {
                "within_s": int(row["duration_limit"]),
                "rides": int(row["transfer_count"]),
                "fare_minor": max(amounts),
            }
        return found


def _most_common(by_pair: Mapping[tuple[int, int], dict[int, int]]) -> dict[int, dict[int, int]]:
    """Fares of most pairs that lie so many zones apart, by how many."""
    counted: defaultdict[int, Counter[tuple[tuple[int, int], ...]]] = defaultdict(Counter)
    for (begin, end), fares in sorted(by_pair.items()):
        counted[end - begin][tuple(sorted(fares.items()))] += 1
    return {distance: dict(fares.most_common(1)[0][0]) for distance, fares in counted.items()}


def _iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


def price_tables(fares: Fares) -> dict[str, Any]:
    """Prices by medium and rider category as the tables of a tariff: media with the same prices share one."""
    by_medium: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for (medium, category), fare_minor in fares.items():
        by_medium[medium][category] = fare_minor
    cash = by_medium.pop(CASH, None)
    groups: dict[tuple[int | None, tuple[tuple[int, int], ...]], list[str]] = {}
    alone: dict[int | None, list[str]] = {}
    for medium in MEDIA:
        if medium in by_medium:
            others = tuple(sorted((key, fare) for key, fare in by_medium[medium].items() if key != ADULT))
            adult = by_medium[medium].get(ADULT)
            (groups.setdefault((adult, others), []) if others else alone.setdefault(adult, [])).append(medium)
    tables = []
    for (adult, others), media in groups.items():
        with_others = [*media, *alone.pop(adult, [])]
        priced = {**({} if adult is None else {"1": adult}), **{str(key): fare for key, fare in others}}
        tables.append({"media": _in_order(with_others), "fares_minor": priced, "concession_media": media})
    tables += [{"media": media, "fares_minor": {"1": adult}} for adult, media in alone.items()]
    tables.sort(key=lambda table: -len(table["media"]))
    said: dict[str, Any] = {"cashless": tables[0]} if tables else {}
    said |= {"special": tables[1:]} if tables[1:] else {}
    return said | ({"cash": {"fares_minor": {str(key): fare for key, fare in sorted(cash.items())}}} if cash else {})


def _in_order(media: Iterable[str]) -> list[str]:
    wanted = set(media)
    return [medium for medium in MEDIA if medium in wanted]
