"""ES256 in plain integers: the signatures of RFC 6979, and what must not verify."""

from __future__ import annotations

from protocol import p256
from protocol.compat import sha256
from protocol.errors import LocalProtocolError, UnknownKid
from tests.protocol.expect import refusal
from tests.vectors.load import load

_VECTOR = load("rfc6979")
_PRIVATE = int(_VECTOR["private"], 16)
_X, _Y = int(_VECTOR["x"], 16), int(_VECTOR["y"], 16)


def _verify(digest: bytes, signature: bytes, x: int = _X, y: int = _Y) -> bool:
    return p256.finish(p256.verify_steps(x, y, digest, signature))


def _sign(digest: bytes, private: int = _PRIVATE) -> bytes:
    return p256.finish(p256.sign_steps(private, digest))


def test_the_public_key_is_that_of_rfc_6979() -> None:
    assert p256.public_key(_PRIVATE) == (_X, _Y)


def test_the_signatures_are_those_of_rfc_6979() -> None:
    for vector in _VECTOR["signatures"]:
        digest = sha256(vector["message"].encode())
        signature = _sign(digest)
        assert signature.hex() == vector["r"] + vector["s"]
        assert _verify(digest, signature)


def test_the_ends_of_the_range_of_private_keys_sign_and_verify() -> None:
    digest = sha256(b"digest")
    for private in (1, 2, p256.N - 2, p256.N - 1):
        x, y = p256.public_key(private)
        assert p256.is_on_curve(x, y)
        assert _verify(digest, _sign(digest, private), x, y)
    assert p256.public_key(1) == p256.G
    assert p256.public_key(p256.N - 1) == (p256.G[0], p256.P - p256.G[1])


def test_a_private_key_out_of_range_is_refused() -> None:
    for private in (0, -1, p256.N):
        assert refusal(LocalProtocolError, p256.public_key, private)


def test_the_ends_of_the_range_of_digests_sign_and_verify() -> None:
    for digest in (bytes(32), b"\xff" * 32, p256.N.to_bytes(32, "big")):
        assert _verify(digest, _sign(digest))


def test_another_digest_key_or_signature_does_not_verify() -> None:
    digest = sha256(b"digest")
    signature = _sign(digest)
    assert not _verify(sha256(b"other"), signature)
    assert not _verify(digest, signature, *p256.public_key(7))
    for index in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[index] ^= 1
        assert not _verify(digest, bytes(changed))


def test_halves_out_of_range_do_not_verify() -> None:
    digest = sha256(b"digest")
    signature = _sign(digest)
    r, s = signature[:32], signature[32:]
    zero, order = bytes(32), p256.N.to_bytes(32, "big")
    for changed in (zero + s, r + zero, zero + zero, order + s, r + order, signature[:-1], signature + b"\x00", b""):
        assert not _verify(digest, changed)


def test_a_point_off_the_curve_verifies_nothing() -> None:
    digest = sha256(b"digest")
    signature = _sign(digest)
    for x, y in ((_X, _Y + 1), (_X + p256.P, _Y), (0, 0), (_X, -_Y)):
        assert not _verify(digest, signature, x, y)


def test_a_sum_at_infinity_verifies_nothing() -> None:
    # With the base point as key and r = -e, the two terms cancel.
    digest = sha256(b"digest")
    r = (-int.from_bytes(digest, "big")) % p256.N
    signature = r.to_bytes(32, "big") + (5).to_bytes(32, "big")
    assert not _verify(digest, signature, *p256.G)


def test_equal_terms_are_added_as_a_doubling() -> None:
    # With the base point as key and r = e, both terms run through the same points.
    r = p256.public_key(2 * 3)[0] % p256.N
    s = r * pow(3, p256.N - 2, p256.N) % p256.N
    assert _verify(r.to_bytes(32, "big"), r.to_bytes(32, "big") + s.to_bytes(32, "big"), *p256.G)


def test_more_keys_than_tables_are_kept_for_verify() -> None:
    digest = sha256(b"digest")
    for private in (11, 12, 13, 14, 15, 11):
        assert _verify(digest, _sign(digest, private), *p256.public_key(private))


def test_work_is_done_in_many_small_steps() -> None:
    digest = sha256(b"digest")
    assert len(list(p256.sign_steps(_PRIVATE, digest))) > 20
    assert len(list(p256.verify_steps(_X, _Y, digest, _sign(digest)))) > 20


def test_the_inverse_is_the_inverse() -> None:
    for value in (1, 2, 3, p256.N - 1, 0xFFFFFFFF, 1 << 255):
        assert value * p256._inverse(value, p256.N) % p256.N == 1


def test_signer_and_verifier_agree_by_kid() -> None:
    signer = p256.P256Signer(b"kid", _PRIVATE)
    verifier = p256.P256Verifier({b"kid": (_X.to_bytes(32, "big"), _Y.to_bytes(32, "big"))})
    signature = signer.sign(b"message")
    assert verifier.verify(b"kid", b"message", signature)
    assert not verifier.verify(b"kid", b"massage", signature)
    assert refusal(UnknownKid, verifier.verify, b"kit", b"message", signature)


def test_there_is_another_nonce_where_one_cannot_be_used() -> None:
    nonces = p256._nonces(_PRIVATE, sha256(b"sample"))
    first, second = next(nonces), next(nonces)
    # RFC 6979 A.2.5 names the first.
    assert first == 0xA6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60
    assert second != first
    assert 0 < second < p256.N


def test_two_signers_agree_on_one_secret() -> None:
    ours, theirs = p256.P256Signer(b"k" * 32, _PRIVATE), p256.P256Signer(b"l" * 32, 5)

    def agree(signer: p256.P256Signer, private: int) -> bytes:
        x, y = p256.public_key(private)
        return p256.finish(signer.agree_steps(x.to_bytes(32, "big"), y.to_bytes(32, "big")))

    assert agree(ours, 5) == agree(theirs, _PRIVATE)
    assert agree(ours, 5) != agree(ours, 6)
