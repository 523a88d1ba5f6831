"""Languages of the pages: which one a reader wants, its texts, and how it writes money, numbers and dates.

Texts are in `locale/CODE.toml`, one file for each language with the same keys. Money is integer tiyn until it is written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal, format_percent

from clearing.money import MINOR_PER_MAJOR

# The region matters: plain `ru` writes KZT for ₸, and `en_KZ` is unknown to Babel.
_LOCALES = {"kk": "kk_KZ", "ru": "ru_KZ", "en": "en"}
LANGUAGES = tuple(_LOCALES)
DEFAULT = "kk"
_ABSENT = "–"


class Language:
    """A language: its texts and its ways of writing.

    Attributes:
        code: `kk`, `ru` or `en`.
    """

    def __init__(self, code: str, texts: Mapping[str, str]) -> None:
        self.code = code
        self._texts = texts
        self._locale = Locale.parse(_LOCALES[code])
        # English would write KZT.
        self._money = self._locale.currency_formats["standard"].pattern.replace("¤", "₸")
        self._percent = self._locale.percent_formats[None].pattern.replace("#,##0", "#,##0.00")

    def text(self, key: str, **values: object) -> str:
        """The text of a key, with values put into its places."""
        return self._texts[key].format(**values)

    def money(self, amount_minor: int) -> str:
        """Tiyn as tenge with two decimals and the sign ₸."""
        return format_decimal(Decimal(amount_minor) / MINOR_PER_MAJOR, self._money, self._locale)

    def number(self, value: int) -> str:
        return format_decimal(value, locale=self._locale)

    def difference(self, value: int, written: str) -> str:
        """What was written of a value, with its sign even when it is positive."""
        return f"+{written}" if value > 0 else written

    def percent(self, value: Decimal | None) -> str:
        """Per cent with two decimals; a dash where there is none."""
        return _ABSENT if value is None else format_percent(value / 100, self._percent, self._locale)

    def day(self, day: str) -> str:
        return format_date(date.fromisoformat(day), "long", self._locale)

    def day_with_weekday(self, day: str) -> str:
        return format_date(date.fromisoformat(day), "full", self._locale)

    def day_short(self, day: str) -> str:
        return format_skeleton("MMMd", date.fromisoformat(day), locale=self._locale)

    def moment(self, at_ms: int, zone: str) -> str:
        """A moment in a city's own time, to the second."""
        return f"{self.day_of(at_ms, zone)}, {self.time(at_ms, zone)}"

    def day_of(self, at_ms: int | None, zone: str) -> str:
        """The date of a moment in a city's own time; nothing where there is none."""
        return "" if at_ms is None else format_date(_local(at_ms, zone), "medium", self._locale)

    def time(self, at_ms: int | None, zone: str) -> str:
        """The time of day, 24 hours, to the second; a dash where there is none."""
        return _ABSENT if at_ms is None else f"{_local(at_ms, zone):%H:%M:%S}"


def _local(at_ms: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(ZoneInfo(zone))


@cache
def language(code: str) -> Language:
    """A language by its code, one of `LANGUAGES`."""
    return Language(code, read_texts(code))


def read_texts(code: str) -> dict[str, str]:
    """Texts of a language by key, such as `today.title`."""
    sections = tomllib.loads((files(__package__) / "locale" / f"{code}.toml").read_text("utf-8"))
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}


def choose_language(asked: str | None, remembered: str | None, accepted: str) -> str:
    """The language asked for in the address, else the one remembered, else the first acceptable one, else Kazakh.

    Args:
        asked: what the address says.
        remembered: what a cookie says.
        accepted: an Accept-Language header (RFC 9110, section 12.5.4).
    """
    for code in (asked, remembered):
        if code in LANGUAGES:
            return code
    wanted = sorted(map(_weighed, accepted.split(",")), key=lambda entry: -entry[0])
    return next((tag for weight, tag in wanted if weight > 0 and tag in LANGUAGES), DEFAULT)


def _weighed(entry: str) -> tuple[float, str]:
    tag, _, parameter = entry.partition(";")
    try:
        weight = float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        weight = 0.0
    return weight, tag.strip().partition("-")[0].lower()
