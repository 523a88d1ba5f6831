"""The authorities of payment schemes, whose certificates make a bank card genuine (SPEC.md "Card authorities").

It travels as COSE_Sign1 with typ "card-authorities". What was revoked is named by RID, index and serial number of the certificate
(`revoked_name`); serial number 0 is the authority's own key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import DocumentError
from protocol.fields import U32_MAX, Layout
from protocol.limits import CARD_AUTHORITIES_MAX, CARD_REVOCATIONS_MAX

if TYPE_CHECKING:
    from typing import Any

REVOKED_BYTES = const(9)
_RID_BYTES = const(5)
_MODULUS_BYTES_MIN = const(64)
_MODULUS_BYTES_MAX = const(248)
_LAYOUT = Layout("card authorities", DocumentError, 5, (), ((1, 1, U32_MAX), (2, 0, U32_MAX)))


class CardAuthority:
    """A scheme's key.

    Attributes:
        rid: of the scheme, 5 bytes.
        index: of the key, as cards name it (tag 8F).
        modulus: 64 to 248 bytes.
        exponent: 3 or 65537.
        expires_yymm: the last month in which it counts: four packed digits, 2 bytes.
    """

    __slots__ = ("expires_yymm", "exponent", "index", "modulus", "rid")

    def __init__(self, rid: bytes, index: int, modulus: bytes, exponent: int, expires_yymm: bytes) -> None:
        self.rid = rid
        self.index = index
        self.modulus = modulus
        self.exponent = exponent
        self.expires_yymm = expires_yymm


class CardAuthorities:
    """A list of them.

    Attributes:
        number: grows with every issue.
        expires_s: unix seconds; from then on no bank card is taken by it.
        keys: by rising RID and index.
        revoked: names of what was revoked, sorted, one after another.
    """

    __slots__ = ("expires_s", "keys", "number", "revoked")

    def __init__(self, number: int, expires_s: int, keys: list[CardAuthority], revoked: bytes) -> None:
        self.number = number
        self.expires_s = expires_s
        self.keys = keys
        self.revoked = revoked


def revoked_name(rid: bytes, index: int, serial: bytes) -> bytes:
    """Return how a certificate, or with serial number 0 a key, is named among what was revoked."""
    return rid + bytes((index,)) + serial


def encode_card_authorities(authorities: CardAuthorities) -> bytes:
    keys = [[key.rid, key.index, key.modulus, key.exponent, key.expires_yymm] for key in authorities.keys]
    return cbor.encode({0: 1, 1: authorities.number, 2: authorities.expires_s, 3: keys, 4: authorities.revoked})


def decode_card_authorities(payload: bytes) -> CardAuthorities:
    """Return the list.

    Raises:
        DocumentError: the payload is not one.
    """
    fields = _LAYOUT.read(payload)
    entries, revoked = fields[3], fields[4]
    if not isinstance(entries, list) or not 1 <= len(entries) <= CARD_AUTHORITIES_MAX:
        raise _LAYOUT.refusal("it has 1 to " + str(CARD_AUTHORITIES_MAX) + " keys")
    keys: list[CardAuthority] = []
    for entry in entries:
        key = _key_in(entry)
        if keys and (keys[-1].rid, keys[-1].index) >= (key.rid, key.index):
            raise _LAYOUT.refusal("keys are sorted by RID and index, each once")
        keys.append(key)
    if not isinstance(revoked, bytes) or len(revoked) % REVOKED_BYTES:
        raise _LAYOUT.refusal("what was revoked is named by 9 bytes each")
    if len(revoked) > CARD_REVOCATIONS_MAX * REVOKED_BYTES:
        raise _LAYOUT.refusal("at most " + str(CARD_REVOCATIONS_MAX) + " are revoked")
    for start in range(REVOKED_BYTES, len(revoked), REVOKED_BYTES):
        if revoked[start - REVOKED_BYTES : start] >= revoked[start : start + REVOKED_BYTES]:
            raise _LAYOUT.refusal("what was revoked is sorted, each once")
    return CardAuthorities(fields[1], fields[2], keys, revoked)


def _key_in(entry: Any) -> CardAuthority:  # noqa: ANN401 - whatever was decoded
    if not isinstance(entry, list) or len(entry) != 5:
        raise _LAYOUT.refusal("a key is [RID, index, modulus, exponent, expiry]")
    rid, index, modulus, exponent, expires_yymm = entry
    for value, least, greatest in (
        (rid, _RID_BYTES, _RID_BYTES),
        (modulus, _MODULUS_BYTES_MIN, _MODULUS_BYTES_MAX),
        (expires_yymm, 2, 2),
    ):
        if not isinstance(value, bytes) or not least <= len(value) <= greatest:
            raise _LAYOUT.refusal("RID, modulus or expiry of a key has another size than it should have")
    if not modulus[0] or not modulus[-1] & 1:
        raise _LAYOUT.refusal("a modulus is odd, and begins with a byte that is not 0")
    if not is_integer(index, 0, 0xFF) or not (is_integer(exponent, 3, 65537) and exponent in {3, 65537}):
        raise _LAYOUT.refusal("index or exponent of a key is none of EMV")
    if not _is_month(expires_yymm):
        raise _LAYOUT.refusal("a key expires in a year and a month, in packed digits")
    return CardAuthority(rid, index, modulus, exponent, expires_yymm)


def _is_month(yymm: bytes) -> bool:
    digits = [yymm[0] >> 4, yymm[0] & 0xF, yymm[1] >> 4, yymm[1] & 0xF]
    return max(digits) <= 9 and 1 <= digits[2] * 10 + digits[3] <= 12
