"""The validator's keys and who it is: a software store that stands where a secure element will.

The identity (device id, private key, key of the journal) is made once, on the device. What enrolment brought is kept wrapped
under a key of the identity. Nothing here is ever shown, logged or put into an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import hmac_sha256
from protocol.cose import ec2_key, ec2_point, key_thumbprint
from protocol.enrolment import Enrolled, KeyBundle, decode_enrolled, decode_key_bundle
from protocol.keywrap import unwrap, wrap
from protocol.p256 import N

if TYPE_CHECKING:
    from firmware.boards.board import Board, Signer, Verifier

_IDENTITY_FILE = "identity"
_ENROLLED_FILE = "enrolled"
_BUNDLE_FILE = "keys"


class Identity:
    """Who the device is.

    Attributes:
        device: 16 bytes.
        cose_key: its public key.
        kid: names it.
    """

    def __init__(self, board: Board, device: bytes, private: int) -> None:
        self.device = device
        self._private = private
        self._board = board
        self.cose_key = ec2_key(*board.public_point(private))
        self.kid = key_thumbprint(self.cose_key)

    def signer(self) -> Signer:
        return self._board.signer(self.kid, self._private)

    def derived_key(self, purpose: bytes) -> bytes:
        """Return a key of this device for one purpose, 32 bytes."""
        return hmac_sha256(self._private.to_bytes(32, "big"), purpose)


def load_identity(board: Board) -> Identity | None:
    data = board.store.read(_IDENTITY_FILE)
    if data is None:
        return None
    device, private = cbor.decode(data)
    return Identity(board, device, int.from_bytes(private, "big"))


def make_identity(board: Board) -> Identity:
    """Make the device's id and key, once: an identity that is there is kept."""
    identity = load_identity(board)
    if identity is None:
        device = board.random_bytes(16)
        private = int.from_bytes(board.random_bytes(40), "big") % (N - 1) + 1
        board.store.write(_IDENTITY_FILE, cbor.encode([device, private.to_bytes(32, "big")]))
        identity = Identity(board, device, private)
    return identity


class Membership:
    """What enrolment brought.

    Attributes:
        enrolled: where the device belongs.
        bundle: its secret keys.
        verifier: holds the service's ack and document keys.
        ack_kid, document_kid: which is which.
    """

    def __init__(self, board: Board, enrolled: Enrolled, bundle: KeyBundle) -> None:
        self.enrolled = enrolled
        self.bundle = bundle
        self.ack_kid = key_thumbprint(enrolled.ack_key)
        self.document_kid = key_thumbprint(enrolled.document_key)
        self.verifier: Verifier = board.verifier(
            {self.ack_kid: ec2_point(enrolled.ack_key), self.document_kid: ec2_point(enrolled.document_key)}
        )


def _sealing_key(identity: Identity) -> bytes:
    return identity.derived_key(b"seal")[:16]


def save_membership(board: Board, identity: Identity, payload: bytes, bundle: bytes) -> None:
    """Keep what enrolment brought: the answer's payload, and the unwrapped key bundle sealed anew."""
    board.store.write(_BUNDLE_FILE, wrap(board.aes, _sealing_key(identity), bundle))
    board.store.write(_ENROLLED_FILE, payload)


def load_membership(board: Board, identity: Identity) -> Membership | None:
    payload = board.store.read(_ENROLLED_FILE)
    sealed = board.store.read(_BUNDLE_FILE)
    if payload is None or sealed is None:
        return None
    bundle = decode_key_bundle(unwrap(board.aes, _sealing_key(identity), sealed))
    return Membership(board, decode_enrolled(payload), bundle)
