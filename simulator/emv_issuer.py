"""Two test schemes: certification authorities, issuers and cards, and the certificates that a bank card carries.

Formats are EMV Book 2 sections 5.1 and 6.1, sizes those of real cards: authorities of 1984 bits, the most that EMV knows,
issuers of 1408 and 1984 (of which a part lies outside of the certificate), cards of 1024. No scheme's keys are involved, and
none of these protect anything: they are made from fixed seeds, once a process, and are written nowhere.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from functools import cache

CA_INDEX = 0x99
EXPIRES_YYMM = "4912"
_SHA1_RSA = b"\x01\x01"
_TAIL_BYTES = 21
_ISSUER_HEAD_BYTES = 15
_CARD_HEAD_BYTES = 21
_CARD_BITS = 1024
_SMALL_PRIMES_PRODUCT = math.prod(
    number for number in range(3, 2000, 2) if all(number % part for part in range(3, math.isqrt(number) + 1, 2))
)


@dataclass(frozen=True)
class Scheme:
    """A scheme that exists in tests only; its RID is that of the scheme whose cards its cards are like."""

    name: str
    rid: bytes
    authority_bits: int
    issuer_bits: int
    issuer_exponent: int


VISA_SCHEME = Scheme("visa-like", bytes.fromhex("A000000003"), 1984, 1408, 3)
MASTERCARD_SCHEME = Scheme("mastercard-like", bytes.fromhex("A000000004"), 1984, 1984, 65537)
SCHEMES = (VISA_SCHEME, MASTERCARD_SCHEME)
# An issuer of the same scheme, whose keys have the small exponent.
MASTERCARD_SMALL_EXPONENT = Scheme("mastercard-like", MASTERCARD_SCHEME.rid, 1984, 1984, 3)


def scheme_of(application: bytes) -> Scheme:
    """Return the test scheme by whose rules an application is personalised."""
    return VISA_SCHEME if application[:5] == VISA_SCHEME.rid else MASTERCARD_SCHEME


@dataclass(frozen=True)
class RsaKey:
    """A test key."""

    exponent: int
    p: int
    q: int

    @property
    def modulus(self) -> int:
        return self.p * self.q

    @property
    def size(self) -> int:
        return self.modulus.bit_length() // 8

    @property
    def modulus_bytes(self) -> bytes:
        return self.modulus.to_bytes(self.size, "big")

    @property
    def exponent_bytes(self) -> bytes:
        return self.exponent.to_bytes(1 if self.exponent < 256 else 3, "big")

    def sign(self, block: bytes) -> bytes:
        """Do the private operation, by the Chinese remainder theorem."""
        number, (d_p, d_q, q_inverse) = int.from_bytes(block, "big"), _private_half(self)
        of_p, of_q = pow(number, d_p, self.p), pow(number, d_q, self.q)
        return (of_q + (of_p - of_q) * q_inverse % self.p * self.q).to_bytes(self.size, "big")


@cache
def _private_half(key: RsaKey) -> tuple[int, int, int]:
    return pow(key.exponent, -1, key.p - 1), pow(key.exponent, -1, key.q - 1), pow(key.q, -1, key.p)


@dataclass(frozen=True)
class Certificate:
    """A certificate over a public key, the part of the key that did not fit into it, and the key's exponent."""

    signed: bytes
    remainder: bytes
    exponent: bytes


@dataclass(frozen=True)
class AuthorityKey:
    """The public key of a test authority, as a list of authorities names it."""

    rid: bytes
    index: int
    modulus: bytes
    exponent: int
    expires_yymm: str


@cache
def named_key(name: str, bits: int, exponent: int = 3) -> RsaKey:
    """Return the key of that name, the same each time."""
    chance = random.Random(f"jolaqy test key {name} {bits}")
    while True:
        p, q = (_prime(chance, bits // 2, exponent) for _ in range(2))
        if p != q and (p * q).bit_length() == bits:
            return RsaKey(exponent, p, q)


def _prime(chance: random.Random, bits: int, exponent: int) -> int:
    while True:
        candidate = chance.getrandbits(bits) | 3 << (bits - 2) | 1
        # Fermat's test: none but crafted composites pass it at this size, and these are not crafted.
        if (
            math.gcd(candidate, _SMALL_PRIMES_PRODUCT) == 1
            and (candidate - 1) % exponent
            and pow(2, candidate - 1, candidate) == 1
        ):
            return candidate


def authority_key(scheme: Scheme, index: int = CA_INDEX) -> RsaKey:
    return named_key(f"authority {scheme.name} {index:02x}", scheme.authority_bits)


def issuer_key(scheme: Scheme) -> RsaKey:
    return named_key(f"issuer {scheme.name}", scheme.issuer_bits, scheme.issuer_exponent)


def card_key() -> RsaKey:
    """Return the key that all test cards share: to make one for each would take too long."""
    return named_key("card", _CARD_BITS)


def authorities() -> list[AuthorityKey]:
    """Return what a terminal must know of the test schemes."""
    keys = [(scheme, authority_key(scheme)) for scheme in SCHEMES]
    return [AuthorityKey(scheme.rid, CA_INDEX, key.modulus_bytes, key.exponent, EXPIRES_YYMM) for scheme, key in keys]


@cache
def certify_issuer(
    scheme: Scheme, identifier: bytes, expires_yymm: str = EXPIRES_YYMM, serial: bytes = b"\x00\x00\x01"
) -> Certificate:
    """Return the authority's certificate over the issuer key; `identifier` is the number's first 8 digits, packed."""
    head = b"\x02" + identifier + _mmyy(expires_yymm) + serial + _SHA1_RSA
    return certify(authority_key(scheme), head, issuer_key(scheme), _ISSUER_HEAD_BYTES)


def certify_card(scheme: Scheme, number: bytes, static_data: bytes, expires_yymm: str = EXPIRES_YYMM) -> Certificate:
    """Return the issuer's certificate over the card key; `number` has 10 bytes, `static_data` is signed along with it."""
    head = b"\x04" + number + _mmyy(expires_yymm) + b"\x00\x00\x02" + _SHA1_RSA
    return certify(issuer_key(scheme), head, card_key(), _CARD_HEAD_BYTES, static_data)


def _mmyy(yymm: str) -> bytes:
    return bytes.fromhex(yymm[2:] + yymm[:2])


def certify(signer: RsaKey, head: bytes, subject: RsaKey, head_bytes: int, static_data: bytes = b"") -> Certificate:
    """Return a certificate; `head` ends before the sizes of the key, which begins at `head_bytes` of the frame."""
    key, exponent = subject.modulus_bytes, subject.exponent_bytes
    room = signer.size - head_bytes - _TAIL_BYTES
    body = head + bytes((len(key), len(exponent))) + key[:room].ljust(room, b"\xbb")
    return Certificate(signer.sign(frame(body, key[room:] + exponent + static_data)), key[room:], exponent)


def sign_dynamic(data: bytes, said: bytes) -> bytes:
    """Return a card's signature over its own data and over what was said (EMV Book 2 sections 6.5.1, 6.6.1)."""
    key = card_key()
    body = b"\x05\x01" + bytes((len(data),)) + data
    return key.sign(frame(body.ljust(key.size - _TAIL_BYTES - 1, b"\xbb"), said))


def frame(body: bytes, hashed_besides: bytes) -> bytes:
    digest = hashlib.sha1(body + hashed_besides).digest()  # noqa: S324 - EMV Book 2 annex B3.1 knows no other hash
    return b"\x6a" + body + digest + b"\xbc"
