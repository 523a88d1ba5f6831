"""Is the chip one of its maker's? A card is signed over its UID when it is made (Read_Sig, ECDSA on secp224r1).

It says that the UID is the maker's and nothing more: whoever copies a genuine card copies its signature too. So the desk asks
before it gives keys to a card, and a validator, which asks for keys, does not.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224

_COORDINATE_BYTES = 28
SIGNATURE_BYTES = 2 * _COORDINATE_BYTES


def is_original(uid: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether a maker's key (a point: 04, x and y) has signed that UID: the UID itself, as a number, and no hash of it."""
    if len(signature) != SIGNATURE_BYTES or not 0 < len(uid) <= _COORDINATE_BYTES:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP224R1(), public_key)
    try:
        key.verify(encode_dss_signature(r, s), uid.rjust(_COORDINATE_BYTES, b"\0"), ec.ECDSA(Prehashed(SHA224())))
    except InvalidSignature:
        return False
    return True
