"""Builders for tests: a validator made of nothing but its key and its chain, and records with reasonable fields."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from clearing.fleet.enrolment import ANY_AUDIENCE
from clearing.fleet.keys import Aes, Es256Signer, KeyStore, OneKeyVerifier, verify_es256
from clearing.fleet.models import Validator
from clearing.ingest.models import TapException
from protocol import cbor, enrolment, keyset
from protocol.ack import Ack, ErrorAnswer, decode_ack, decode_error
from protocol.batch import Batch, encode_batch, genesis_head, next_head
from protocol.cards import card_layout
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import encode_evidence, ride_event
from protocol.cards.transaction_mac import ride_input, transaction_mac
from protocol.cose import TYP_ACK, TYP_BATCH, TYP_ENROLLED, TYP_ENROLMENT, ec2_point, key_thumbprint, sign1, verify1
from protocol.decisions import DECISION_COMMITTED
from protocol.errors import UnknownKid
from protocol.keywrap import unwrap
from protocol.tap import (
    CLOCK_SYNCHRONISED,
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_REFUSED,
    KIND_SINGLE,
    MEDIUM_CASH,
    MEDIUM_TRANSPORT_CARD,
    Tap,
    encode_tap,
)
from protocol.tokens import mask_uid

if TYPE_CHECKING:
    import httpx

    from clearing.clock import FixedClock
    from clearing.database import Base, Database

# Wednesday 15 May 2024, 08:00 in Almaty (UTC+5).
NOW_S = 1_715_742_000
NOW_MS = NOW_S * 1000
DAY = "2024-05-15"
CITY = "almaty"


def make_token(number: int) -> bytes:
    """A token as good as any."""
    return hashlib.sha256(b"token%d" % number).digest()[:16]


class Verifier:
    """Verifies with the keys it was made of."""

    def __init__(self, keys: dict[bytes, tuple[bytes, bytes]]) -> None:
        self._keys = keys

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        if kid not in self._keys:
            raise UnknownKid("not one of these keys")
        return verify_es256(*self._keys[kid], message, signature)


def make_verifier(keys: dict[bytes, tuple[bytes, bytes]]) -> Verifier:
    return Verifier(keys)


class Device:
    """A validator as the wire sees it: its key, its chain, and what it makes of an answer.

    Attributes:
        next_sequence, head: of the next record, and the chain head before it.
        enrolled: what it was told when it was enrolled.
        key_set: the one it holds.
        now_s: its clock.
        city_keys: of the cards that ride with it; without them its records have no evidence.
    """

    def __init__(self, seed: int, city: str = CITY) -> None:
        self.seed = seed
        self.id = hashlib.sha256(b"device%d" % seed).digest()[:16]
        self.private = hashlib.sha256(b"key%d" % seed).digest()
        self.signer = Es256Signer(self.private)
        self.audience = city
        self.enrolled: enrolment.Enrolled | None = None
        self.bundle: enrolment.KeyBundle | None = None
        self.key_set: keyset.KeySet | None = None
        self.now_s = NOW_S
        self.city_keys: KeyStore | None = None
        self._intents: dict[int, Tap] = {}
        self._nonces = 0
        self.begin_epoch(1)

    def copy(self) -> Device:
        """Another device with the same keys and the same journal, and chance of its own."""
        twin = copy.copy(self)
        twin._nonces = self._nonces + (1 << 32)
        return twin

    def begin_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.next_sequence = 1
        self.head = genesis_head(self.id, epoch)

    def request_enrolment(self, code: str) -> bytes:
        """The signed request that uses an invitation."""
        invitation = enrolment.parse_invitation(code)
        key = self.signer.public_key()
        proof = invitation.proof(self.id, cbor.encode(key))
        request = enrolment.EnrolmentRequest(self.id, invitation.code_id, key, 2, proof)
        return sign1(enrolment.encode_request(request), TYP_ENROLMENT, ANY_AUDIENCE, self.signer)

    def read_enrolled(self, answer: bytes, code: str) -> None:
        """Check the answer as a validator does, and take it."""
        invitation = enrolment.parse_invitation(code)
        unverified = enrolment.decode_enrolled(cbor.decode(answer)[2])
        assert key_thumbprint(unverified.ack_key) == invitation.ack_kid
        verifier = OneKeyVerifier(invitation.ack_kid, *ec2_point(unverified.ack_key))
        self.enrolled = enrolment.decode_enrolled(verify1(answer, TYP_ENROLLED, unverified.audience, verifier))
        self.bundle = enrolment.decode_key_bundle(
            unwrap(Aes(), invitation.key_encryption_key(), self.enrolled.wrapped_keys)
        )
        self.audience = self.enrolled.audience
        if self.enrolled.key_set is not None:
            self.key_set = keyset.take(self.enrolled.key_set, self.audience, None, None, make_verifier)
        self.begin_epoch(self.enrolled.epoch)

    def record(self, **fields: Any) -> bytes:  # noqa: ANN401 - a tap has fields of many types
        """The next record of the journal: by default a cash fare, accepted."""
        fields = {
            "sequence": self.next_sequence,
            "tapped_at_s": NOW_S - 60 + self.next_sequence,
            "clock_quality": CLOCK_SYNCHRONISED,
            "uptime_ms": 1000 * self.next_sequence,
            "boot": 1,
            "kind": KIND_SINGLE,
            "medium": MEDIUM_CASH,
            "fare_minor": 20_000,
            "category": 1,
            "line": 1,
            "decision": 0,
        } | fields
        self.next_sequence = int(fields["sequence"]) + 1
        tap = Tap(**fields)
        if tap.kind == KIND_INTENT:
            self._intents[tap.sequence] = tap
        elif tap.decision == DECISION_COMMITTED and tap.evidence is None and tap.reference in self._intents:
            tap.evidence = self._sign_as_card(self._intents[tap.reference], tap)
        return encode_tap(tap)

    def _sign_as_card(self, intent: Tap, outcome: Tap) -> bytes | None:
        """What the card would have signed, as evidence; nothing before the city's keys are known here."""
        if self.city_keys is None or intent.token is None or not 0 <= (intent.fare_minor or 0) < 1 << 31:
            return None
        uid, aes = b"\x04" + intent.token[:6], Aes()
        key = diversify(aes, self.city_keys.transit_mac_master, card_layout.key_material(uid))
        event = ride_event(intent, self.id, card_layout.EVENT_PURSE, 0, 0, outcome.balance_minor or 0)
        counter = (intent.counter or 0) + 1 if outcome.counter is None else outcome.counter
        mac = transaction_mac(aes, key, uid, counter, ride_input(event))
        return encode_evidence(mac, mask_uid(self.city_keys.token_key, intent.token, uid), event)

    def card_ride(self, card: int, counter: int, decision: int = 15) -> list[bytes]:
        """Intent and outcome of a debit."""
        token = {"token": make_token(card), "token_key_version": 1, "medium": MEDIUM_TRANSPORT_CARD}
        intent = self.next_sequence
        return [
            self.record(kind=KIND_INTENT, counter=counter, fare_minor=10_000, **token),
            self.record(
                kind=KIND_OUTCOME, reference=intent, decision=decision, counter=counter + 1, fare_minor=10_000, **token
            ),
        ]

    def refusal(self, decision: int) -> bytes:
        return self.record(kind=KIND_REFUSED, medium=MEDIUM_TRANSPORT_CARD, decision=decision, fare_minor=None)

    def batch(self, records: list[bytes], first_sequence: int, head_before: bytes, **changes: Any) -> Batch:  # noqa: ANN401
        """A batch of records that begin at a place in the chain."""
        head = head_before
        for record in records:
            head = next_head(head, record)
        self._nonces += 1
        fields: dict[str, Any] = {
            "device": self.id,
            "epoch": self.epoch,
            "first_sequence": first_sequence,
            "records": records,
            "head_before": head_before,
            "head_after": head,
            "nonce": self._nonces.to_bytes(8, "big"),
            "device_time_s": self.now_s,
            "clock_quality": CLOCK_SYNCHRONISED,
            "firmware": 1,
        } | changes
        return Batch(**fields)

    def sign(self, batch: Batch, audience: str | None = None, typ: str = TYP_BATCH) -> bytes:
        return sign1(encode_batch(batch), typ, audience or self.audience, self.signer)

    def message(self, records: list[bytes]) -> bytes:
        """The signed batch of records just made with `record`, which become part of the chain."""
        first_sequence = self.next_sequence - len(records)
        batch = self.batch(records, first_sequence, self.head)
        self.head = batch.head_after
        return self.sign(batch)

    def read_ack(self, answer: bytes) -> Ack:
        """Verify an ack as a validator does."""
        assert self.enrolled is not None
        keys = {key_thumbprint(self.enrolled.ack_key): ec2_point(self.enrolled.ack_key)}
        if self.key_set is not None:
            keys = self.key_set.points(keyset.ROLE_ACK)
        ack = decode_ack(verify1(answer, TYP_ACK, self.audience, Verifier(keys)))
        assert ack.device == self.id
        return ack


