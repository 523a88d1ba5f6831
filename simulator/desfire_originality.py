"""The signature over its UID that a chip is made with (Read_Sig): here by a test key of this project, on the maker's curve.

Real chips are signed with NXP's key, of which only the public half is known. **This one proves nothing**: it lets the check at
the card desk be tested, with chips that pass and chips that do not.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224

_COORDINATE_BYTES = 28
_TEST_PRIVATE = 0x4A4F4C4151592074657374206F726967696E616C697479


@lru_cache(maxsize=1)
def _private() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(_TEST_PRIVATE, ec.SECP224R1())


def maker_public_key() -> bytes:
    """Return the public half of the test key, as a point: 04, x and y."""
    numbers = _private().public_key().public_numbers()
    return b"\x04" + numbers.x.to_bytes(_COORDINATE_BYTES, "big") + numbers.y.to_bytes(_COORDINATE_BYTES, "big")


@lru_cache(maxsize=1024)
def sign_uid(uid: bytes) -> bytes:
    """Return what a chip with that UID answers: r and s; the UID itself, as a number, is what is signed."""
    algorithm = ec.ECDSA(Prehashed(SHA224()), deterministic_signing=True)
    r, s = decode_dss_signature(_private().sign(uid.rjust(_COORDINATE_BYTES, b"\0"), algorithm))
    return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
