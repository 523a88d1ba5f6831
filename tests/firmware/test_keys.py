"""The device's keys: made once, kept wrapped, never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.keys import KeyVersionUnknown, Membership, load_identity, load_membership, make_identity, save_membership
from protocol.cards.card_layout import KEY_DEBIT, KEY_READ, key_material
from protocol.cards.desfire_crypto import diversify
from protocol.compat import sha256
from protocol.cose import ec2_point, key_thumbprint
from protocol.enrolment import EarlierKeys, KeyBundle, encode_enrolled
from protocol.errors import CardError, ProtocolError
from protocol.p256 import N
from tests.firmware.bench_board import BenchBoard, point_of
from tests.firmware.bench_service import (
    ACK_KEY,
    DOCUMENT_KEY,
    TOKEN_KEY,
    TRANSIT_DEBIT,
    TRANSIT_READ,
    make_bundle,
    make_enrolled,
)
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any


def test_an_identity_is_made_once() -> None:
    board = BenchBoard()
    assert load_identity(board) is None
    first = make_identity(board)
    again = make_identity(board)
    loaded = load_identity(board)
    assert loaded is not None
    assert first.device == again.device == loaded.device
    assert first.kid == again.kid == loaded.kid == key_thumbprint(first.cose_key)
    assert 0 < first._private < N
    assert ec2_point(first.cose_key) == point_of(first._private)


def test_two_devices_are_two() -> None:
    one, other = BenchBoard(), BenchBoard()
    other.random_bytes(5)
    assert make_identity(one).device != make_identity(other).device
    assert make_identity(one).kid != make_identity(other).kid


def test_keys_for_different_purposes_are_different_and_stay_the_same() -> None:
    identity = make_identity(BenchBoard())
    assert identity.derived_key(b"journal") == identity.derived_key(b"journal")
    assert identity.derived_key(b"journal") != identity.derived_key(b"seal")
    assert len(identity.derived_key(b"journal")) == 32


def test_what_the_device_signs_its_key_verifies() -> None:
    board = BenchBoard()
    identity = make_identity(board)
    digest = sha256(b"message")
    signature = finish(identity.signer().sign_digest_steps(digest))
    verifier = board.verifier({identity.kid: ec2_point(identity.cose_key)})
    assert finish(verifier.verify_digest_steps(identity.kid, digest, signature))
    assert not finish(verifier.verify_digest_steps(identity.kid, sha256(b"another"), signature))


def finish(steps: Generator[None, None, Any]) -> Any:  # noqa: ANN401
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def enrolled_board() -> BenchBoard:
    board = BenchBoard()
    identity = make_identity(board)
    save_membership(
        board, identity, encode_enrolled(make_enrolled(identity.device)), make_bundle({1: bytes(32)}).encode()
    )
    return board


def loaded(board: BenchBoard) -> Membership | None:
    identity = load_identity(board)
    assert identity is not None
    return load_membership(board, identity)


def test_a_membership_comes_back() -> None:
    membership = loaded(enrolled_board())
    assert membership is not None
    assert (membership.enrolled.vehicle, membership.enrolled.line) == ("A-101", 7)
    assert (membership.bundle.transit_debit, membership.bundle.token_key) == (TRANSIT_DEBIT, TOKEN_KEY)
    assert (membership.ack_kid, membership.document_kid) == (ACK_KEY.kid, DOCUMENT_KEY.kid)


def test_without_either_file_there_is_no_membership() -> None:
    for name in ("enrolled", "keys"):
        board = enrolled_board()
        del board.store.files[name]
        assert loaded(board) is None


def test_secret_keys_are_not_kept_in_the_open() -> None:
    kept = b"".join(enrolled_board().store.files.values())
    for secret in (TRANSIT_DEBIT, TOKEN_KEY):
        assert secret not in kept


def test_keys_of_another_device_do_not_open() -> None:
    board, other = enrolled_board(), BenchBoard()
    other.random_bytes(5)
    make_identity(other)
    board.store.files["identity"] = other.store.files["identity"]
    words = refusal(ProtocolError, loaded, board)
    assert words


# Transit keys.

_UID = bytes.fromhex("04112233445566")


def knows(membership: Membership, board: BenchBoard, purpose: int, version: int | None, master: bytes) -> bool:
    """Return whether what proves a key answers a challenge as the card's own key from that master would."""
    key = diversify(board.aes, master, key_material(_UID))
    challenge = board.aes.cbc_encrypt(key, bytes(16), bytes(range(16)))
    proof = board.aes.cbc_decrypt(key, bytes(16), membership.transit_key(purpose, version, _UID).prove(challenge))
    return proof[16:] == bytes(range(1, 16)) + b"\x00"


def membership_with(bundle: KeyBundle) -> tuple[Membership, BenchBoard]:
    board = BenchBoard()
    identity = make_identity(board)
    return Membership(board, make_enrolled(identity.device), bundle, bytes(32)), board


def test_a_card_is_proved_to_by_purpose_and_no_key_is_handed_out() -> None:
    membership, board = membership_with(make_bundle())
    assert membership.transit_versions() is None
    assert knows(membership, board, KEY_DEBIT, None, TRANSIT_DEBIT)
    assert knows(membership, board, KEY_READ, None, TRANSIT_READ)
    assert not knows(membership, board, KEY_READ, None, TRANSIT_DEBIT)
    holder = membership.transit_key(KEY_DEBIT, None, _UID)
    assert [name for name in dir(holder) if not name.startswith("_")] == ["open", "prove"]
    assert refusal(CardError, membership.transit_key, KEY_DEBIT, None, b"\x08\x01\x02\x03")


def test_while_keys_are_rolled_over_a_card_is_proved_to_by_its_generation() -> None:
    bundle = make_bundle()
    bundle.earlier = EarlierKeys(3, 2, b"r" * 16, b"d" * 16)
    membership, board = membership_with(bundle)
    assert membership.transit_versions() == (3, 2)
    assert knows(membership, board, KEY_DEBIT, 3, TRANSIT_DEBIT)
    assert knows(membership, board, KEY_DEBIT, 2, b"d" * 16)
    assert knows(membership, board, KEY_READ, 2, b"r" * 16)
    assert refusal(KeyVersionUnknown, membership.transit_key, KEY_DEBIT, 1, _UID)
