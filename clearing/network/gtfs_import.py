"""Routes and stops of a GTFS feed as a `network.toml`, for a person to look through before it is loaded. Pure.

Numbers are kept from one import to the next by `gtfs_id`; a new route takes the number that riders know it by, a new stop the
one on its sign, and where this is no number or is taken, a free one, which is noted. Vehicles are not in a feed: they are taken
over from the network before as far as their lines are there.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clearing.network.faults import Fault
from clearing.network.gtfs_feed import LINE, Feed, FeedError, require_tables
from clearing.network.package_files import NetworkFile, RouteTable, StopTable, VehicleTable
from clearing.network.records import Names

TABLES = ("agency.txt", "routes.txt", "stops.txt", "trips.txt", "stop_times.txt", "translations.txt", "feed_info.txt")
LANGUAGES = ("kk", "ru", "en")
# Numbers that no city gives its routes; a route without a number of its own gets one from here.
_FREE_ROUTES = range(60_001, 0xFFFF)
_ROUTE_MAX = 0xFFFF
_STOP_MAX = 0xFFFFFFFF
_NOT_A_CODE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class NetworkImport:
    """What became of a feed.

    Attributes:
        carriers: names by code.
        notes: what a person should look at, a sentence each.
    """

    carriers: dict[str, Names]
    routes: tuple[RouteTable, ...]
    stops: tuple[StopTable, ...]
    vehicles: tuple[VehicleTable, ...]
    notes: tuple[str, ...]


def import_network(feed: Feed, before: NetworkFile, carrier: str = "") -> NetworkImport:
    """Make a network of a feed.

    Args:
        feed: with `TABLES`.
        before: the network that the package has now.
        carrier: the carrier that drives all routes; otherwise each agency is one.

    Raises:
        FeedError: a table is missing, or rows name what is not there.
    """
    require_tables(feed, ("agency.txt", "routes.txt", "stops.txt", "trips.txt", "stop_times.txt"))
    _require_references(feed)
    notes: list[str] = []
    texts = _Texts(feed)
    carriers, by_agency = _carriers(feed, texts, before, carrier)
    stops = _stops(feed, texts, before, notes)
    routes = _routes(feed, texts, before, by_agency, {stop.gtfs_id or "": stop.number for stop in stops}, notes)
    lines = {route.number for route in routes}
    vehicles = tuple(group for group in before.vehicles if group.line in lines)
    notes += [
        f"vehicles {', '.join(group.codes)} are left out: there is no route {group.line} any more"
        for group in before.vehicles
        if group.line not in lines
    ]
    bare = sorted(lines - {group.line for group in vehicles})
    notes += [f"routes without vehicles: {', '.join(map(str, bare))}"] if bare else []
    notes += texts.notes()
    return NetworkImport(carriers, routes, stops, vehicles, tuple(notes))


def _require_references(feed: Feed) -> None:
    """Rows that name a route, trip or stop which the feed does not have."""
    routes = {row["route_id"] for row in feed.rows("routes.txt")}
    trips = {row["trip_id"] for row in feed.rows("trips.txt")}
    stops = {row["stop_id"] for row in feed.rows("stops.txt")}
    wanted = (
        ("trips.txt", "route_id", routes),
        ("stop_times.txt", "trip_id", trips),
        ("stop_times.txt", "stop_id", stops),
    )
    faults = [
        Fault(table, int(row[LINE]), f"there is no {column} {row[column]}", "correct it, or add what it names")
        for table, column, known in wanted
        for row in feed.rows(table)
        if row.get(column) and row[column] not in known
    ]
    if faults:
        raise FeedError(feed.name, faults)


class _Texts:
    """Names in three languages: the feed's own, and what `translations.txt` says."""

    def __init__(self, feed: Feed) -> None:
        info, agency = feed.rows("feed_info.txt"), feed.rows("agency.txt")
        said = (info[0].get("feed_lang", "") if info else "") or agency[0].get("agency_lang", "")
        self._own = said.lower().split("-")[0]
        self._missing: Counter[str] = Counter()
        self._translated: dict[tuple[str, str, str, str], str] = {}
        for row in feed.rows("translations.txt"):
            language = row.get("language", "").lower().split("-")[0]
            for key in ("record_id", "field_value"):
                if row.get(key):
                    place = (row["table_name"], row["field_name"], f"{key} {row[key]}", language)
                    self._translated[place] = row["translation"]

    def names(self, table: str, field: str, record_id: str, text: str, prefix: str = "") -> Names:
        """A text of a row in each language; where there is no translation, as it is."""
        said = {}
        for language in LANGUAGES:
            found = self._translated.get((table, field, f"record_id {record_id}", language)) or self._translated.get(
                (table, field, f"field_value {text}", language)
            )
            if found is None and language != self._own:
                self._missing[language] += 1
            said[language] = (prefix + (found or text))[:200]
        return Names(**said)

    def notes(self) -> list[str]:
        own = self._own or "an unknown language"
        return [
            f"{count} names are not translated to {language}: they stand in {own}"
            for language, count in self._missing.items()
        ]


