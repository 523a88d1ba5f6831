"""The validator's keys and who it is: a software store that stands where a secure element will.

The identity (device id, private key, key of the journal) is made once, on the device. What enrolment brought is kept wrapped
under a key of the identity. Nothing here is ever shown, logged or put into an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cards.card_layout import KEY_DEBIT, key_material
from protocol.cards.desfire import KeyInMemory
from protocol.cards.desfire_crypto import diversify
from protocol.compat import forget, hmac_sha256
from protocol.cose import ec2_key, ec2_point, key_thumbprint
from protocol.enrolment import Enrolled, KeyBundle, decode_enrolled, decode_key_bundle
from protocol.errors import CardError
from protocol.keyset import ROLE_ACK, ROLE_FARE_TABLE, ROLE_LIST, ROLE_TICKET, ROLE_TOP_UP
from protocol.keywrap import unwrap, wrap
from protocol.p256 import N

if TYPE_CHECKING:
    from firmware.boards.board import Board, Signer, Store, Verifier
    from protocol.cards.desfire import KeyHolder
    from protocol.enrolment import EarlierKeys
    from protocol.key_ring import KeySet

_IDENTITY_FILE = "identity"
_ENROLLED_FILE = "enrolled"
_BUNDLE_FILE = "keys"
# What is derived from the device's first key, and stays what it is when that key changes.
_PURPOSES = (b"journal", b"seal", b"documents")


class KeyVersionUnknown(CardError):  # noqa: N818 - a result that the validator tells apart
    """A card has keys of a generation that is not held here."""


class Identity:
    """Who the device is.

    Attributes:
        device: 16 bytes.
        cose_key: its public key.
        kid: names it.
    """

    def __init__(self, board: Board, device: bytes, private: int, derived: list[bytes] | None = None) -> None:
        self.device = device
        self._board = board
        self._derived = derived or [hmac_sha256(private.to_bytes(32, "big"), purpose) for purpose in _PURPOSES]
        self._use(private)

    def _use(self, private: int) -> None:
        self._private = private
        self.cose_key = ec2_key(*self._board.public_point(private))
        self.kid = key_thumbprint(self.cose_key)
        self._signer = self._board.signer(self.kid, private)

    def signer(self) -> Signer:
        return self._signer

    def derived_key(self, purpose: bytes) -> bytes:
        """Return a key of this device for one purpose (journal, seal, documents), 32 bytes."""
        return self._derived[_PURPOSES.index(purpose)]

    def change_key(self, private: int) -> None:
        """Sign with another key from now on; the old one is erased, and what was derived from it stays."""
        self._board.store.write(_IDENTITY_FILE, cbor.encode([self.device, private.to_bytes(32, "big"), self._derived]))
        self._use(private)


def load_journal_key(store: Store) -> bytes | None:
    """Return the key of the journal, without a board that could sign; None where no identity is kept."""
    data = store.read(_IDENTITY_FILE)
    if not data:
        return None
    parts = cbor.decode(data)
    return hmac_sha256(parts[1], _PURPOSES[0]) if len(parts) == 2 else parts[2][0]


def load_identity(board: Board) -> Identity | None:
    data = board.store.read(_IDENTITY_FILE)
    if data is None:
        return None
    parts = cbor.decode(data)
    return Identity(board, parts[0], int.from_bytes(parts[1], "big"), parts[2] if len(parts) > 2 else None)


def make_private(board: Board) -> int:
    """Return a new private key."""
    return int.from_bytes(board.random_bytes(40), "big") % (N - 1) + 1


def make_identity(board: Board) -> Identity:
    """Make the device's id and key, once: an identity that is there is kept."""
    identity = load_identity(board)
    if identity is None:
        device = board.random_bytes(16)
        private = make_private(board)
        board.store.write(_IDENTITY_FILE, cbor.encode([device, private.to_bytes(32, "big")]))
        identity = Identity(board, device, private)
    return identity


