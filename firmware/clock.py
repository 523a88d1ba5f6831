"""Dates without a calendar library. Time itself comes from the board."""

from __future__ import annotations


def civil_date(unix_s: int) -> tuple[int, int, int]:
    """Return year, month and day (UTC) of a moment; the proleptic Gregorian calendar, by eras of 400 years."""
    days = unix_s // 86400 + 719468
    era = days // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted_month + 2) // 5 + 1


def packed_date(unix_s: int) -> bytes:
    """Return the date as EMV writes it: YYMMDD in packed digits (EMV Book 3, tag 9A)."""
    year, month, day = civil_date(unix_s)
    return bytes([number // 10 << 4 | number % 10 for number in (year % 100, month, day)])
