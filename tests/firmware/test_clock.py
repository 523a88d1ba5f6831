"""Dates without a calendar library."""

from __future__ import annotations

from firmware.clock import civil_date, packed_date

DAY_S = 86_400


def test_known_days() -> None:
    for unix_s, date in (
        (0, (1970, 1, 1)),
        (951_782_399, (2000, 2, 28)),
        (951_782_400, (2000, 2, 29)),
        (951_868_800, (2000, 3, 1)),
        (1_715_742_000, (2024, 5, 15)),
        (1_735_689_599, (2024, 12, 31)),
        (1_735_689_600, (2025, 1, 1)),
        (4_107_542_399, (2100, 2, 28)),
        (4_107_542_400, (2100, 3, 1)),
        (0xFFFFFFFF, (2106, 2, 7)),
    ):
        assert civil_date(unix_s) == date, unix_s


def test_every_day_is_the_one_after_the_day_before() -> None:
    year, month, day = civil_date(0)
    for number in range(1, 366 * 60):
        after = civil_date(number * DAY_S)
        expected = ((year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1))
        assert after in expected, after
        assert day >= 28 or after == expected[0], after
        assert day <= 31
        year, month, day = after


def test_emv_writes_a_date_in_packed_digits() -> None:
    assert packed_date(1_715_742_000) == b"\x24\x05\x15"
    assert packed_date(0) == b"\x70\x01\x01"
    assert packed_date(951_868_800) == b"\x00\x03\x01"