class Membership:
    """What enrolment brought, and what has come in its place since.

    Attributes:
        enrolled: where the device belongs.
        bundle: its secret keys.
        documents_key: vouches for documents that the device has verified and kept.
        ack_kid, document_kid: the keys of its enrolment.
        key_set: once there is one, it alone says who may sign what.
        verifier: holds all keys of the service that may sign something for a device.
    """

    verifier: Verifier

    def __init__(
        self, board: Board, enrolled: Enrolled, bundle: KeyBundle, documents_key: bytes, key_set: KeySet | None = None
    ) -> None:
        self._board = board
        self.documents_key = documents_key
        self.enrolled = enrolled
        self.bundle = bundle
        self.ack_kid = key_thumbprint(enrolled.ack_key)
        self.document_kid = key_thumbprint(enrolled.document_key)
        self.use(key_set)

    def use(self, key_set: KeySet | None) -> None:
        """Let these keys count from now on."""
        self.key_set = key_set
        if key_set is None:
            enrolled = self.enrolled
            points = {self.ack_kid: ec2_point(enrolled.ack_key), self.document_kid: ec2_point(enrolled.document_key)}
        else:
            points = key_set.points(ROLE_ACK | ROLE_LIST | ROLE_FARE_TABLE | ROLE_TICKET | ROLE_TOP_UP)
        self.verifier = self._board.verifier(points)

    def bundle_number(self) -> int:
        """Return the number of the secret keys held: the first day of their QR keys, 0 without any."""
        return min(self.bundle.qr_day_keys) if self.bundle.qr_day_keys else 0

    def may(self, kid: bytes, role: int) -> bool:
        """Return whether the key of that name may play a role (`protocol.keyset.ROLE_…`)."""
        if self.key_set is not None:
            return self.key_set.may(kid, role)
        return kid == (self.ack_kid if role == ROLE_ACK else self.document_kid)

    def transit_versions(self) -> tuple[int, int] | None:
        """Return the two generations of transit keys that are held while a city rolls them over, the newer one first."""
        earlier = self.bundle.earlier
        return None if earlier is None else (earlier.newer, earlier.version)

    def transit_key(self, purpose: int, version: int | None, uid: bytes) -> KeyHolder:
        """Return what proves that we have a card's own key, once: all that a conversation needs, and no key of a city.

        Args:
            purpose: number of the card's key (`protocol.cards.card_layout.KEY_…`).
            version: which generation the card has; None where only one is held, and the card need not be asked.
            uid: the card's.

        Raises:
            KeyVersionUnknown: keys of that generation are not held.
            CardError: with such a UID it is no transport card.
        """
        bundle: KeyBundle | EarlierKeys = self.bundle
        earlier = self.bundle.earlier
        if version is not None and earlier is not None and version != earlier.newer:
            if version != earlier.version:
                raise KeyVersionUnknown("the card has keys of another generation")
            bundle = earlier
        master = bundle.transit_debit if purpose == KEY_DEBIT else bundle.transit_read
        aes = self._board.aes
        return KeyInMemory(aes, diversify(aes, master, key_material(uid)), self._board.random_bytes(16))

    def is_valid_at(self, unix_s: int) -> bool:
        """Return whether the service's keys count then; those of an enrolment without a key set always do."""
        return self.key_set is None or self.key_set.is_valid_at(unix_s)


def _sealing_key(identity: Identity) -> bytes:
    return identity.derived_key(b"seal")[:16]


def save_membership(board: Board, identity: Identity, payload: bytes, bundle: bytes) -> None:
    """Keep what enrolment brought: the answer's payload, and the unwrapped key bundle sealed anew."""
    seal_bundle(board, identity, bundle)
    board.store.write(_ENROLLED_FILE, payload)


def seal_bundle(board: Board, identity: Identity, bundle: bytes) -> None:
    """Keep secret keys; those before are forgotten by the same write."""
    board.store.write(_BUNDLE_FILE, wrap(board.aes, _sealing_key(identity), bundle))


def load_membership(board: Board, identity: Identity) -> Membership | None:
    payload = board.store.read(_ENROLLED_FILE)
    sealed = board.store.read(_BUNDLE_FILE)
    if payload is None or sealed is None:
        return None
    bundle = decode_key_bundle(unwrap(board.aes, _sealing_key(identity), sealed))
    enrolled = decode_enrolled(payload)
    documents_key = identity.derived_key(b"documents")
    if enrolled.key_set is None:
        return Membership(board, enrolled, bundle, documents_key)
    from firmware.key_sets import load_key_set  # noqa: PLC0415

    key_set = load_key_set(board, enrolled)
    forget("firmware.key_sets", "protocol.keyset", "protocol.cose_sign")
    enrolled.key_set = None  # it is long, and needed no more
    return Membership(board, enrolled, bundle, documents_key, key_set)