def _carriers(feed: Feed, texts: _Texts, before: NetworkFile, carrier: str) -> tuple[dict[str, Names], dict[str, str]]:
    """Names of carriers by code, and the code by agency."""
    known = {each.code: each.names for each in before.carriers}
    agencies = feed.rows("agency.txt")
    if carrier:
        if carrier not in known:
            remedy = f"name one of {', '.join(sorted(known))}"
            raise FeedError(feed.name, [Fault("network.toml", 0, f"there is no carrier {carrier}", remedy)])
        return {carrier: known[carrier]}, {row.get("agency_id", ""): carrier for row in agencies} | {"": carrier}
    names, by_agency = {}, {}
    for row in agencies:
        agency_id, name = row.get("agency_id", ""), row["agency_name"]
        code = _code(agency_id or name)
        names[code] = known.get(code) or texts.names("agency", "agency_name", agency_id, name)
        by_agency[agency_id] = code
    by_agency.setdefault("", next(iter(by_agency.values())))
    return names, by_agency


def _code(text: str) -> str:
    """A carrier's code of an agency's id or name."""
    plain = _NOT_A_CODE.sub("-", text.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"agency-{plain}".rstrip("-"))[:32].rstrip("-")


def _numbered(
    said: Mapping[str, Iterable[str]], kept: Mapping[str | None, int], free: Iterable[int], number_max: int
) -> tuple[dict[str, int], set[str]]:
    """A number for each gtfs_id, and whose had to be invented.

    Those of before come first, then those that the feed says, then free ones.
    """
    numbers = {gtfs_id: kept[gtfs_id] for gtfs_id in said if gtfs_id in kept}
    taken = set(numbers.values())
    for gtfs_id, texts in said.items():
        for text in texts if gtfs_id not in numbers else ():
            is_number = text.isascii() and text.isdecimal() and 0 < int(text) <= number_max
            if is_number and int(text) not in taken:
                numbers[gtfs_id] = int(text)
                taken.add(int(text))
                break
    left = (number for number in free if number not in taken)
    invented = {gtfs_id: next(left) for gtfs_id in said if gtfs_id not in numbers}
    return numbers | invented, set(invented)


def _stops(feed: Feed, texts: _Texts, before: NetworkFile, notes: list[str]) -> tuple[StopTable, ...]:
    rows = [row for row in feed.rows("stops.txt") if row.get("location_type", "") in {"", "0"}]
    said = {row["stop_id"]: (row.get("stop_code", ""), row["stop_id"]) for row in rows}
    kept = {stop.gtfs_id: stop.number for stop in before.stops}
    numbers, invented = _numbered(said, kept, range(1, _STOP_MAX), _STOP_MAX)
    stops = [
        StopTable(
            number=numbers[row["stop_id"]],
            names=texts.names("stops", "stop_name", row["stop_id"], row.get("stop_name") or row["stop_id"]),
            latitude=float(row["stop_lat"]),
            longitude=float(row["stop_lon"]),
            gtfs_id=row["stop_id"],
        )
        for row in rows
    ]
    if invented:
        notes.append(f"{len(invented)} stops have no number in the feed: they got free ones")
    by_zone = Counter(row["zone_id"] for row in rows if row.get("zone_id"))
    if by_zone:
        zones = ", ".join(f"{zone} ({count} stops)" for zone, count in sorted(by_zone.items()))
        notes.append(f"the feed has fare zones, which belong to [tariff.rules.zones] of tariffs.toml: {zones}")
    return tuple(sorted(stops, key=lambda stop: stop.number))


def _routes(
    feed: Feed, texts: _Texts, before: NetworkFile, by_agency: dict[str, str], stops: dict[str, int], notes: list[str]
) -> tuple[RouteTable, ...]:
    rows = feed.rows("routes.txt")
    said = {row["route_id"]: (row.get("route_short_name", ""),) for row in rows}
    kept = {route.gtfs_id: route.number for route in before.routes}
    numbers, invented = _numbered(said, kept, _FREE_ROUTES, _ROUTE_MAX)
    calls, trips = _calls(feed)
    routes = []
    for row in rows:
        short, name = row.get("route_short_name", ""), row.get("route_long_name", "")
        number, is_invented = numbers[row["route_id"]], row["route_id"] in invented
        if is_invented:
            notes.append(
                f"route {short or row['route_id']} has no number of its own, or another has it: it got {number}"
            )
        field = "route_long_name" if name else "route_short_name"
        prefix = f"{short}: " if is_invented and short and name else ""
        routes.append(
            RouteTable(
                number=number,
                carrier=by_agency[row.get("agency_id", "")],
                names=texts.names("routes", field, row["route_id"], name or short or row["route_id"], prefix),
                stops=tuple(stops[stop] for stop in calls.get(row["route_id"], ()) if stop in stops),
                gtfs_id=row["route_id"],
                trips=trips[row["route_id"]],
            )
        )
    return tuple(sorted(routes, key=lambda route: route.number))


def _calls(feed: Feed) -> tuple[dict[str, tuple[str, ...]], Counter[str]]:
    """By route: the stops of most of its trips (of the first direction where there are two), and how many trips it has."""
    by_trip: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in feed.rows("stop_times.txt"):
        if row.get("stop_id"):
            by_trip[row["trip_id"]].append((int(row["stop_sequence"]), row["stop_id"]))
    patterns: defaultdict[str, Counter[tuple[str, tuple[str, ...]]]] = defaultdict(Counter)
    trips: Counter[str] = Counter()
    for row in feed.rows("trips.txt"):
        trips[row["route_id"]] += 1
        pattern = tuple(stop for _, stop in sorted(by_trip[row["trip_id"]]))
        patterns[row["route_id"]][(row.get("direction_id", "") or "0", pattern)] += 1
    calls = {}
    for route, counted in patterns.items():
        first = min(direction for direction, _ in counted)
        of_first = [(count, pattern) for (direction, pattern), count in counted.items() if direction == first]
        calls[route] = max(of_first)[1]
    return calls, trips
