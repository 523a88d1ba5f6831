"""The packages that come with Jolaqy, and every kind of fault a package can have: each is named with file, line and remedy."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from clearing.network.consistency import FILES
from clearing.network.identifiers import REGIONS
from clearing.network.package import PackageError, examine, known_cities, package_folder, read_package
from clearing.network.package_files import CityFile, NetworkFile, TariffsFile
from clearing.network.parties import Acquirer, Parties

if TYPE_CHECKING:
    from pathlib import Path

    from clearing.network.faults import Fault

# The cities in which ЭСОП works: three of republican significance and the centres of seventeen regions.
_CITIES = [
    *("aktau", "aktobe", "almaty", "astana", "atyrau", "karaganda", "kokshetau", "konayev", "kostanay", "kyzylorda"),
    *(
        "oral",
        "oskemen",
        "pavlodar",
        "petropavl",
        "semey",
        "shymkent",
        "taldykorgan",
        "taraz",
        "turkistan",
        "zhezkazgan",
    ),
]


def _copy(tmp_path: Path, city: str = "almaty") -> Path:
    return shutil.copytree(package_folder(city), tmp_path / city)


def _changed(folder: Path, file: str, before: str, after: str) -> Path:
    """Change one place of a file; it must be there."""
    text = (folder / file).read_text()
    assert before in text, f"{file} does not say {before!r} any more"
    (folder / file).write_text(text.replace(before, after, 1))
    return folder


def _faults(folder: Path) -> tuple[Fault, ...]:
    examined = examine(folder)
    assert (examined.package is None) == bool(examined.faults)
    return examined.faults


def test_all_twenty_cities_are_there_without_a_fault_or_a_warning() -> None:
    assert known_cities() == _CITIES
    for city in _CITIES:
        examined = examine(package_folder(city))
        assert (examined.faults, examined.warnings) == ((), ()), city


def test_no_two_cities_share_a_number_a_place_or_a_region() -> None:
    packages = [read_package(package_folder(city)) for city in _CITIES]
    for key in ("number", "kato", "code"):
        assert len({getattr(package, key) for package in packages}) == 20, key
    assert {package.iso_3166_2 for package in packages} == REGIONS, "one city of every region"
    assert sorted(package.number for package in packages) == list(range(1, 21))
    plates = [code for package in packages for code in package.vehicles]
    assert len(plates) == len(set(plates)), "an SMS with a vehicle's code names its city as well"


def test_the_whole_country_has_one_time_since_march_2024() -> None:
    for city in _CITIES:
        zone = ZoneInfo(read_package(package_folder(city)).zone)
        assert datetime(2024, 3, 2, tzinfo=UTC).astimezone(zone).utcoffset() == timedelta(hours=5), city


@pytest.mark.parametrize(
    ("city", "day", "cashless", "cash"),
    [
        ("astana", "2018-07-21", 9_000, 18_000),
        ("astana", "2024-08-01", 11_000, None),
        ("shymkent", "2020-11-09", 7_000, 10_000),
        ("shymkent", "2024-10-14", 7_000, 10_000),
        ("shymkent", "2024-10-15", 7_000, None),
        ("pavlodar", "2022-12-01", 8_000, 13_000),
        ("konayev", "2025-08-20", 12_000, 20_000),
        ("turkistan", "2025-06-01", 7_000, 10_000),
        ("aktau", "2025-06-01", 7_000, 15_000),
        ("taldykorgan", "2025-06-01", 8_000, 12_000),
        ("semey", "2025-06-01", 8_000, 14_000),
        ("aktobe", "2025-06-01", 8_000, 15_000),
        ("kokshetau", "2023-06-01", 10_000, 18_000),
        ("kostanay", "2023-06-01", 10_000, 17_000),
        ("kyzylorda", "2020-06-01", 8_000, 15_000),
    ],
)
def test_published_fares_are_those_of_the_city(city: str, day: str, cashless: int, cash: int | None) -> None:
    fares = {
        (price.medium, price.category): price.fare_minor
        for price in read_package(package_folder(city)).prices
        if price.valid_from <= day <= (price.valid_until or day) and not price.example
    }
    assert (fares[("transport_card", 1)], fares.get(("cash", 1))) == (cashless, cash)


def test_a_city_without_public_figures_says_so() -> None:
    examples = {city for city in _CITIES if any(p.example for p in read_package(package_folder(city)).prices)}
    assert examples == {"atyrau", "karaganda", "oral", "oskemen", "petropavl", "taraz", "zhezkazgan"}


def test_every_demonstration_says_so() -> None:
    for city in _CITIES:
        package = read_package(package_folder(city))
        assert package.demonstration, city
        assert package.parties.demonstration, city


def test_a_fault_names_file_line_and_remedy(tmp_path: Path) -> None:
    folder = _changed(_copy(tmp_path), "network.toml", 'carrier = "medeu"', 'carrier = "medew"')
    line = (folder / "network.toml").read_text().split("\n").index('carrier = "medew"') + 1
    (fault,) = _faults(folder)
    assert str(fault) == (
        f"network.toml:{line}: route 3: no carrier medew; write a [[carrier]] for it, or one of alatau, medeu"
    )


def test_all_faults_of_all_files_are_named_at_once_and_in_order(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    _changed(folder, "city.toml", 'kato = "750000000"', 'kato = "7500"')
    _changed(folder, "network.toml", "number = 1\n", 'number = "one"\n')
    _changed(folder, "tariffs.toml", "fares_minor = { 1 = 8000,", "fares_minor = { 1 = -8000,")
    _changed(folder, "parties.toml", "hours = 24", "hours = 5")
    with pytest.raises(PackageError) as refused:
        read_package(folder)
    assert [fault.file for fault in refused.value.faults] == list(FILES)
    assert all(fault.line > 0 and fault.remedy for fault in refused.value.faults)
    assert "4 to correct" in str(refused.value)


_NO_SUCH = [
    ("city.toml", 'iso_3166_2 = "KZ-75"', 'iso_3166_2 = "KZ-99"', "is no code of ISO 3166-2:KZ"),
    ("city.toml", 'iso_3166_2 = "KZ-75"', 'iso_3166_2 = "KZ-71"', "kato 750000000 lies in region 75"),
    ("city.toml", 'zone = "Asia/Almaty"', 'zone = "Asia/Almata"', "zone is no time zone"),
    ("city.toml", 'zone = "Asia/Almaty"', 'zone = "Europe/Paris"', "zone Europe/Paris is not in Kazakhstan"),
    ("city.toml", 'currency = "KZT"', 'currency = "RUB"', "currency is wrong; it should be 'KZT'"),
    ("city.toml", 'currency = "KZT"', "", "currency is missing; write it"),
    ("city.toml", "number = 1", "number = 65536", "number is wrong"),
    ("city.toml", 'kk = "Алматы", ', "", "names, kk is missing"),
    ("city.toml", 'kato = "750000000"', 'kato = "750000000"\ncapital = false', "capital is not known here"),
    ("network.toml", 'code = "medeu"', 'code = "alatau"', "carrier alatau is there twice"),
    ("network.toml", "number = 2\n", "number = 1\n", "route 1 is there twice"),
    ("network.toml", '"A-102"', '"A-101"', "vehicle A-101 is there twice"),
    ("network.toml", '"A-102"', '"A 102"', "vehicle 1, codes 2 is not well-formed"),
    ("network.toml", "line = 4", "line = 44", "vehicle A-110: no route 44"),
    ("network.toml", "line = 4", 'line = 4\nplates = { A-101 = "123 ABC 02" }', "plate of A-101, which is not among"),
    ("network.toml", "number = 4\n", "number = 4\nstops = [1, 2]\n", "route 4: no stop 1"),
    ("tariffs.toml", 'valid_until = "2023-08-20"', 'valid_until = "2016-08-20"', "ends before it begins"),
    ("tariffs.toml", 'valid_until = "2023-08-20"', "", "tariffs 2017-08-01 and 2023-08-21 both price bank_card 1"),
    ("tariffs.toml", 'valid_from = "2023-08-21"', 'valid_from = "2023-08-32"', "is no day; write it as 2024-08-03"),
    ("tariffs.toml", "1 = 12000", "1 = 1000001", "tariff 3, cashless, fares_minor, 1 is wrong"),
    ("tariffs.toml", "1 = 12000", "1 = 120.5", "tariff 3, cashless, fares_minor, 1 is wrong"),
    ("tariffs.toml", "1 = 12000, 2", "2", "has no price for adults"),
    ("tariffs.toml", "5 = 0 }", "5 = 0, 7 = 0 }", "rider category 7 has no name"),
    ("tariffs.toml", "5 = 0 }", "5 = 0, child = 0 }", "fares_minor, child"),
    ("tariffs.toml", '"qr_screen", "sms"]', '"qr_screen", "fax"]', "tariff 1, cashless, media 6 is wrong"),
    ("tariffs.toml", '"qr_screen", "sms"]', '"qr_screen", "cash"]', "cash is among cashless media"),
    ("tariffs.toml", '["transport_card", "qr"]', '["cash"]', "concession_media cash is not among its media"),
    (
        "tariffs.toml",
        "[tariff.cash]",
        '[[tariff.special]]\nmedia = ["sms"]\nfares_minor = { 1 = 9000 }\n[tariff.cash]',
        "tariff 2017-08-01: sms has two prices",
    ),
    ("tariffs.toml", 'period = "month"', 'period = "year"', "period is day or week or month"),
    ("tariffs.toml", "categories = [4]", "categories = [9]", "pass names rider category 9"),
    ("tariffs.toml", "categories = [4]", "categories = [4]\nseats = 1", "seats: no such word"),
    ("tariffs.toml", "same_trip_s = 60", "same_trip_s = []", "rules"),
    ("parties.toml", "commission_bp = 1000", "commission_bp = 10001", "operator 1, commission_bp is wrong"),
    ("parties.toml", 'code = "qr-provider"', 'code = "acquirer"', "party acquirer is there twice"),
    ("parties.toml", 'code = "medeu"', 'code = "medew"', "carrier medew is not in network.toml"),
    ("parties.toml", 'code = "medeu"', 'code = "medew"', "carrier medeu has no account"),
    ("parties.toml", 'bic = "DEMOKZA0"\n', "", "oper has no bic"),
    ("parties.toml", 'bic = "DEMOKZA0"\n', 'bic = "DEMOKZX0"\n', "oper: there is no bank DEMOKZX0"),
    ("parties.toml", "payout_days = 1", 'payout_days = 1\ncarriers = ["alatau"]', "are cleared by nobody"),
    ("parties.toml", "payout_days = 1", 'payout_days = 1\ncarriers = ["x"]', "operator oper: no carrier x"),
    ("parties.toml", "payout_days = 1", "payout_days = 1\nroutes = [9]", "operator oper: no route 9"),
    ("parties.toml", "[acquirer]", "[[agent]]", "agent 1, settlement_days is not known here"),
    (
        "parties.toml",
        "settlement_days = 1\nwindow",
        'settlement_days = 1\nmedia = ["bank_card"]\nwindow',
        "phone_nfc is accepted",
    ),
    ("parties.toml", "nonce_s = 120", 'nonce_s = 120\nmedia = ["qr"]', "qr_screen is accepted, and no QR provider"),
    ("parties.toml", "{ category = 5 }", "{ category = 6 }", "there is no rider category 6"),
    ("parties.toml", "{ category = 5 }", "{ category = 4 }", "both pay for rider category 4"),
    (
        "parties.toml",
        "{ category = 5 }",
        '{ category = 5, valid_from = "2025-01-02", valid_until = "2025-01-01" }',
        "ends before it begins",
    ),
    ("parties.toml", 'valid_from = "2000-01-01"', 'valid_from = "2000-02-30"', "is no day"),
    (
        "parties.toml",
        "[shares]",
        '[shares]\npools = [{ code = "p", carriers = ["alatau", "x"] }]',
        "pool p: no carrier x",
    ),
    (
        "parties.toml",
        "[shares]",
        '[shares]\npools = [{ code = "p", carriers = ["alatau", "medeu"], by = "weights", weights = { alatau = 1 } }]',
        "pool p: weights are not those of its carriers",
    ),
]


@pytest.mark.parametrize(("file", "before", "after", "what"), _NO_SUCH, ids=[each[3] for each in _NO_SUCH])
def test_each_fault_of_a_package_is_refused_by_name(
    tmp_path: Path, file: str, before: str, after: str, what: str
) -> None:
    faults = _faults(_changed(_copy(tmp_path), file, before, after))
    assert any(what in str(fault) for fault in faults), [str(fault) for fault in faults]
    assert {fault.file for fault in faults} <= {file, "parties.toml"}
    assert all(fault.remedy for fault in faults)


@pytest.mark.parametrize("number", ["bin", "iban"])
def test_a_number_with_a_wrong_digit_is_refused(tmp_path: Path, number: str) -> None:
    folder = _copy(tmp_path)
    text = (folder / "parties.toml").read_text()
    found = re.search(rf'{number} = "[A-Z0-9]*([0-9])"', text)
    assert found is not None
    wrong = found[0][:-2] + str((int(found[1]) + 1) % 10) + '"'
    (fault,) = _faults(_changed(folder, "parties.toml", found[0], wrong))
    assert "check digit" in fault.what
    assert "copy" in fault.remedy


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, file: str) -> None:
    folder = _copy(tmp_path)
    (folder / file).unlink()
    (fault,) = _faults(folder)
    assert (fault.file, fault.what) == (file, "is missing")


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        (b'code = "x"\nnumber = \n', "is not TOML", 2),
        (b'code = "x"\n# \xff\n', "is not UTF-8", 2),
        (b'code = "x"\ncode = "y"\n', "is not TOML", 2),
        (b"# " + b"x" * (4 << 20), "is larger than 4 MiB", 0),
    ],
)
def test_a_file_that_is_none_is_refused_at_its_line(tmp_path: Path, content: bytes, what: str, line: int) -> None:
    folder = _copy(tmp_path)
    (folder / "city.toml").write_bytes(content)
    (fault,) = _faults(folder)
    assert what in fault.what
    assert fault.line == line


def test_two_operators_who_claim_the_same_rides_are_refused(tmp_path: Path) -> None:
    folder = _changed(_copy(tmp_path, "astana"), "parties.toml", 'carriers = ["dala"]', 'carriers = ["dala", "samal"]')
    (fault,) = _faults(folder)
    assert "are cleared by oper and suburban" in fault.what


_ODD = [
    (
        "tariffs.toml",
        'valid_until = "2023-08-20"',
        'valid_until = "2023-08-18"',
        "no tariff from 2023-08-19 to 2023-08-20",
    ),
    ("tariffs.toml", "1 = 15000", "1 = 7000", "cash costs less than every other medium"),
    ("tariffs.toml", "4 = 4000", "4 = 9000", "rider category 4 pays more than an adult"),
    (
        "tariffs.toml",
        "same_trip_s = 60",
        "transfer = { within_s = 60, rides = 1, fare_minor = 0 }",
        None,
    ),
    ("network.toml", '[[vehicle]]\nline = 4\ncodes = ["A-110", "A-111", "A-112"]', "", "route 4 has no vehicle"),
    ("parties.toml", ", { category = 5 }", "", "nobody pays for rider category 5 (free by law)"),
]


@pytest.mark.parametrize(("file", "before", "after", "what"), _ODD)
def test_what_is_odd_is_a_warning_and_can_be_loaded(
    tmp_path: Path, file: str, before: str, after: str, what: str | None
) -> None:
    examined = examine(_changed(_copy(tmp_path), file, before, after))
    assert examined.faults == ()
    assert [warning.what for warning in examined.warnings if what is None or what not in warning.what] == []
    assert len(examined.warnings) == (0 if what is None else 1)


def test_a_rule_that_is_said_twice_is_odd(tmp_path: Path) -> None:
    folder = _changed(_copy(tmp_path, "atyrau"), "tariffs.toml", "same_trip_s = 60", "quotas = { 3 = 1 }")
    (warning,) = examine(folder).warnings
    assert "quotas stands in [rules] and in this tariff" in warning.what


def test_rules_for_which_a_fare_table_has_no_room_are_refused(tmp_path: Path) -> None:
    days = ", ".join(f'"2025-{1 + day // 28:02d}-{1 + day % 28:02d}"' for day in range(65))
    before = 'free_days = ["2022-11-20", "2023-03-19"]'
    (fault,) = _faults(_changed(_copy(tmp_path, "karaganda"), "tariffs.toml", before, f"free_days = [{days}]"))
    assert "rules cannot be told to the buses" in fault.what


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("E = [14]", "E = [15]", "zones: there is no stop 15"),
        ("lines = [301]", "lines = [302]", "zones: there is no route 302"),
        ('order = ["A", "B", "C", "D", "E"]', 'order = ["A", "B", "C", "D"]', "there is no zone E"),
    ],
)
def test_zones_without_stops_lines_or_names_are_refused(tmp_path: Path, before: str, after: str, what: str) -> None:
    faults = _faults(_changed(_copy(tmp_path, "astana"), "tariffs.toml", before, after))
    assert any(what in fault.what for fault in faults), faults
    assert all(fault.line > 30 for fault in faults), "the line of the rule, not of the tariff"


def test_the_guide_shows_files_that_are_read_as_it_says() -> None:
    text = (package_folder("almaty").parent / "README.md").read_text()
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]
    city, network, tariffs, parties = blocks
    CityFile.model_validate_json(json.dumps(city))
    NetworkFile.model_validate_json(
        json.dumps({**network, "route": [{**route, "stops": [1]} for route in network["route"]]})
    )
    TariffsFile.model_validate_json(json.dumps(tariffs))
    assert set(parties) == {name for field, info in Parties.model_fields.items() for name in [info.alias or field]} - {
        "demonstration"
    }
    for key, value in parties["acquirer"].items():
        assert key in Acquirer.model_fields, (key, value)
