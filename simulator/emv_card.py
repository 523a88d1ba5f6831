"""A virtual bank card: payment directory, one application, records with certificates of a test scheme, cryptograms.

Two characters. Visa-like asks for terminal data and tells cryptogram and signature with the processing options (fDDA);
Mastercard-like keeps everything in records and signs when it is asked for a cryptogram (CDA).

Card numbers begin with 999999, which no scheme issues.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property
from typing import TYPE_CHECKING

from protocol.cards.tlv import encode
from simulator.emv_issuer import (
    CA_INDEX,
    EXPIRES_YYMM,
    VISA_SCHEME,
    Certificate,
    certify_card,
    certify_issuer,
    scheme_of,
    sign_dynamic,
)
from simulator.virtual_card import VirtualCard, command_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.emv_issuer import Scheme

VISA_LIKE = bytes.fromhex("A0000000031010")
MASTERCARD_LIKE = bytes.fromhex("A0000000041010")
_PPSE = b"2PAY.SYS.DDF01"
_OK = b"\x90\x00"
_WRONG_LENGTH = b"\x67\x00"
_CONDITIONS_NOT_SATISFIED = b"\x69\x85"
_FILE_NOT_FOUND = b"\x6a\x82"
_RECORD_NOT_FOUND = b"\x6a\x83"
_NOT_SUPPORTED = b"\x6d\x00"
# 9F66 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37, as qVSDC cards ask: where in the answer amount, currency and unpredictable number are.
_OPTIONS = bytes.fromhex("9F6604 9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704")
_OPTIONS_BYTES = 33
_OPTIONS_AMOUNT = slice(4, 10)
_OPTIONS_CURRENCY = slice(23, 25)
_OPTIONS_UNPREDICTABLE = slice(29, 33)
# 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37 9F35 9F34, as M/Chip cards ask before a cryptogram.
_RELATED = bytes.fromhex("9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704 9F3501 9F3403")
_RELATED_BYTES = 33
_RELATED_UNPREDICTABLE = slice(25, 29)
_SERVICE_CODE = "201"
_CDA_WANTED = 0x10
_ONLINE = 0x80
_DECLINED = 0x00
_ISSUER_DATA = "06011203{:02X}0000"
_CARD_QUALIFIERS = b"\x00\x00"


class EmvCard(VirtualCard):
    """One bank card.

    Attributes:
        transactions: how often it was asked for processing options (its ATC).
        declines: it answers with the cryptogram of a refusal.
        issuer, card: its certificates, which tests replace by bad ones.
    """

    ats = b"\x05\x78\x80\x70\x02"

    def __init__(
        self,
        uid: bytes,
        number: str,
        expires_yymm: str,
        application: bytes = VISA_LIKE,
        directory: Sequence[tuple[bytes, int]] | None = None,
        certificates_expire_yymm: str = EXPIRES_YYMM,
        scheme: Scheme | None = None,
    ) -> None:
        """Make a card with one application; `directory` lists names and priorities if there is more to be said."""
        super().__init__(uid)
        self.transactions = 0
        self.declines = False
        self._application = application
        self._scheme = scheme or scheme_of(application)
        self._directory = directory or ((application, 1),)
        self._number = bytes.fromhex(number + "F" * (len(number) % 2))
        track2 = f"{number}D{expires_yymm}{_SERVICE_CODE}0000"
        self._track2 = bytes.fromhex(track2 + "F" * (len(track2) % 2))
        self._secret = hashlib.sha256(f"test cryptogram key {number}".encode()).digest()
        self._static = encode(0x5F24, bytes.fromhex(expires_yymm + "31")) + encode(0x5A, self._number)
        self._static += encode(0x5F34, b"\x01") + encode(0x9F4A, b"\x82")
        if not self._is_visa_like:
            self._static += encode(0x57, self._track2) + encode(0x8C, _RELATED)
        self._expires = certificates_expire_yymm
        self._related_to: bytes = b""
        self._forget()

    def _forget(self) -> None:
        self._selected = False
        self._options: bytes | None = None

    @property
    def _is_visa_like(self) -> bool:
        return self._scheme is VISA_SCHEME

    @property
    def _interchange_profile(self) -> bytes:
        """Dynamic authentication: on its own (fDDA), or together with the cryptogram (CDA)."""
        return b"\x20\x00" if self._is_visa_like else b"\x19\x80"

    @cached_property
    def issuer(self) -> Certificate:
        return certify_issuer(self._scheme, self._number[:4])

    @cached_property
    def card(self) -> Certificate:
        padded = self._number + b"\xff" * (10 - len(self._number))
        return certify_card(self._scheme, padded, self._static + self._interchange_profile, self._expires)

    @property
    def _authentication_data(self) -> bytes:
        """Version of fDDA, the card's own unpredictable number, transaction qualifiers (tag 9F69)."""
        return b"\x01" + self._cryptogram(b"unpredictable")[:4] + _CARD_QUALIFIERS

    def _record(self, file: int, number: int) -> bytes | None:
        """Return a record; the first one is authenticated. A certificate of the greatest size fills one alone."""
        issuer, card = self.issuer, self.card
        keys = encode(0x8F, bytes((CA_INDEX,))) + encode(0x9F32, issuer.exponent) + encode(0x9F47, card.exponent)
        if issuer.remainder:
            keys += encode(0x92, issuer.remainder)
        if card.remainder:
            keys += encode(0x9F48, card.remainder)
        if self._is_visa_like:
            keys += encode(0x9F69, self._authentication_data)
        records = {
            (2, 1): self._static,
            (3, 1): encode(0x90, issuer.signed),
            (3, 2): keys,
            (3, 3): encode(0x9F46, card.signed),
        }
        content = records.get((file, number))
        return None if content is None else encode(0x70, content)

    def _respond(self, apdu: bytes) -> bytes:
        data = command_data(apdu) if len(apdu) >= 4 else None
        if data is None:
            return _WRONG_LENGTH
        if apdu[:4] == b"\x00\xa4\x04\x00":
            return self._select(data)
        if not self._selected:
            return _NOT_SUPPORTED
        if apdu[:4] == b"\x80\xa8\x00\x00":
            return self._processing_options(data)
        if apdu[:2] == b"\x00\xb2" and apdu[3] & 0x07 == 4:
            record = self._record(apdu[3] >> 3, apdu[2])
            return _RECORD_NOT_FOUND if record is None else record + _OK
        if apdu[:2] == b"\x80\xae" and not self._is_visa_like and self._options is not None:
            return self._generate_cryptogram(apdu[2], data)
        return _CONDITIONS_NOT_SATISFIED

    def _select(self, name: bytes) -> bytes:
        self._selected = name == self._application
        self._options = None
        if name == _PPSE:
            entries = [encode(0x4F, listed) + encode(0x87, bytes((priority,))) for listed, priority in self._directory]
            directory = encode(0xBF0C, b"".join(encode(0x61, entry) for entry in entries))
            return encode(0x6F, encode(0x84, _PPSE) + encode(0xA5, directory)) + _OK
        if not self._selected:
            return _FILE_NOT_FOUND
        proprietary = encode(0x50, b"JOLAQY TEST") + encode(0x87, b"\x01")
        if self._is_visa_like:
            proprietary += encode(0x9F38, _OPTIONS)
        return encode(0x6F, encode(0x84, name) + encode(0xA5, proprietary)) + _OK

    def _processing_options(self, data: bytes) -> bytes:
        size = _OPTIONS_BYTES if self._is_visa_like else 0
        if len(data) != 2 + size or data[:2] != bytes((0x83, size)):
            return _WRONG_LENGTH
        self.transactions += 1
        self._options = data[2:]
        # File, first and last record, and how many of them are authenticated (EMV Book 3 section 10.2).
        answer = encode(0x82, self._interchange_profile) + encode(0x94, b"\x10\x01\x01\x01\x18\x01\x03\x00")
        if self._is_visa_like:
            answer += encode(0x57, self._track2) + encode(0x5F34, b"\x01")
            answer += self._outcome() + encode(0x9F26, self._cryptogram(self._options))
            answer += encode(0x9F4B, self._sign_alone(self._options))
        return encode(0x77, answer) + _OK

    def _outcome(self) -> bytes:
        """What kind of cryptogram it is, the card's counter, and the issuer's own data, which say the kind as well."""
        kind = _DECLINED if self.declines else _ONLINE
        issuer_data = bytes.fromhex(_ISSUER_DATA.format(kind >> 2))
        counter = encode(0x9F36, self.transactions.to_bytes(2, "big")) + encode(0x9F10, issuer_data)
        return counter if self._is_visa_like else encode(0x9F27, bytes((kind,))) + counter

    def _cryptogram(self, said: bytes) -> bytes:
        return hmac.digest(self._secret, self.transactions.to_bytes(2, "big") + said, "sha256")[:8]

    def _sign_alone(self, options: bytes) -> bytes:
        said = options[_OPTIONS_UNPREDICTABLE] + options[_OPTIONS_AMOUNT] + options[_OPTIONS_CURRENCY]
        return sign_dynamic(b"\x02" + self.transactions.to_bytes(2, "big"), said + self._authentication_data)

    def _generate_cryptogram(self, wanted: int, related: bytes) -> bytes:
        if len(related) != _RELATED_BYTES or not wanted & _CDA_WANTED:
            return _WRONG_LENGTH
        answer, options = self._outcome(), self._options or b""
        self._options = None
        cryptogram = self._cryptogram(related)
        if self.declines:
            return encode(0x77, answer + encode(0x9F26, cryptogram)) + _OK
        digest = hashlib.sha1(options + related + answer).digest()  # noqa: S324 - EMV Book 2 annex B3.1
        dynamic = b"\x08" + self._cryptogram(b"dynamic number") + bytes((_ONLINE,)) + cryptogram + digest
        return encode(0x77, answer + encode(0x9F4B, sign_dynamic(dynamic, related[_RELATED_UNPREDICTABLE]))) + _OK
