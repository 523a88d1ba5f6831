"""Routes and stops out of GTFS feeds; tariffs into GTFS Fares v2 and back, judged by the canonical rules of the format."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from clearing.network.fares_v2 import COLUMNS, export_fares, table_text
from clearing.network.fares_v2_import import TABLES as FARE_TABLES
from clearing.network.fares_v2_import import TariffsImport, import_fares
from clearing.network.gtfs_feed import FeedError, read_feed
from clearing.network.gtfs_import import TABLES, NetworkImport, import_network
from clearing.network.package import examine, known_cities, package_folder
from clearing.network.package_files import NetworkFile, PackageFiles, TariffTable, prices_of
from clearing.network.tariff_rules import read_tariff_rules
from clearing.network.toml_writing import network_text, tariffs_text, toml_text
from tests.clearing.gtfs_feeds import Tables, feed_of, write_folder, zipped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command


def _files(city: str = "astana") -> PackageFiles:
    files = examine(package_folder(city)).files
    assert files is not None
    return files


def _import(tmp_path: Path, tables: Tables, before: NetworkFile | None = None, carrier: str = "") -> NetworkImport:
    feed = read_feed(write_folder(tmp_path / "feed", tables), TABLES)
    return import_network(feed, before or _files().network, carrier)


def test_a_feed_becomes_the_network_that_it_describes(tmp_path: Path) -> None:
    files = _files()
    found = _import(tmp_path, feed_of(files), files.network)
    assert {code: names.en for code, names in found.carriers.items()} == {
        carrier.code: carrier.names.en for carrier in files.network.carriers
    }
    assert [(route.number, route.carrier, route.names, route.stops, route.trips) for route in found.routes] == [
        (route.number, route.carrier, route.names, route.stops, 2) for route in files.network.routes
    ]
    assert [(stop.number, stop.names, stop.latitude) for stop in found.stops] == [
        (stop.number, stop.names, stop.latitude) for stop in files.network.stops
    ]
    assert found.vehicles == files.network.vehicles
    assert found.notes == ()


def test_a_zip_file_and_a_folder_are_the_same_feed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "feed", feed_of(_files()))
    assert read_feed(zipped(folder), TABLES).tables == read_feed(folder, TABLES).tables


def test_the_written_network_is_whole_again_as_a_package(tmp_path: Path) -> None:
    found = _import(tmp_path, feed_of(_files()))
    folder = shutil.copytree(package_folder("astana"), tmp_path / "astana")
    (folder / "network.toml").write_text(network_text(found, "feed"))
    examined = examine(folder)
    assert (examined.faults, examined.warnings) == ((), ())
    assert examined.files is not None
    assert examined.files.network.stops == found.stops


def test_numbers_stay_from_one_import_to_the_next(tmp_path: Path) -> None:
    tables = feed_of(_files())
    tables["routes.txt"][0]["route_short_name"] = "12Э"
    tables["stops.txt"][2]["stop_code"] = ""
    first = _import(tmp_path, tables)
    number = next(route.number for route in first.routes if route.gtfs_id == "r1")
    assert number == 60_001
    assert any("route 12Э has no number of its own" in note for note in first.notes)
    assert any("1 stops have no number in the feed" in note for note in first.notes)
    assert next(route.names.ru for route in first.routes if route.gtfs_id == "r1").startswith("12Э: ")
    (tmp_path / "network.toml").write_text(network_text(first, "feed"))
    written = tomllib.loads((tmp_path / "network.toml").read_text())
    before = NetworkFile.model_validate_json(json.dumps(written))
    tables["routes.txt"][0]["route_short_name"] = "77"
    tables["routes.txt"].reverse()
    again = _import(tmp_path, tables, before)
    assert {route.gtfs_id: route.number for route in again.routes} == {
        route.gtfs_id: route.number for route in first.routes
    }
    assert again.stops == first.stops


def test_a_stop_without_a_number_takes_none_that_is_said_elsewhere(tmp_path: Path) -> None:
    tables = feed_of(_files())
    tables["stops.txt"][0]["stop_code"] = ""
    tables["stops.txt"][1]["stop_code"] = "1"
    found = {stop.gtfs_id: stop.number for stop in _import(tmp_path, tables).stops}
    assert len(set(found.values())) == len(found)
    assert found["s2"] == 1


def test_the_stops_of_a_route_are_those_of_most_trips_in_the_first_direction(tmp_path: Path) -> None:
    tables = feed_of(_files(), trips=3)
    for trip in tables["trips.txt"]:
        trip["direction_id"] = "1" if trip["trip_id"] == "r1t2" else "0"
    tables["stop_times.txt"] = [
        row for row in tables["stop_times.txt"] if (row["trip_id"], row["stop_id"]) != ("r1t0", "s2")
    ]
    tables["trips.txt"].append({"route_id": "r1", "service_id": "daily", "trip_id": "r1t3", "direction_id": "0"})
    tables["stop_times.txt"] += [
        {**row, "trip_id": "r1t3"} for row in tables["stop_times.txt"] if row["trip_id"] == "r1t1"
    ]
    route = next(route for route in _import(tmp_path, tables).routes if route.gtfs_id == "r1")
    assert (route.stops, route.trips) == ((1, 2, 3, 4), 4)


def test_names_without_translation_stand_as_they_are_and_are_counted(tmp_path: Path) -> None:
    tables = feed_of(_files())
    tables["translations.txt"] = [row for row in tables["translations.txt"] if row["language"] != "kk"]
    found = _import(tmp_path, tables)
    assert found.routes[0].names.kk == found.routes[0].names.ru
    assert any("names are not translated to kk: they stand in ru" in note for note in found.notes)


def test_one_carrier_may_drive_all(tmp_path: Path) -> None:
    found = _import(tmp_path, feed_of(_files()), carrier="samal")
    assert (set(found.carriers), {route.carrier for route in found.routes}) == ({"samal"}, {"samal"})
    with pytest.raises(FeedError, match="there is no carrier nobody"):
        _import(tmp_path, feed_of(_files()), carrier="nobody")


def test_vehicles_of_a_line_that_is_gone_are_named(tmp_path: Path) -> None:
    tables = feed_of(_files())
    for name in ("routes.txt", "trips.txt"):
        tables[name] = [row for row in tables[name] if row["route_id"] != "r1"]
    tables["stop_times.txt"] = [row for row in tables["stop_times.txt"] if not row["trip_id"].startswith("r1t")]
    found = _import(tmp_path, tables)
    assert any("AS-101, AS-102, AS-103 are left out: there is no route 1 any more" in note for note in found.notes)


def test_fare_zones_of_a_feed_are_told_to_whoever_writes_tariffs(tmp_path: Path) -> None:
    tables = feed_of(_files())
    for row in tables["stops.txt"]:
        row["zone_id"] = "A"
    assert any("fare zones" in note and "A (12 stops)" in note for note in _import(tmp_path, tables).notes)


def _spoil(tables: Tables, table: str, row: int, column: str, value: str) -> Tables:
    tables[table][row][column] = value
    return tables


@pytest.mark.parametrize(
    ("table", "column", "value", "fault"),
    [
        ("stops.txt", "stop_lat", "north", r"stops.txt:2: invalid float"),
        ("stops.txt", "stop_lat", "91.5", r"stops.txt:2: .*"),
        ("stops.txt", "stop_id", "", r"stops.txt:2: missing required field"),
        ("trips.txt", "route_id", "r99", r"trips.txt:2: there is no route_id r99"),
        ("stop_times.txt", "trip_id", "t99", r"stop_times.txt:2: there is no trip_id t99"),
        ("stop_times.txt", "stop_id", "s99", r"stop_times.txt:2: there is no stop_id s99"),
        ("stop_times.txt", "stop_sequence", "first", r"stop_times.txt:2: invalid integer"),
        ("routes.txt", "route_type", "bus", r"routes.txt:2: invalid integer"),
    ],
)
def test_a_feed_with_a_fault_is_refused_at_its_line(
    tmp_path: Path, table: str, column: str, value: str, fault: str
) -> None:
    with pytest.raises(FeedError, match=fault):
        _import(tmp_path, _spoil(feed_of(_files()), table, 0, column, value))


@pytest.mark.parametrize("missing", ["agency.txt", "routes.txt", "stops.txt", "trips.txt", "stop_times.txt"])
def test_a_feed_without_a_table_is_refused(tmp_path: Path, missing: str) -> None:
    tables = feed_of(_files())
    del tables[missing]
    with pytest.raises(FeedError, match=f"{missing}: is missing or empty"):
        _import(tmp_path, tables)


def test_what_is_no_feed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feed.zip").write_bytes(b"PK\x03\x04 cut in half")
    with pytest.raises(FeedError, match="is no zip file"):
        read_feed(tmp_path / "feed.zip", TABLES)
    with pytest.raises(FeedError, match="is not there"):
        read_feed(tmp_path / "nowhere", TABLES)
    (tmp_path / "many").mkdir()
    for number in range(201):
        (tmp_path / "many" / f"{number}.txt").touch()
    with pytest.raises(FeedError, match="more than 200 files"):
        read_feed(tmp_path / "many", TABLES)


def test_a_zip_file_that_would_unpack_to_too_much_is_refused_unread(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "feed", feed_of(_files()))
    path = zipped(folder)
    data = bytearray(path.read_bytes())
    # The size that the directory of the archive says of its first file, after the name's own header.
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FeedError, match="1024 MiB"):
        read_feed(path, TABLES)


def _with_feed(files: PackageFiles) -> PackageFiles:
    """A package whose routes and stops know their ids in the feed, as after an import."""
    network = files.network.model_copy(
        update={
            "routes": tuple(each.model_copy(update={"gtfs_id": f"r{each.number}"}) for each in files.network.routes),
            "stops": tuple(each.model_copy(update={"gtfs_id": f"s{each.number}"}) for each in files.network.stops),
        }
    )
    return PackageFiles(files.city, network, files.tariffs, files.parties, files.ride_rules, files.tariff_rules)


def _exported(folder: Path, files: PackageFiles) -> Path:
    folder.mkdir()
    for name, rows in export_fares(files).tables.items():
        (folder / name).write_text(table_text(name, rows), newline="")
    return folder


def _back(folder: Path, files: PackageFiles) -> TariffsImport:
    stops = {stop.gtfs_id or str(stop.number): stop.number for stop in files.network.stops}
    lines = {route.gtfs_id or str(route.number): route.number for route in files.network.routes}
    return import_fares(read_feed(folder, FARE_TABLES), stops, lines)


def _tariff(table: dict[str, Any]) -> TariffTable:
    return TariffTable.model_validate_json(json.dumps(table))


@pytest.mark.parametrize("city", known_cities())
def test_tariffs_come_back_from_fares_v2_as_they_went(tmp_path: Path, city: str) -> None:
    files = _files(city)
    found = _back(_exported(tmp_path / "fares", files), files)
    assert found.notes == ()
    assert set(found.categories) == set(files.tariffs.categories)
    tariffs = [_tariff(table) for table in found.tariffs]
    assert [(each.valid_from, each.valid_until) for each in tariffs] == [
        (each.valid_from, each.valid_until) for each in files.tariffs.tariffs
    ]
    for before, after, rules in zip(files.tariffs.tariffs, tariffs, files.tariff_rules, strict=True):
        assert prices_of(after) == prices_of(before)
        assert read_tariff_rules(after.rules).zones == rules.zones


def test_the_written_tariffs_are_whole_again_as_a_package(tmp_path: Path) -> None:
    files = _files()
    found = _back(_exported(tmp_path / "fares", files), files)
    folder = shutil.copytree(package_folder("astana"), tmp_path / "astana")
    (folder / "tariffs.toml").write_text(tariffs_text(found, "fares"))
    assert examine(folder).faults == ()


def _with_rules(files: PackageFiles, text: str) -> PackageFiles:
    """The package with other rules in its last tariff."""
    table = tomllib.loads(text)
    *before, last = files.tariffs.tariffs
    tariffs = files.tariffs.model_copy(update={"tariffs": (*before, last.model_copy(update={"rules": table}))})
    rules = (*files.tariff_rules[:-1], read_tariff_rules(table))
    return PackageFiles(files.city, files.network, tariffs, files.parties, files.ride_rules, rules)


_ALL_RULES = """
free_days = ["2025-03-22"]
quotas = { 3 = 2 }
same_vehicle_s = 60
group = { riders_max = 5, media = ["bank_card"] }
ages = { 2 = { from = 7, until = 17 } }
agreed_minor = { 5 = 9000 }
tap_off = { media = ["bank_card"], within_s = 7200 }
transfer = { within_s = 1800, rides = 2, fare_minor = 2000 }
[[cap]]
period = "day"
amount_minor = 36000
[[pass]]
product = 100
names = { kk = "x", ru = "x", en = "Pass" }
period = "month"
price_minor = 990000
"""


def test_every_rule_is_either_said_or_listed(tmp_path: Path) -> None:
    files = _with_rules(_files("almaty"), _ALL_RULES)
    export = export_fares(files)
    listed = {each.rule for each in export.unsaid}
    said = {"transfer"}
    assert said | listed >= set(tomllib.loads(_ALL_RULES))
    assert not said & listed
    assert {"service_day", "source", "same_trip_s"} < listed
    found = _back(_exported(tmp_path / "fares", files), files)
    assert found.tariffs[-1]["rules"] == {"transfer": {"within_s": 1800, "rides": 2, "fare_minor": 2000}}
    assert found.notes == ()


def test_a_transfer_for_some_riders_only_is_listed() -> None:
    files = _with_rules(_files("almaty"), 'transfer = { within_s = 60, rides = 1, fare_minor = 0, media = ["qr"] }')
    export = export_fares(files)
    assert "fare_transfer_rules.txt" not in export.tables
    assert any(each.rule == "transfer" for each in export.unsaid)


def test_amounts_have_the_two_decimals_of_the_tenge() -> None:
    for city in known_cities():
        for row in export_fares(_files(city)).tables["fare_products.txt"]:
            assert re.fullmatch(r"[0-9]+\.[0-9]{2}", row["amount"])
            assert row["currency"] == "KZT"
    rows = export_fares(_files("almaty")).tables["fare_products.txt"]
    assert Decimal("120.00") in {Decimal(row["amount"]) for row in rows if row["fare_product_id"] == "ride_2024-08-03"}


def test_files_have_the_columns_of_the_standard(tmp_path: Path) -> None:
    folder = _exported(tmp_path / "fares", _files())
    for path in folder.iterdir():
        content = path.read_bytes().decode()
        assert next(csv.reader(content.splitlines())) == list(COLUMNS[path.name])
        assert content.endswith("\r\n")


@pytest.mark.parametrize("city", ["astana", "almaty", "karaganda"])
def test_the_canonical_validator_finds_no_error_in_the_export(tmp_path: Path, city: str) -> None:
    files = _with_feed(_with_rules(_files(city), "transfer = { within_s = 1800, rides = 1, fare_minor = 1000 }"))
    if city == "astana":
        files = _with_feed(_files(city))
    tables = feed_of(files)
    for name, rows in export_fares(files).tables.items():
        tables[name] = [*tables.get(name, []), *(dict(row) for row in rows)]
    folder = write_folder(tmp_path / "feed", tables)
    out = tmp_path / "report"
    command = [
        sys.executable,
        "-m",
        "gtfs_validator.cli",
        "-i",
        str(folder),
        "-o",
        str(out),
        "-d",
        "2025-06-01",
        "--fail-on-error",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    report = json.loads((out / "report.json").read_text())
    errors = [notice for notice in report["notices"] if notice["severity"] == "ERROR"]
    assert (done.returncode, errors) == (0, [])
    unused = {notice["code"] for notice in report["notices"]} & {"unused_fare_media", "unknown_column", "unknown_file"}
    assert unused == set(), report["notices"]


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "fault"),
    [
        ("fare_products.txt", 0, "currency", "USD", "currency USD is not the city's"),
        ("fare_products.txt", 0, "amount", "-80.00", "number out of range"),
        ("fare_products.txt", 0, "amount", "1000000.00", "is no fare"),
        ("fare_products.txt", 0, "amount", "eighty", "invalid currency amount|amount"),
        ("fare_products.txt", 0, "rider_category_id", "dog", "there is no rider category dog"),
        ("fare_products.txt", 0, "fare_media_id", "shell", "there is no fare medium shell"),
        ("fare_leg_rules.txt", 0, "fare_product_id", "gone", "there is no fare product gone"),
        ("fare_leg_rules.txt", 0, "from_timeframe_group_id", "gone", "timeframe gone has no days"),
        ("fare_leg_rules.txt", -1, "from_area_id", "gone", "names an area that is not there"),
        ("stop_areas.txt", 0, "stop_id", "s99", "stop s99 is not in network.toml"),
    ],
)
def test_fares_with_a_fault_are_refused(
    tmp_path: Path, table: str, row: int, column: str, value: str, fault: str
) -> None:
    files = _files()
    tables = {name: [dict(each) for each in rows] for name, rows in export_fares(files).tables.items()}
    tables[table][row][column] = value
    with pytest.raises(FeedError, match=fault):
        _back(write_folder(tmp_path / "fares", tables), files)


def test_a_distance_without_a_fare_is_never_taken_to_be_free(tmp_path: Path) -> None:
    files = _files()
    tables = {name: [dict(each) for each in rows] for name, rows in export_fares(files).tables.items()}
    tables["fare_leg_rules.txt"] = [
        row for row in tables["fare_leg_rules.txt"] if {row.get("from_area_id"), row.get("to_area_id")} != {"A", "E"}
    ]
    with pytest.raises(FeedError, match="no fare through 5 zones for every rider category"):
        _back(write_folder(tmp_path / "fares", tables), files)


def test_a_pair_of_zones_with_a_fare_of_its_own_comes_back(tmp_path: Path) -> None:
    files = _files()
    zones = tomllib.loads((package_folder("astana") / "tariffs.toml").read_text())["tariff"][-1]["rules"]["zones"]
    own = [{"zones": ["A", "C"], "fares_minor": {"1": 18000, "2": 0, "3": 9000, "4": 9000, "5": 0}}]
    files = _with_rules(files, toml_text("", {"zones": {**zones, "pairs": own}}))
    found = _back(_exported(tmp_path / "fares", files), files)
    assert read_tariff_rules(found.tariffs[-1]["rules"]).zones == files.tariff_rules[-1].zones


def test_fares_of_others_are_taken_as_far_as_they_can_be_said(tmp_path: Path) -> None:
    tables: Tables = {
        "rider_categories.txt": [
            {"rider_category_id": "everyone", "rider_category_name": "Everyone", "is_default_fare_category": "1"},
            {"rider_category_id": "senior", "rider_category_name": "Senior", "is_default_fare_category": "0"},
        ],
        "fare_media.txt": [
            {"fare_media_id": "coins", "fare_media_name": "Coins", "fare_media_type": "0"},
            {"fare_media_id": "card", "fare_media_name": "Card", "fare_media_type": "2"},
            {"fare_media_id": "paper", "fare_media_name": "Paper", "fare_media_type": "1"},
        ],
        "fare_products.txt": [
            {
                "fare_product_id": "one",
                "rider_category_id": "everyone",
                "fare_media_id": "coins",
                "amount": "200.00",
                "currency": "KZT",
            },
            {
                "fare_product_id": "one",
                "rider_category_id": "everyone",
                "fare_media_id": "card",
                "amount": "100.00",
                "currency": "KZT",
            },
            {
                "fare_product_id": "one",
                "rider_category_id": "senior",
                "fare_media_id": "card",
                "amount": "50.00",
                "currency": "KZT",
            },
            {
                "fare_product_id": "month",
                "rider_category_id": "everyone",
                "fare_media_id": "card",
                "amount": "9000.00",
                "currency": "KZT",
            },
        ],
        "fare_leg_rules.txt": [{"leg_group_id": "a", "fare_product_id": "one", "rule_priority": "2"}],
        "fare_transfer_rules.txt": [
            {
                "from_leg_group_id": "a",
                "to_leg_group_id": "a",
                "transfer_count": "-1",
                "duration_limit": "3600",
                "duration_limit_type": "0",
                "fare_transfer_type": "0",
            }
        ],
    }
    found = _back(write_folder(tmp_path / "fares", tables), _files())
    (table,) = found.tariffs
    assert prices_of(_tariff(table)) == {
        ("transport_card", 1): 10_000,
        ("transport_card", 6): 5_000,
        ("cash", 1): 20_000,
    }
    assert found.categories == {"6": {"kk": "Senior", "ru": "Senior", "en": "Senior"}}
    text = "\n".join(found.notes)
    for said in (
        "fare medium paper (type 1) is none of ours",
        "fare medium coins is taken to be cash",
        "rider category senior (Senior) has become 6",
        "fare product month is used by no rule",
        "rule_priority is left out",
        "transfer rule in line 2 is left out",
    ):
        assert said in text


def test_the_commands_import_and_export(command: Command, tmp_path: Path) -> None:
    folder = shutil.copytree(package_folder("astana"), tmp_path / "astana")
    feed = write_folder(tmp_path / "feed", feed_of(_files()))
    imported = command.json("gtfs", "import-network", str(feed), str(folder))
    assert (imported["routes"], imported["stops"], imported["trips"], imported["notes"]) == (5, 12, 10, [])
    shutil.move(folder / "network.gtfs.toml", folder / "network.toml")
    assert command.json("city", "check", str(folder))["packages"][0]["faults"] == []
    out = tmp_path / "fares"
    exported = command.json("gtfs", "export-fares", str(folder), "--out", str(out))
    assert exported["files"]["fare_leg_rules.txt"] == 28
    assert {each["rule"] for each in exported["unsaid"]} >= {"ages", "same_trip_s"}
    assert command.json("gtfs", "import-fares", str(out), str(folder))["tariffs"] == 3
    assert command.run("gtfs", "export-fares", str(folder), "--out", str(out))[0] == 1
    assert command.run("gtfs", "import-fares", str(out), str(folder))[0] == 1
    code, _, errors = command.run("gtfs", "import-network", str(tmp_path / "nowhere"), str(folder))
    assert code == 4
    assert "is not there" in errors


def test_every_ride_of_every_tariff_matches_one_leg_rule() -> None:
    """By the reference's own steps: with `rule_priority` an empty network or area is any, and the highest priority counts."""
    files = _files()
    tables = export_fares(files).tables
    areas = {row["stop_id"]: row["area_id"] for row in tables["stop_areas.txt"]}
    networks = {row["route_id"]: row["network_id"] for row in tables["route_networks.txt"]}
    assert set(networks) == {str(route.number) for route in files.network.routes}
    for tariff in files.tariffs.tariffs:
        for route in files.network.routes:
            ends = (str(route.stops[0]), str(route.stops[-1]))
            leg = {
                "network_id": networks[str(route.number)],
                "from_area_id": areas[ends[0]],
                "to_area_id": areas[ends[1]],
            }
            leg["from_timeframe_group_id"] = f"tariff_{tariff.valid_from}"
            matching = [
                rule
                for rule in tables["fare_leg_rules.txt"]
                if all(rule.get(name, "") in {"", value} for name, value in leg.items())
            ]
            highest = max(int(rule["rule_priority"]) for rule in matching)
            products = [rule["fare_product_id"] for rule in matching if int(rule["rule_priority"]) == highest]
            zones = 5 if route.number == 301 else 1
            is_zoned = route.number == 301 and tariff.valid_until is None
            assert products == [f"ride_{tariff.valid_from}" + (f"_zones_{zones}" if is_zoned else "")]
