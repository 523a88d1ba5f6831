"""A test scheme: certification authority, issuer and card keys, and the certificates that a bank card carries.

Formats are EMV Book 2 sections 5.1 and 6.1, so that a reader with the authority's public key can recover them. No scheme's keys
are involved, and none of these protect anything: RSA of 1024 bits, made from fixed seeds, once a process.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

CA_INDEX = 0x99
MODULUS_BYTES = 128
EXPONENT = 3
_ISSUER_OVERHEAD_BYTES = 36
_CARD_OVERHEAD_BYTES = 42
_EXPIRES_MMYY = b"\x12\x49"
_SHA1_RSA = b"\x01\x01"
_MODULUS_BITS = 8 * MODULUS_BYTES


@dataclass(frozen=True)
class RsaKey:
    """A small test key with public exponent 3."""

    modulus: int
    private_exponent: int

    @property
    def modulus_bytes(self) -> bytes:
        return self.modulus.to_bytes(MODULUS_BYTES, "big")

    def sign(self, block: bytes) -> bytes:
        return pow(int.from_bytes(block, "big"), self.private_exponent, self.modulus).to_bytes(MODULUS_BYTES, "big")


@dataclass(frozen=True)
class Certificate:
    """A certificate over a public key, and the part of the key that did not fit into it."""

    signed: bytes
    remainder: bytes


def recover(modulus: int, signed: bytes) -> bytes:
    """Undo `RsaKey.sign` with the public key."""
    return pow(int.from_bytes(signed, "big"), EXPONENT, modulus).to_bytes(len(signed), "big")


@cache
def named_key(name: str) -> RsaKey:
    """Return the key of that name (`ca`, `issuer`, `card`), the same each time."""
    chance = random.Random(f"jolaqy test key {name}")
    while True:
        p, q = _prime(chance), _prime(chance)
        phi = (p - 1) * (q - 1)
        if p != q and phi % EXPONENT and (p * q).bit_length() == _MODULUS_BITS:
            return RsaKey(p * q, pow(EXPONENT, -1, phi))


def _prime(chance: random.Random) -> int:
    while True:
        candidate = chance.getrandbits(_MODULUS_BITS // 2) | 3 << (_MODULUS_BITS // 2 - 2) | 1
        if candidate % EXPONENT == 2 and _is_probably_prime(candidate, chance):
            return candidate


def _is_probably_prime(candidate: int, chance: random.Random) -> bool:
    """Fermat's test: none but crafted composites pass it at this size, and these are not crafted."""
    if any(candidate % small == 0 for small in (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)):
        return False
    return all(pow(chance.randrange(2, candidate), candidate - 1, candidate) == 1 for _ in range(3))


@cache
def certify_issuer(identifier: bytes) -> Certificate:
    """Return the authority's certificate over the issuer key; `identifier` is the number's first 8 digits, packed."""
    head = b"\x02" + identifier + _EXPIRES_MMYY + b"\x00\x00\x01" + _SHA1_RSA + bytes((MODULUS_BYTES, 1))
    return _certify(named_key("ca"), head, named_key("issuer"), MODULUS_BYTES - _ISSUER_OVERHEAD_BYTES)


def certify_card(number: bytes, static_data: bytes) -> Certificate:
    """Return the issuer's certificate over the card key; `number` has 10 bytes, `static_data` is signed along with it."""
    head = b"\x04" + number + _EXPIRES_MMYY + b"\x00\x00\x02" + _SHA1_RSA + bytes((MODULUS_BYTES, 1))
    return _certify(named_key("issuer"), head, named_key("card"), MODULUS_BYTES - _CARD_OVERHEAD_BYTES, static_data)


def _certify(signer: RsaKey, head: bytes, subject: RsaKey, room: int, static_data: bytes = b"") -> Certificate:
    key = subject.modulus_bytes
    body = head + key[:room]
    hashed = body + key[room:] + bytes((EXPONENT,)) + static_data
    digest = hashlib.sha1(hashed).digest()  # noqa: S324 - EMV Book 2 annex B3.1 knows no other hash
    return Certificate(signer.sign(b"\x6a" + body + digest + b"\xbc"), key[room:])
