"""Offline data authentication of a bank card (EMV Book 2 sections 5 and 6, annexes A2 and B): is the card what it says it is?

A chain of three keys, each certified by the one before: the scheme's authority, the issuer, the card. The card's key signs what
this terminal said in this conversation: on its own (fDDA, Visa-like), or together with the cryptogram (CDA, Mastercard-like). The
keys are in `emv_keys`.

Issuers are few and cards many, so the keys of the last issuers are kept: a second card of one saves a certificate. And a card is
at work most of the time, so who drives the conversation may call `look_ahead` meanwhile: certificates are opened as soon as they
are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.emv_keys import EXPONENTS, NO_SERIAL, NotGenuine, PublicKey, begins, in_time, joined, overwrite
from protocol.compat import collect_garbage, const, sha1_of, sha256_of
from protocol.decisions import (
    DECISION_CARD_AUTHORITY_UNKNOWN,
    DECISION_CARD_SIGNATURE_WRONG,
    DECISION_CERTIFICATE_REVOKED,
    DECISION_CERTIFICATE_WRONG,
)

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
_HASH_BYTES = const(20)
_TAIL_BYTES = const(21)
_ISSUER_FORMAT = const(2)
_ISSUER_HEAD_BYTES = const(15)
_CARD_FORMAT = const(4)
_CARD_HEAD_BYTES = const(21)
_DYNAMIC_FORMAT = const(5)
_DYNAMIC_HEAD_BYTES = const(4)
_CRYPTOGRAM_BYTES = const(8)


class OfflineAuthentication:
    """Checks cards, and keeps the keys of the last issuers.

    Args:
        authorities: whose certificates are believed.

    Attributes:
        operations: RSA operations done so far.
        is_signing: the card has been asked for its signature, which takes it longer than anything else.
    """

    def __init__(self, authorities: Authorities) -> None:
        self.operations = 0
        self.is_signing = False
        self._card: tuple[bytes, dict[int, bytes], Bytes | None] | None = None
        # What was signed, under which modulus, and what that is: of the present card.
        self._opened: list[tuple[bytes, bytes, bytearray]] = []
        self.use(authorities)

    def use(self, authorities: Authorities) -> None:
        """Believe these authorities from now on; what was believed before is forgotten."""
        self.authorities = authorities
        self._issuers: list[tuple[bytes, PublicKey]] = []

    def begin(self, rid: bytes, objects: dict[int, bytes], today: Bytes | None) -> None:
        """Look at a card of a scheme (RID, 5 bytes), as far as it has said its objects; until `end`."""
        self._card = (rid, objects, today)

    def end(self) -> None:
        """The conversation is over: overwrite what was read in the card's certificates."""
        self._card, self.is_signing = None, False
        for _, _, block in self._opened:
            overwrite(block)
        self._opened = []

    def look_ahead(self) -> None:
        """Open those certificates of the card that are there, and tidy up the memory when there is most time for it.

        What does not hold, or not yet, is found when all is said.
        """
        if self._card is not None:
            self._look_at(*self._card)
        if self.is_signing:
            collect_garbage()

    def _look_at(self, rid: bytes, objects: dict[int, bytes], today: Bytes | None) -> None:
        if 0x8F in objects and 0x90 in objects and 0x9F32 in objects:
            try:
                issuer = self._issuer_key(rid, objects, today)
                if 0x9F46 in objects:
                    self._recover(issuer, objects[0x9F46], DECISION_CERTIFICATE_WRONG, "")
            except NotGenuine:
                return

    def _recover(self, key: PublicKey, signed: bytes, fault: int, what: str) -> bytearray:
        """Return what was signed, from before if it was opened before; a buffer to be overwritten."""
        for known, modulus, block in self._opened:
            if known == signed and modulus == key.modulus:
                return block[:]
        self.operations += 1
        block = key.recover(signed, fault, what)
        if self._card is not None:
            self._opened.append((signed, key.modulus, block[:]))
        return block

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
        if not begins(number, issuer.identifier):
            raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the issuer's certificate is for other cards")
        head, modulus, exponent = self._open(issuer, objects, (0x9F46, 0x9F48, 0x9F47), _CARD_HEAD_BYTES, static)
        try:
            if head[0] != _CARD_FORMAT or head[1:11] != number:
                raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the card's certificate is for another card")
            expires = bytes((head[12], head[11]))
        finally:
            overwrite(head)
        return in_time(PublicKey(modulus, exponent, expires), today)

    def _issuer_key(self, rid: bytes, objects: dict[int, bytes], today: Bytes | None) -> PublicKey:
        index = objects.get(0x8F, b"")
        authority = self.authorities.find(rid, index[0]) if len(index) == 1 else None
        if authority is None:
            raise NotGenuine(DECISION_CARD_AUTHORITY_UNKNOWN, "the authority of the card is not known here")
        self._require_not_revoked(rid, index[0], NO_SERIAL)
        in_time(authority, today)
        name = sha256_of([rid, index] + [objects.get(tag, b"") for tag in (0x90, 0x92, 0x9F32)])
        for known, issuer in self._issuers:
            if known == name:
                return in_time(issuer, today)
        head, modulus, exponent = self._open(authority, objects, (0x90, 0x92, 0x9F32), _ISSUER_HEAD_BYTES, b"")
        if head[0] != _ISSUER_FORMAT:
            raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the issuer's certificate is another one")
        serial = bytes(head[7:10])
        issuer = PublicKey(modulus, exponent, bytes((head[6], head[5])), serial, bytes(head[1:5]))
        in_time(issuer, today)
        self._require_not_revoked(rid, index[0], serial)
        self._issuers = [(name, issuer)] + self._issuers[: ISSUERS_KEPT - 1]
        return issuer

    def _open(
        self, signer: PublicKey, objects: dict[int, bytes], tags: tuple[int, int, int], head_bytes: int, static: Bytes
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
        block = self._recover(signer, certificate, DECISION_CERTIFICATE_WRONG, "a certificate does not hold")
        try:
            end = len(block) - _TAIL_BYTES
            digest = sha1_of([memoryview(block)[1:end], rest, exponent, static])
            if end <= head_bytes or digest != block[end:-1] or block[head_bytes - 4 : head_bytes - 2] != b"\1\1":
                raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certificate does not hold")
            modulus = joined(block[head_bytes:end], rest, block[head_bytes - 2])
            number = int.from_bytes(exponent, "big")
            if number not in EXPONENTS or len(exponent) != block[head_bytes - 1]:
                raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certified key has no exponent of EMV")
            return block[1:head_bytes], modulus, number
        finally:
            overwrite(block)

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
        block = self._recover(key, bytes(signed), DECISION_CARD_SIGNATURE_WRONG, "the card's signature does not hold")
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
