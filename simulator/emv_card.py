"""A virtual bank card: payment directory, one application, records with certificates of a test scheme (`emv_issuer`).

Two characters: Visa-like asks for terminal data and tells its track data with the processing options; Mastercard-like asks for
nothing and keeps everything in records. Cryptograms and dynamic signatures are not among what it carries.

Card numbers begin with 999999, which no scheme issues.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from protocol.cards.tlv import encode
from simulator.emv_issuer import CA_INDEX, EXPONENT, certify_card, certify_issuer
from simulator.virtual_card import VirtualCard, command_data

if TYPE_CHECKING:
    from collections.abc import Sequence

VISA_LIKE = bytes.fromhex("A0000000031010")
MASTERCARD_LIKE = bytes.fromhex("A0000000041010")
_PPSE = b"2PAY.SYS.DDF01"
_OK = b"\x90\x00"
_WRONG_LENGTH = b"\x67\x00"
_CONDITIONS_NOT_SATISFIED = b"\x69\x85"
_FILE_NOT_FOUND = b"\x6a\x82"
_RECORD_NOT_FOUND = b"\x6a\x83"
_NOT_SUPPORTED = b"\x6d\x00"
# 9F66 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37, as qVSDC cards ask.
_WANTED = bytes.fromhex("9F6604 9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704")
_WANTED_BYTES = 33
_SERVICE_CODE = "201"
_EXPONENT = bytes((EXPONENT,))


class EmvCard(VirtualCard):
    """One bank card.

    Attributes:
        transactions: how often it was asked for processing options (its ATC).
    """

    ats = b"\x05\x78\x80\x70\x02"

    def __init__(
        self,
        uid: bytes,
        number: str,
        expires_yymm: str,
        application: bytes = VISA_LIKE,
        directory: Sequence[tuple[bytes, int]] | None = None,
    ) -> None:
        """Make a card with one application; `directory` lists names and priorities if there is more to be said."""
        super().__init__(uid)
        self.transactions = 0
        self._application = application
        self._directory = directory or ((application, 1),)
        self._expires = bytes.fromhex(expires_yymm + "31")
        self._issuer_identifier = bytes.fromhex(number[:8])
        self._number = bytes.fromhex(number + "F" * (len(number) % 2))
        track2 = f"{number}D{expires_yymm}{_SERVICE_CODE}0000"
        self._track2 = bytes.fromhex(track2 + "F" * (len(track2) % 2))
        self._forget()

    def _forget(self) -> None:
        self._selected = False

    @property
    def _is_visa_like(self) -> bool:
        return self._application[:5] == VISA_LIKE[:5]

    @property
    def _interchange_profile(self) -> bytes:
        """Dynamic authentication: on its own (fDDA), or together with the cryptogram (CDA)."""
        return b"\x20\x00" if self._is_visa_like else b"\x19\x80"

    @cached_property
    def _records(self) -> dict[tuple[int, int], bytes]:
        """Records by file and number; the first one that is authenticated is record 1 of file 2."""
        static = encode(0x5F24, self._expires) + encode(0x5A, self._number) + encode(0x5F34, b"\x01")
        static += encode(0x9F4A, b"\x82")
        issuer = certify_issuer(self._issuer_identifier)
        padded = self._number + b"\xff" * (10 - len(self._number))
        card = certify_card(padded, static + self._interchange_profile)
        authority = encode(0x8F, bytes((CA_INDEX,))) + encode(0x9F32, _EXPONENT) + encode(0x92, issuer.remainder)
        records = {
            (2, 1): static,
            (3, 1): authority + encode(0x90, issuer.signed),
            (3, 2): encode(0x9F46, card.signed) + encode(0x9F47, _EXPONENT) + encode(0x9F48, card.remainder),
        }
        if not self._is_visa_like:
            records[1, 1] = encode(0x57, self._track2)
        return {place: encode(0x70, content) for place, content in records.items()}

    @property
    def _locator(self) -> bytes:
        """File, first and last record, and how many of them are authenticated (EMV Book 3 section 10.2)."""
        head = b"" if self._is_visa_like else b"\x08\x01\x01\x00"
        return head + b"\x10\x01\x01\x01\x18\x01\x02\x00"

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
            record = self._records.get((apdu[3] >> 3, apdu[2]))
            return _RECORD_NOT_FOUND if record is None else record + _OK
        return _CONDITIONS_NOT_SATISFIED

    def _select(self, name: bytes) -> bytes:
        self._selected = name == self._application
        if name == _PPSE:
            entries = [encode(0x4F, listed) + encode(0x87, bytes((priority,))) for listed, priority in self._directory]
            directory = encode(0xBF0C, b"".join(encode(0x61, entry) for entry in entries))
            return encode(0x6F, encode(0x84, _PPSE) + encode(0xA5, directory)) + _OK
        if not self._selected:
            return _FILE_NOT_FOUND
        proprietary = encode(0x50, b"JOLAQY TEST") + encode(0x87, b"\x01")
        if self._is_visa_like:
            proprietary += encode(0x9F38, _WANTED)
        return encode(0x6F, encode(0x84, name) + encode(0xA5, proprietary)) + _OK

    def _processing_options(self, data: bytes) -> bytes:
        size = _WANTED_BYTES if self._is_visa_like else 0
        if len(data) != 2 + size or data[:2] != bytes((0x83, size)):
            return _WRONG_LENGTH
        self.transactions += 1
        answer = encode(0x82, self._interchange_profile) + encode(0x94, self._locator)
        if self._is_visa_like:
            answer += encode(0x57, self._track2) + encode(0x5F34, b"\x01")
            answer += encode(0x9F36, self.transactions.to_bytes(2, "big"))
        return encode(0x77, answer) + _OK
