"""Tokens of media as the back office makes them: of a telephone that pays by SMS, of a card that a bureau made.

The number itself goes no further than these functions.
"""

from __future__ import annotations

import re

from clearing.endpoint import InvalidError
from clearing.fleet.keys import KeyStore
from protocol.tokens import LABEL_PHONE, LABEL_TRANSIT, medium_token

_NATIONAL_PREFIX = "8"
_COUNTRY_CODE = "7"
_NATIONAL_DIGITS = 11
_NOT_DIGITS = re.compile(r"[\s()+\-]")
_MSISDN = re.compile(r"[0-9]{10,15}")


def phone_token(keys: KeyStore, msisdn: str) -> bytes:
    """The token of a telephone number, however it is written.

    Raises:
        InvalidError: not a telephone number.
    """
    digits = _NOT_DIGITS.sub("", msisdn)
    if _MSISDN.fullmatch(digits) is None:
        raise InvalidError("msisdn is not a telephone number", "send it in international form, digits only")
    if len(digits) == _NATIONAL_DIGITS and digits.startswith(_NATIONAL_PREFIX):
        digits = _COUNTRY_CODE + digits[1:]
    return medium_token(keys.phone_token_key, LABEL_PHONE, digits.encode())


def transit_token(keys: KeyStore, uid: bytes) -> bytes:
    """The token of a transport card, as validators make it from the card's number."""
    return medium_token(keys.token_key, LABEL_TRANSIT, uid)


def parse_token(text: str) -> bytes:
    """A token from its 32 hexadecimal digits.

    Raises:
        InvalidError: not a token.
    """
    if re.fullmatch(r"[0-9a-fA-F]{32}", text) is None:
        raise InvalidError("a token is 32 hexadecimal digits", "send tokens, never card or telephone numbers")
    return bytes.fromhex(text)
