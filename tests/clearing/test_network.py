from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from clearing.network.loading import load_package
from clearing.network.models import Tariff, Vehicle
from clearing.network.package import PackageError, known_cities, package_folder, read_package
from clearing.network.service import fares_on, tariff_periods
from clearing.network.service_day import day_end_s, day_start_s, service_day

if TYPE_CHECKING:
    from pathlib import Path

    from clearing.database import Database

_ZONE = "Asia/Almaty"


def _moment_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2024-05-15T03:00:00+05:00", "2024-05-15"),
        ("2024-05-15T02:59:59+05:00", "2024-05-14"),
        ("2024-05-15T23:59:59+05:00", "2024-05-15"),
        ("2024-05-16T01:00:00+05:00", "2024-05-15"),
        # Almaty was UTC+6 until the end of February 2024.
        ("2024-02-28T21:00:00+00:00", "2024-02-29"),
        ("2024-02-28T20:59:59+00:00", "2024-02-28"),
        ("2024-03-01T22:00:00+00:00", "2024-03-02"),
        ("2024-03-01T21:59:59+00:00", "2024-03-01"),
    ],
)
def test_a_service_day_begins_at_three_local_time(moment: str, day: str) -> None:
    assert service_day(_ZONE, _moment_s(moment)) == day


def test_the_day_on_which_the_zone_changed_is_an_hour_longer() -> None:
    lengths = {
        day: day_end_s(_ZONE, day) - day_start_s(_ZONE, day) for day in ("2024-02-28", "2024-02-29", "2024-03-01")
    }
    assert lengths == {"2024-02-28": 86_400, "2024-02-29": 90_000, "2024-03-01": 86_400}


@given(st.integers(_moment_s("2017-01-01T00:00+00:00"), _moment_s("2030-01-01T00:00+00:00")))
def test_every_moment_lies_within_its_service_day(unix_s: int) -> None:
    day = service_day(_ZONE, unix_s)
    assert day_start_s(_ZONE, day) <= unix_s < day_end_s(_ZONE, day)


def test_almaty_comes_with_its_network_and_tariffs() -> None:
    package = read_package(package_folder("almaty"))
    assert "almaty" in known_cities()
    assert (package.number, package.zone, package.currency) == (1, _ZONE, "KZT")
    assert list(package.vehicles) == [f"A-{number}" for number in range(101, 113)]
    assert (len(package.routes), len(package.carriers)) == (4, 2)
    assert all(set(names) == {"kk", "ru", "en"} for names in package.carriers.values())


@pytest.mark.parametrize(
    ("day", "cash_minor", "cashless_minor"),
    [
        ("2017-07-31", None, None),
        ("2017-08-01", 15_000, 8_000),
        ("2023-08-20", 15_000, 8_000),
        ("2023-08-21", 20_000, 10_000),
        ("2024-08-02", 20_000, 10_000),
        ("2024-08-03", None, 12_000),
    ],
)
def test_a_tariff_holds_from_its_first_to_its_last_day(
    database: Database, day: str, cash_minor: int | None, cashless_minor: int | None
) -> None:
    with database.reading() as session:
        fares = fares_on(session, "almaty", day)
    assert fares.get(("cash", 1)) == cash_minor
    assert {fares.get((medium, 1)) for medium in ("transport_card", "bank_card", "qr", "sms")} == {cashless_minor}


def test_loading_the_same_package_again_changes_nothing(database: Database) -> None:
    package = read_package(package_folder("almaty"))
    with database.writing() as session:
        assert not load_package(session, package)


def test_a_changed_package_replaces_the_tariffs_and_moves_vehicles(database: Database) -> None:
    package = read_package(package_folder("almaty"))
    changed = dataclasses.replace(
        package, prices=package.prices[:3], vehicles=package.vehicles | {"A-101": 4}, sha256="other"
    )
    with database.writing() as session:
        assert load_package(session, changed)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Tariff)) == 3
        assert session.get_one(Vehicle, ("almaty", "A-101")).carrier == "medeu"
        assert len(tariff_periods(session, "almaty")) == 1


@pytest.mark.parametrize("broken", ["", "code = ", 'code = "x"\n', "\xff"])
def test_a_package_that_cannot_be_read_is_refused(tmp_path: Path, broken: str) -> None:
    folder = shutil.copytree(package_folder("almaty"), tmp_path / "broken")
    (folder / "city.toml").write_bytes(broken.encode("latin-1"))
    with pytest.raises(PackageError, match="city package broken"):
        read_package(folder)


def test_a_day_is_named_by_its_beginning() -> None:
    start = datetime.fromtimestamp(day_start_s(_ZONE, "2024-05-15"), UTC)
    assert start == datetime(2024, 5, 15, 3, tzinfo=UTC) - timedelta(hours=5)
