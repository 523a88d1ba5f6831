"""A virtual bank card: PPSE, one application, records with certificates of our own test CA. No scheme's keys are involved.

The certificates are genuine in form (EMV Book 2 sections 5.3 and 6.2): a reader with the test CA's public key can recover
them.
Card numbers begin with 999999, which no scheme issues.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

from protocol.cards.tlv import encode
from simulator.desfire_card import TornAway

VISA_LIKE = bytes.fromhex("A0000000031010")
MASTERCARD_LIKE = bytes.fromhex("A0000000041010")
CA_INDEX = 0x99
_PPSE = b"2PAY.SYS.DDF01"
_MODULUS_BITS = 1024
_EXPONENT = 3


@dataclass(frozen=True)
class RsaKey:
    """A small test key; `modulus_bytes` long, public exponent 3."""

    modulus: int
    private_exponent: int

    @property
    def modulus_bytes(self) -> bytes:
        return self.modulus.to_bytes(_MODULUS_BITS // 8, "big")

    def sign(self, block: bytes) -> bytes:
        return pow(int.from_bytes(block, "big"), self.private_exponent, self.modulus).to_bytes(
            _MODULUS_BITS // 8, "big"
        )


def recover(modulus: int, signed: bytes) -> bytes:
    """Undo `sign` with the public key."""
    return pow(int.from_bytes(signed, "big"), _EXPONENT, modulus).to_bytes(len(signed), "big")


@cache
def test_key(name: str) -> RsaKey:
    """Return the test key of that name, the same each time."""
    chance = random.Random(f"jolaqy test key {name}")
    while True:
        p, q = _prime(chance), _prime(chance)
        phi = (p - 1) * (q - 1)
        if p != q and phi % _EXPONENT and (p * q).bit_length() == _MODULUS_BITS:
            return RsaKey(p * q, pow(_EXPONENT, -1, phi))


def _prime(chance: random.Random) -> int:
    while True:
        candidate = chance.getrandbits(_MODULUS_BITS // 2) | 3 << (_MODULUS_BITS // 2 - 2) | 1
        if all(candidate % small for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)) and all(
            _is_probably_prime(candidate, chance.randrange(2, candidate)) for _ in range(8)
        ):
            return candidate


def _is_probably_prime(candidate: int, base: int) -> bool:
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    power = pow(base, odd, candidate)
    if power in {1, candidate - 1}:
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False


def _certificate(signer: RsaKey, head: bytes, subject: RsaKey, room: int, static: bytes = b"") -> tuple[bytes, bytes]:
    """Return a certificate over a public key, and the part of the key that did not fit into it."""
    key = subject.modulus_bytes
    inside, remainder = key[:room], key[room:]
    body = head + inside + b"\xbb" * (room - len(inside))
    digest = hashlib.sha1(body + remainder + bytes((_EXPONENT,)) + static).digest()  # noqa: S324 - EMV Book 2 says SHA-1
    return signer.sign(b"\x6a" + body + digest + b"\xbc"), remainder


class EmvCard:
    """One bank card.

    Attributes:
        uid, ats: as told in anticollision.
        tear_after: the card is torn away after so many commands; None for never.
    """

    ats = b"\x05\x78\x80\x70\x02"

    def __init__(self, uid: bytes, number: str, expires_yymm: str, application: bytes = VISA_LIKE) -> None:
        self.uid = uid
        self.tear_after: int | None = None
        self._application = application
        self._expiry = bytes.fromhex(expires_yymm + "31")
        self._number = bytes.fromhex(number + "F" * (len(number) % 2))
        self._records = self._make_records(number)
        self.reset()

    def reset(self) -> None:
        """The field went off."""
        self._selected = False

    def _make_records(self, number: str) -> dict[int, bytes]:
        ca, issuer, card = test_key("ca"), test_key("issuer"), test_key("card")
        room = _MODULUS_BITS // 8
        identifier = bytes.fromhex(number[:8])
        issuer_head = b"\x02" + identifier + b"\x12\x49" + b"\x00\x00\x01" + b"\x01\x01" + bytes((room, 1))
        issuer_certificate, issuer_rest = _certificate(ca, issuer_head, issuer, room - 36)
        padded = self._number + b"\xff" * (10 - len(self._number))
        card_head = b"\x04" + padded + b"\x12\x49" + b"\x00\x00\x02" + b"\x01\x01" + bytes((room, 1))
        static = encode(0x5F24, self._expiry) + encode(0x5A, self._number)
        card_certificate, card_rest = _certificate(issuer, card_head, card, room - 42, static)
        exponent = bytes((_EXPONENT,))
        return {
            1: encode(0x70, static),
            2: encode(
                0x70, encode(0x8F, bytes((CA_INDEX,))) + encode(0x90, issuer_certificate) + encode(0x9F32, exponent)
            ),
            3: encode(0x70, encode(0x92, issuer_rest) + encode(0x9F46, card_certificate)),
            4: encode(0x70, encode(0x9F47, exponent) + encode(0x9F48, card_rest)),
        }

    def process(self, apdu: bytes) -> bytes:
        """Answer one command APDU; TornAway when the card is no longer there to answer."""
        if self.tear_after is not None:
            if self.tear_after == 0:
                raise TornAway
            self.tear_after -= 1
        if len(apdu) < 4:
            return b"\x67\x00"
        data = apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        if apdu[:4] == b"\x00\xa4\x04\x00":
            return self._select(data)
        if apdu[:2] == b"\x80\xa8" and self._selected:
            return self._processing_options(data)
        if apdu[:2] == b"\x00\xb2" and self._selected:
            return self._read_record(apdu[2], apdu[3] >> 3)
        return b"\x69\x85" if self._selected else b"\x6d\x00"

    def _select(self, name: bytes) -> bytes:
        self._selected = name == self._application
        if name == _PPSE:
            entry = encode(0x61, encode(0x4F, self._application) + encode(0x87, b"\x01"))
            return encode(0x6F, encode(0x84, _PPSE) + encode(0xA5, encode(0xBF0C, entry))) + b"\x90\x00"
        if not self._selected:
            return b"\x6a\x82"
        wanted = bytes.fromhex("9F6604 9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704")
        label = encode(0x50, b"JOLAQY TEST")
        return encode(0x6F, encode(0x84, name) + encode(0xA5, label + encode(0x9F38, wanted))) + b"\x90\x00"

    def _processing_options(self, data: bytes) -> bytes:
        if data[:2] != b"\x83\x21" or len(data) != 2 + 33:
            return b"\x67\x00"
        return encode(0x77, encode(0x82, b"\x20\x00") + encode(0x94, b"\x10\x01\x04\x01")) + b"\x90\x00"

    def _read_record(self, record: int, file: int) -> bytes:
        if file != 2 or record not in self._records:
            return b"\x6a\x83"
        return self._records[record] + b"\x90\x00"
