"""GTFS feeds for tests: whole ones of a package's network, and changes to them."""

from __future__ import annotations

import csv
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from clearing.network.package_files import PackageFiles

Tables = dict[str, list[dict[str, str]]]


def feed_of(files: PackageFiles, trips: int = 2) -> Tables:
    """A feed in which every route of a network runs so many trips a day, from eight in the morning."""
    network = files.network
    week = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), "1")
    tables: Tables = {
        "feed_info.txt": [
            {
                "feed_publisher_name": "Jolaqy",
                "feed_publisher_url": "https://example.org",
                "feed_lang": "ru",
                "feed_start_date": "20250101",
                "feed_end_date": "20251231",
            }
        ],
        "agency.txt": [
            {
                "agency_id": carrier.code,
                "agency_name": carrier.names.ru,
                "agency_url": "https://example.org",
                "agency_timezone": files.city.zone,
                "agency_lang": "ru",
            }
            for carrier in network.carriers
        ],
        "calendar.txt": [{"service_id": "daily", **week, "start_date": "20250101", "end_date": "20251231"}],
        "routes.txt": [],
        "trips.txt": [],
        "stop_times.txt": [],
        "stops.txt": [
            {
                "stop_id": f"s{stop.number}",
                "stop_code": str(stop.number),
                "stop_name": stop.names.ru,
                "stop_lat": str(stop.latitude),
                "stop_lon": str(stop.longitude),
            }
            for stop in network.stops
        ],
        "translations.txt": [],
    }
    for route in network.routes:
        route_id = f"r{route.number}"
        tables["routes.txt"].append(
            {
                "route_id": route_id,
                "agency_id": route.carrier,
                "route_short_name": str(route.number),
                "route_long_name": route.names.ru,
                "route_type": "3",
            }
        )
        for language in ("kk", "en"):
            tables["translations.txt"].append(
                {
                    "table_name": "routes",
                    "field_name": "route_long_name",
                    "language": language,
                    "translation": getattr(route.names, language),
                    "record_id": route_id,
                }
            )
        for trip in range(trips):
            trip_id = f"{route_id}t{trip}"
            tables["trips.txt"].append({"route_id": route_id, "service_id": "daily", "trip_id": trip_id})
            for place, number in enumerate(route.stops):
                time = f"{8 + trip:02d}:{place * 9:02d}:00"
                tables["stop_times.txt"].append(
                    {
                        "trip_id": trip_id,
                        "arrival_time": time,
                        "departure_time": time,
                        "stop_id": f"s{number}",
                        "stop_sequence": str(place + 1),
                    }
                )
    for stop in network.stops:
        for language in ("kk", "en"):
            tables["translations.txt"].append(
                {
                    "table_name": "stops",
                    "field_name": "stop_name",
                    "language": language,
                    "translation": getattr(stop.names, language),
                    "record_id": f"s{stop.number}",
                }
            )
    return tables


def write_folder(folder: Path, tables: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    """The tables as files of a folder; rows may have different columns."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
    return folder


def zipped(folder: Path) -> Path:
    """The folder as a zip file beside it."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.iterdir()):
            archive.write(each, each.name)
    return path