class Counter:
    """The service as its callers meet it: over HTTP only."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def invite(self, vehicle: str = "A-101", city: str = CITY) -> str:
        response = self.client.post("/v1/validators/invitations", json={"city": city, "vehicle": vehicle})
        assert response.status_code == 201, response.text
        return str(response.json()["code"])

    def enrol(self, device: Device, vehicle: str = "A-101") -> Device:
        code = self.invite(vehicle)
        answer = self.client.post("/v1/enrolments", content=device.request_enrolment(code))
        assert answer.status_code == 200, answer.content
        device.read_enrolled(answer.content, code)
        return device

    def send(self, device: Device, message: bytes) -> Ack:
        """Deliver a message and return the verified ack."""
        response = self.client.post("/v1/batches", content=message, headers={"content-type": "application/cose"})
        assert response.status_code == 200, decode_error(response.content).status
        return device.read_ack(response.content)

    def send_refused(self, message: bytes) -> ErrorAnswer:
        """Deliver a message that must not be acknowledged and return the unsigned answer."""
        response = self.client.post("/v1/batches", content=message, headers={"content-type": "application/cose"})
        assert response.status_code >= 400
        assert response.headers["content-type"] == "application/cbor"
        return decode_error(response.content)


class Office(Counter):
    """The service together with what a test may want to look into."""

    def __init__(self, client: httpx.Client, database: Database, keys: KeyStore, clock: FixedClock) -> None:
        super().__init__(client)
        self.database = database
        self.keys = keys
        self.clock = clock

    def enrol(self, device: Device, vehicle: str = "A-101") -> Device:
        device.city_keys = self.keys
        return super().enrol(device, vehicle)

    def count(self, table: type[Base]) -> int:
        """How many rows a table has."""
        with self.database.reading() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def reasons(self) -> list[str]:
        """Why there is something on the exceptions list."""
        with self.database.reading() as session:
            return sorted(session.scalars(select(TapException.reason)))

    def validator(self, device: Device) -> Validator:
        with self.database.reading() as session:
            return session.get_one(Validator, device.id)
