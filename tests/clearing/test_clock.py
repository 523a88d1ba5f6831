from __future__ import annotations

import contextlib
import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.clock import FileClock, FixedClock, SystemClock, open_clock, parse_day, parse_moment
from tests.builders import DAY, NOW_MS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    ["2024-05-15T03:00", "2024-05-15T03:00:00Z", "2024-05-15T08:00+05:00", "2024-05-15 03:00:00.000+00:00"],
)
def test_a_moment_without_an_offset_is_utc(text: str) -> None:
    assert parse_moment(text) == NOW_MS


def test_a_date_is_its_midnight() -> None:
    assert parse_moment(DAY) == NOW_MS - 3 * 3_600_000


@pytest.mark.parametrize("text", ["", "now", "2024-02-30", "15.05.2024", "24:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"iso|day"):
        parse_moment(text)


def test_a_day_is_written_in_one_way() -> None:
    assert parse_day(DAY) == DAY
    assert parse_day("2024-02-29") == "2024-02-29"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-02-29",
        "20240515",
        "2024-W20-3",
        "2024-5-15",
        " 2024-05-15",
        "1999-12-31",
        "2100-01-01",
        "٢٠٢٤-٠٥-١٥",
    ],
)
def test_what_is_no_day_of_this_century_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a day is written as 2024-05-15$"):
        parse_day(text)


@given(st.text(max_size=12))
def test_any_text_is_a_day_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_day(text) == text


def test_a_file_holds_the_time_and_moves_it_on(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_bytes(struct.pack("<q", NOW_MS))
    clock = open_clock(path)
    assert isinstance(clock, FileClock)
    assert clock.now_ms() == NOW_MS
    with path.open("r+b") as file:
        file.write(struct.pack("<q", NOW_MS + 5))
    assert clock.now_ms() == NOW_MS + 5


def test_a_clock_stands_still_at_the_moment_asked_for_or_is_the_machines() -> None:
    held = open_clock(as_of="2024-05-15T03:00")
    assert isinstance(held, FixedClock)
    assert held.now_ms() == NOW_MS
    machine = open_clock(as_of="")
    assert isinstance(machine, SystemClock)
    assert abs(machine.now_ms() - time.time() * 1000) < 60_000
