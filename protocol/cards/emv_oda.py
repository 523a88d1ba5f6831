"""Offline data authentication of a bank card (EMV Book 2 sections 5 and 6, annexes A2 and B): is the card what it says it is?

A chain of three keys, each certified by the one before: the scheme's authority, the issuer, the card. The card's key signs what
this terminal said in this conversation: on its own (fDDA, Visa-like), or together with the cryptogram (CDA, Mastercard-like). RSA
without a library: `pow` does the public operation, some 10 ms on a microcontroller for an exponent of 3.

Issuers are few and cards many, so the keys of the last issuers are kept: a second card of one saves a certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const, sha1_of, sha256_of
from protocol.decisions import (
    DECISION_CARD_AUTHORITY_UNKNOWN,
    DECISION_CARD_SIGNATURE_WRONG,
    DECISION_CERTIFICATE_EXPIRED,
    DECISION_CERTIFICATE_REVOKED,
    DECISION_CERTIFICATE_WRONG,
)
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    Bytes = bytes | bytearray | memoryview

    class Authorities(Protocol):
        """The authorities' keys, wherever they are kept.

        Attributes:
            number: of the list that they come from.
        """

        @property
        def number(self) -> int: ...

        def find(self, rid: bytes, index: int) -> PublicKey | None:
            """Return the key of a scheme (RID, 5 bytes) with that index, or None."""

        def is_revoked(self, rid: bytes, index: int, serial: bytes) -> bool:
            """Return whether a key (serial 000000) or a certificate that it has signed (serial, 3 bytes) was revoked."""


ISSUERS_KEPT = const(4)
KEY_BYTES_MIN = const(64)
KEY_BYTES_MAX = const(248)
EXPONENTS = (3, 65537)
_HASH_BYTES = const(20)
_TAIL_BYTES = const(21)
_HEADER = const(0x6A)
_TRAILER = const(0xBC)
_PADDING = const(0xBB)
_ISSUER_FORMAT = const(2)
_ISSUER_HEAD_BYTES = const(15)
_CARD_FORMAT = const(4)
_CARD_HEAD_BYTES = const(21)
_DYNAMIC_FORMAT = const(5)
_DYNAMIC_HEAD_BYTES = const(4)
_CRYPTOGRAM_BYTES = const(8)
_END_OF_DIGITS = const(0xF)
_NO_SERIAL = b"\0\0\0"


class NotGenuine(CardError):  # noqa: N818 - a finding about a card
    """The card could not prove that it is genuine.

    Attributes:
        decision: `protocol.decisions.DECISION_…`, which says why.
    """

    def __init__(self, decision: int, what: str) -> None:
        super().__init__(what)
        self.decision = decision


class PublicKey:
    """An RSA key of an authority, an issuer or a card.

    Attributes:
        modulus: big-endian.
        exponent: 3 or 65537.
        expires_yymm: the last month in which it counts: four packed digits, 2 bytes.
        serial: of its certificate, 3 bytes.
        identifier: of an issuer, the first 3 to 8 digits of its card numbers, packed and filled with F, 4 bytes.
    """

    __slots__ = ("expires_yymm", "exponent", "identifier", "modulus", "serial")

    def __init__(
        self, modulus: bytes, exponent: int, expires_yymm: bytes, serial: bytes = _NO_SERIAL, identifier: bytes = b""
    ) -> None:
        self.modulus = modulus
        self.exponent = exponent
        self.expires_yymm = expires_yymm
        self.serial = serial
        self.identifier = identifier

    def recover(self, signed: Bytes, fault: int, what: str) -> bytearray:
        """Return what was signed, if its frame is right (EMV Book 2 annex A2.1.2); a buffer to be overwritten."""
        if len(signed) == len(self.modulus):
            number = pow(int.from_bytes(signed, "big"), self.exponent, int.from_bytes(self.modulus, "big"))
            block = bytearray(number.to_bytes(len(self.modulus), "big"))
            if block[0] == _HEADER and block[-1] == _TRAILER:
                return block
        raise NotGenuine(fault, what)


def is_past(yymm: Bytes, today: Bytes | None) -> bool:
    """Return whether a month is over on a day (YYMMDD, packed digits); without a day, whatever is a month is not.

    Years from 50 on are of the last century (EMV Book 4 section 6.7.3).
    """
    if today is None:
        return False
    return ((yymm[0] + 0xB0) & 0xFF, yymm[1]) < ((today[0] + 0xB0) & 0xFF, today[1])


def is_month(yymm: Bytes) -> bool:
    """Return whether two bytes are a year and a month in packed digits."""
    digits = [yymm[0] >> 4, yymm[0] & 0xF, yymm[1] >> 4, yymm[1] & 0xF]
    return max(digits) <= 9 and 1 <= digits[2] * 10 + digits[3] <= 12


class OfflineAuthentication:
    """Checks cards, and keeps the keys of the last issuers.

    Args:
        authorities: whose certificates are believed.

    Attributes:
        operations: RSA operations done so far.
    """

    def __init__(self, authorities: Authorities) -> None:
        self.operations = 0
        self.use(authorities)

    def use(self, authorities: Authorities) -> None:
        """Believe these authorities from now on; what was believed before is forgotten."""
        self.authorities = authorities
        self._issuers: list[tuple[bytes, PublicKey]] = []

    def card_key(
        self, rid: bytes, objects: dict[int, bytes], number: Bytes, static: Bytes, today: Bytes | None
    ) -> PublicKey:
        """Return the card's key, certified by its issuer, who is certified by the scheme.

        Args:
            rid: of the scheme, 5 bytes.
            objects: what the card has said, by tag.
            number: the card number, 10 bytes: packed digits, filled with F.
            static: what the card's certificate vouches for besides (EMV Book 3 section 10.3).
            today: YYMMDD packed; None when nobody knows the date: then nothing is held to be past.

        Raises:
            NotGenuine: it is not, and why.
        """
        issuer = self._issuer_key(rid, objects, today)
        if not _begins(number, issuer.identifier):
            raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the issuer's certificate is for other cards")
        self.operations += 1
        head, modulus, exponent = _open(issuer, objects, (0x9F46, 0x9F48, 0x9F47), _CARD_HEAD_BYTES, static)
        try:
            if head[0] != _CARD_FORMAT or head[1:11] != number:
                raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the card's certificate is for another card")
            expires = bytes((head[12], head[11]))
        finally:
            overwrite(head)
        return _in_time(PublicKey(modulus, exponent, expires), today)

    def _issuer_key(self, rid: bytes, objects: dict[int, bytes], today: Bytes | None) -> PublicKey:
        index = objects.get(0x8F, b"")
        authority = self.authorities.find(rid, index[0]) if len(index) == 1 else None
        if authority is None:
            raise NotGenuine(DECISION_CARD_AUTHORITY_UNKNOWN, "the authority of the card is not known here")
        self._require_not_revoked(rid, index[0], _NO_SERIAL)
        _in_time(authority, today)
        name = sha256_of([rid, index] + [objects.get(tag, b"") for tag in (0x90, 0x92, 0x9F32)])
        for known, issuer in self._issuers:
            if known == name:
                return _in_time(issuer, today)
        self.operations += 1
        head, modulus, exponent = _open(authority, objects, (0x90, 0x92, 0x9F32), _ISSUER_HEAD_BYTES, b"")
        if head[0] != _ISSUER_FORMAT:
            raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the issuer's certificate is another one")
        serial = bytes(head[7:10])
        issuer = PublicKey(modulus, exponent, bytes((head[6], head[5])), serial, bytes(head[1:5]))
        _in_time(issuer, today)
        self._require_not_revoked(rid, index[0], serial)
        self._issuers = [(name, issuer)] + self._issuers[: ISSUERS_KEPT - 1]
        return issuer

    def _require_not_revoked(self, rid: bytes, index: int, serial: bytes) -> None:
        if self.authorities.is_revoked(rid, index, serial):
            raise NotGenuine(DECISION_CERTIFICATE_REVOKED, "a certificate of the card was revoked")

    def dynamic_data(self, key: PublicKey, signed: Bytes, said: Sequence[Bytes]) -> bytearray:
        """Return what a card has signed of its own, if it has signed as well what the terminal said (Book 2, 6.5.2, 6.6.2).

        Args:
            key: the card's.
            signed: 9F4B.
            said: what follows the card's own data, piece by piece.
        """
        self.operations += 1
        block = key.recover(signed, DECISION_CARD_SIGNATURE_WRONG, "the card's signature does not hold")
        size = block[3]
        if (
            block[1] != _DYNAMIC_FORMAT
            or block[2] != 1
            or size > len(block) - _DYNAMIC_HEAD_BYTES - _TAIL_BYTES
            or sha1_of([memoryview(block)[1:-_TAIL_BYTES]] + list(said)) != block[-_TAIL_BYTES:-1]
        ):
            raise NotGenuine(DECISION_CARD_SIGNATURE_WRONG, "the card has signed something else")
        return block[_DYNAMIC_HEAD_BYTES : _DYNAMIC_HEAD_BYTES + size]


def split_cda(dynamic: Bytes) -> tuple[int, bytes, bytes]:
    """Return cryptogram information, cryptogram and hash of the transaction's data (EMV Book 2 table 19).

    Raises:
        NotGenuine: they are not there.
    """
    start = 1 + dynamic[0] if len(dynamic) else 0
    if len(dynamic) != start + 1 + _CRYPTOGRAM_BYTES + _HASH_BYTES:
        raise NotGenuine(DECISION_CARD_SIGNATURE_WRONG, "the card has not signed its cryptogram")
    end = start + 1 + _CRYPTOGRAM_BYTES
    return dynamic[start], bytes(dynamic[start + 1 : end]), bytes(dynamic[end:])


def _open(
    signer: PublicKey, objects: dict[int, bytes], tags: tuple[int, int, int], head_bytes: int, static: Bytes
) -> tuple[bytearray, bytes, int]:
    """Return head (without the frame), modulus and exponent of a certificate whose hash holds.

    Args:
        signer: who has signed it.
        objects: what the card has said.
        static: what it vouches for besides.
        tags: of the certificate, of the rest of the key that did not fit into it, and of the exponent.
        head_bytes: where in it the key begins.
    """
    certificate, rest, exponent = [objects.get(tag, b"") for tag in tags]
    block = signer.recover(certificate, DECISION_CERTIFICATE_WRONG, "a certificate does not hold")
    try:
        end = len(block) - _TAIL_BYTES
        digest = sha1_of([memoryview(block)[1:end], rest, exponent, static])
        if end <= head_bytes or digest != block[end:-1] or block[head_bytes - 4 : head_bytes - 2] != b"\1\1":
            raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certificate does not hold")
        modulus = _joined(block[head_bytes:end], rest, block[head_bytes - 2])
        number = int.from_bytes(exponent, "big")
        if number not in EXPONENTS or len(exponent) != block[head_bytes - 1]:
            raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certified key has no exponent of EMV")
        return block[1:head_bytes], modulus, number
    finally:
        overwrite(block)


def _joined(inside: Bytes, rest: bytes, size: int) -> bytes:
    """Return a modulus of which a part may lie outside of its certificate; one that is shorter is filled with BB."""
    fits = size <= len(inside)
    filled = bytes(inside[size:]) if fits else b""
    if (
        not KEY_BYTES_MIN <= size <= KEY_BYTES_MAX
        or len(rest) != (0 if fits else size - len(inside))
        or filled != bytes((_PADDING,)) * len(filled)
    ):
        raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certified key has not the size that it says")
    modulus = bytes(inside[:size]) + rest
    if not modulus[0]:
        raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certified key has not the size that it says")
    return modulus


def _in_time(key: PublicKey, today: Bytes | None) -> PublicKey:
    if not is_month(key.expires_yymm):
        raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certificate has no expiry date")
    if is_past(key.expires_yymm, today):
        raise NotGenuine(DECISION_CERTIFICATE_EXPIRED, "a certificate of the card has expired")
    return key


def _begins(number: Bytes, identifier: bytes) -> bool:
    """Return whether a card number begins with an issuer's 3 to 8 digits."""
    count = 0
    for index in range(8):
        digit = identifier[index >> 1] >> (0 if index % 2 else 4) & 0xF
        if digit == _END_OF_DIGITS:
            break
        if digit != number[index >> 1] >> (0 if index % 2 else 4) & 0xF:
            return False
        count += 1
    return count >= 3


def overwrite(buffer: bytearray) -> None:
    """Fill a buffer with zeros, where it lies."""
    buffer[:] = bytes(len(buffer))
