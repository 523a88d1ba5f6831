"""Numbers by which Kazakhstan names firms, accounts and places, and how each proves that it was copied right. Pure.

BIN: the business identification number, 12 digits, the last one a check digit (the same rule as for a person's IIN). IBAN: 20
characters, `KZ`, two check digits (ISO 7064, MOD 97-10), three digits of the bank, thirteen of the account. KATO: the state
classifier of places, 9 digits; the first two are the region and those of ISO 3166-2:KZ since November 2022.
"""

from __future__ import annotations

import re

_BIN = re.compile(r"[0-9]{12}")
_IBAN = re.compile(r"KZ[0-9]{2}[0-9]{3}[0-9A-Z]{13}")
_WEIGHTS = (tuple(range(1, 12)), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2))
# Regions and cities of republican significance (ISO 3166-2:KZ, newsletter of 29 November 2022).
REGIONS = frozenset(
    f"KZ-{number}" for number in (10, 11, 15, 19, 23, 27, 31, 33, 35, 39, 43, 47, 55, 59, 61, 62, 63, 71, 75, 79)
)


def bin_check_digit(digits: str) -> int | None:
    """The twelfth digit for the first eleven of a BIN; absent where the rule gives none, and no such number is issued."""
    for weights in _WEIGHTS:
        rest = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
        if rest < 10:
            return rest
    return None


def is_bin(text: str) -> bool:
    """Whether a text is a business identification number with a right check digit."""
    return _BIN.fullmatch(text) is not None and bin_check_digit(text[:11]) == int(text[11])


def iban_check_digits(country: str, account: str) -> str:
    """The two check digits of an IBAN for what follows them."""
    return f"{98 - _mod_97(account + country + '00'):02d}"


def is_kz_iban(text: str) -> bool:
    """Whether a text is an account number of Kazakhstan with right check digits, in capital letters and without spaces."""
    return _IBAN.fullmatch(text) is not None and _mod_97(text[4:] + text[:4]) == 1


def _mod_97(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97
