"""The rules of the ride in a city package are what its buses are told."""

from __future__ import annotations

import shutil
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from clearing.fleet.documents import WIRE_MEDIA, issue_fare_tables
from clearing.network.loading import load_package
from clearing.network.package import PackageError, package_folder, read_package
from clearing.network.ride_rules import RideRules, fare_rules, read_rules
from clearing.network.service_day import service_day
from protocol.cose import parse
from protocol.fare_rules import USE_PASS_FIRST, FareRules
from protocol.fare_table import decode_fare_table
from protocol.tap import MEDIUM_BANK_CARD, MEDIUM_QR_TICKET
from tests.builders import CITY, NOW_MS, Office

if TYPE_CHECKING:
    from pathlib import Path

_ALL = """
[rules]
same_trip_s = 90
next_trip_s = 600
transfer = { within_s = 1800, rides = 2, fare_minor = 5000 }
quotas = { 4 = 2, 2 = 1 }
free_days = [2025-05-09, "2025-03-22"]
use = "pass_first"
free_when = ["keys_expired", "journal_full"]
allow_listed = ["qr", "bank_card"]
"""
_WITHOUT = (package_folder("almaty") / "tariffs.toml").read_text().split("[rules]")[0]


def _package(tmp_path: Path, rules: str) -> Path:
    folder = shutil.copytree(package_folder("almaty"), tmp_path / "almaty", dirs_exist_ok=True)
    (folder / "tariffs.toml").write_text(_WITHOUT + rules)
    return folder


def test_every_rule_of_a_package_reaches_the_fare_table(office: Office, tmp_path: Path) -> None:
    with office.database.writing() as session:
        before = issue_fare_tables(session, office.keys, CITY, NOW_MS)
        assert load_package(session, read_package(_package(tmp_path, _ALL)))
        numbers = issue_fare_tables(session, office.keys, CITY, NOW_MS)
        assert min(numbers) > max(before), "a new rule is a new table"
    answer = office.client.get(f"/v1/fare-tables/{numbers[0]}")
    rules = decode_fare_table(parse(answer.content).payload).rules
    assert (rules.same_trip_s, rules.next_trip_s) == (90, 600)
    assert (rules.transfer_s, rules.transfers_max, rules.transfer_fare_minor) == (1800, 2, 5000)
    assert rules.quotas == {2: 1, 4: 2}
    assert rules.free_days == [20_169, 20_217]
    assert (rules.use, rules.free_when) == (USE_PASS_FIRST, 5)
    assert rules.allow_listed == sorted((MEDIUM_BANK_CARD, MEDIUM_QR_TICKET))
    assert (rules.utc_offset_s, rules.day_starts_s) == (5 * 3600, 3 * 3600)


def test_without_rules_a_city_has_the_plain_ones_and_its_own_day(tmp_path: Path) -> None:
    rules = fare_rules(read_package(_package(tmp_path, "")).rules, "Asia/Almaty", NOW_MS // 1000, WIRE_MEDIA)
    plain = FareRules()
    plain.utc_offset_s, plain.day_starts_s = 5 * 3600, 3 * 3600
    assert rules.encode() == plain.encode()


@pytest.mark.parametrize(
    "moment", ["2024-01-15T22:30:00", "2024-05-15T21:59:59", "2024-05-15T22:00:00", "2024-02-28T20:59:59"]
)
def test_bus_and_clearing_mean_the_same_service_day(moment: str) -> None:
    now_s = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    rules = fare_rules(RideRules(), "Asia/Almaty", now_s, WIRE_MEDIA)
    day = datetime.fromisoformat(service_day("Asia/Almaty", now_s)).replace(tzinfo=UTC)
    assert rules.day_of(now_s) == int(day.timestamp()) // 86_400


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("transfers = 1", "transfers: no such rule"),
        ("same_trip_s = -1", "out of range"),
        ('same_trip_s = "60"', "out of range"),
        ("transfer = { within_s = 60, rides = 1 }", "a transfer has within_s, rides, fare_minor"),
        ("quotas = { 4 = 0 }", "quotas"),
        ("quotas = { old = 1 }", "invalid literal"),
        ('free_days = ["9 May"]', "9 May"),
        ('use = "purse"', "use is purse_first or pass_first or account_only, not purse"),
        ('free_when = ["rain"]', "free_when is journal_full"),
        ('allow_listed = ["coins"]', "allow_listed coins: no tariff takes it"),
    ],
)
def test_a_rule_that_is_none_is_refused_by_name(tmp_path: Path, rules: str, fault: str) -> None:
    with pytest.raises(PackageError, match=fault):
        read_package(_package(tmp_path, "[rules]\n" + rules))


def test_the_examples_of_almaty_would_be_read() -> None:
    text = (package_folder("almaty") / "tariffs.toml").read_text().split("[rules]")[1]
    shown = "\n".join(line.removeprefix("# ") for line in text.splitlines() if "=" in line)
    assert len(tomllib.loads(shown)) == 8
    assert read_rules(tomllib.loads(shown)).rules.next_trip_s == 600
