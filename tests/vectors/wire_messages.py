"""One message of each kind, built from fixed keys and numbers: what `generate` writes down, and both Pythons must build again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ack, cbor, enrolment, tap
from protocol.batch import Batch, encode_batch, genesis_head, next_head
from protocol.card_authorities import CardAuthorities, CardAuthority, encode_card_authorities, revoked_name
from protocol.compat import sha256
from protocol.cose import (
    TYP_ACK,
    TYP_BATCH,
    TYP_CARD_AUTHORITIES,
    TYP_ENROLLED,
    TYP_ENROLMENT,
    TYP_FARE_TABLE,
    TYP_KEY_BUNDLE,
    TYP_LIST,
    TYP_LIST_DELTA,
    TYP_RETIREMENT,
    TYP_TOP_UP_COMMAND,
    TYP_TOP_UP_REQUEST,
    ec2_key,
    key_thumbprint,
)
from protocol.decisions import DECISION_ACCEPTED, DECISION_COMMITTED, DECISION_DENIED
from protocol.fare_rules import FareRules
from protocol.fare_table import FareTable, encode_fare_table
from protocol.key_bundle import WrappedBundle, encode_wrapped_bundle
from protocol.keywrap import wrap
from protocol.list_delta import encode_delta, make_delta
from protocol.medium_list import LIST_ALLOW, LIST_DENY, ListPart, encode_list, encode_list_part, make_list
from protocol.p256 import P256Signer, agree_steps, finish, public_key
from protocol.rotation import Retirement, encode_retirement
from protocol.tap import Tap
from protocol.top_up import TopUpCommand, TopUpRequest, encode_top_up_command, encode_top_up_request

if TYPE_CHECKING:
    from typing import Any

    from protocol.cmac import Aes

AUDIENCE = "almaty"
DEVICE = bytes(range(16))
EPOCH = 1
NONCE = bytes(range(8))
NOW_S = 1715742000
DEVICE_PRIVATE = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
SERVICE_PRIVATE = 0x0F56DB78CA460B055C500064824BED999A25AAF48EBB519AC201537B85479813
EPHEMERAL_PRIVATE = 0x3001


def make_key(private: int) -> dict[int, int | bytes]:
    """Return the COSE_Key of a private scalar."""
    x, y = public_key(private)
    return ec2_key(x.to_bytes(32, "big"), y.to_bytes(32, "big"))


def make_authorities() -> CardAuthorities:
    """Return a list of two authorities, of which one has revoked a certificate."""
    visa, mastercard = bytes.fromhex("A000000003"), bytes.fromhex("A000000004")
    modulus = b"\xc1" * 143 + b"\x01"
    keys = [
        CardAuthority(visa, 0x99, modulus, 3, b"\x31\x12"),
        CardAuthority(mastercard, 0xF1, modulus, 65537, b"\x28\x12"),
    ]
    return CardAuthorities(3, NOW_S + 86400, keys, revoked_name(visa, 0x99, b"\x00\x00\x07"))


def make_signer(private: int) -> P256Signer:
    return P256Signer(key_thumbprint(make_key(private)), private)


def make_invitation() -> enrolment.Invitation:
    return enrolment.Invitation(b"invite 1", b"a secret of 16 B", make_signer(SERVICE_PRIVATE).kid)


def make_records() -> dict[str, bytes]:
    """Return records that follow on from 1, one of each shape."""
    token = sha256(b"token of a card")[:16]
    bank_token = sha256(b"token of a bank card")[:16]
    card: dict[str, Any] = {"medium": tap.MEDIUM_TRANSPORT_CARD, "token_key_version": 1, "token": token}
    place = {"line": 12, "trip": 7, "stop": 3, "fare_table": 4, "deny_list": 9}
    fields: tuple[tuple[str, dict[str, Any]], ...] = (
        ("boot", {"kind": tap.KIND_BOOT}),
        (
            "intent",
            {"kind": tap.KIND_INTENT, "counter": 41, "product": 1, "fare_minor": 12000, "category": 1, "decision": 0}
            | card
            | place,
        ),
        (
            "outcome",
            {
                "kind": tap.KIND_OUTCOME,
                "reference": 2,
                "decision": DECISION_COMMITTED,
                "counter": 42,
                "evidence": bytes.fromhex("94b2f1a60c5d8e37"),
                "balance_minor": 488000,
            }
            | card,
        ),
        (
            "cash",
            {
                "kind": tap.KIND_SINGLE,
                "medium": tap.MEDIUM_CASH,
                "fare_minor": 20000,
                "category": 1,
                "decision": DECISION_ACCEPTED,
            },
        ),
        (
            "refused",
            {
                "kind": tap.KIND_REFUSED,
                "medium": tap.MEDIUM_BANK_CARD,
                "token_key_version": 1,
                "token": bank_token,
                "decision": DECISION_DENIED,
                "position": [4323895, 7688970],
            },
        ),
        (
            "test-tap",
            {"kind": tap.KIND_SINGLE, "medium": tap.MEDIUM_OTHER, "reference": True, "extensions": {0: b"\x01"}},
        ),
        ("lost-range", {"kind": tap.KIND_LOST_RANGE, "reference": [7, 9]}),
    )
    records = {}
    for index, (name, special) in enumerate(fields):
        common = {
            "sequence": index + 1,
            "tapped_at_s": NOW_S + index,
            "clock_quality": tap.CLOCK_SYNCHRONISED,
            "uptime_ms": 60000 + index,
            "boot": 3,
        }
        records[name] = tap.encode_tap(Tap(**(common | special)))
    return records


def make_batch(names: list[str]) -> Batch:
    """Return the batch of the first of `make_records`."""
    records = make_records()
    chosen = [records[name] for name in names]
    before = after = genesis_head(DEVICE, EPOCH)
    for record in chosen:
        after = next_head(after, record)
    return Batch(
        device=DEVICE,
        epoch=EPOCH,
        first_sequence=1,
        records=chosen,
        head_before=before,
        head_after=after,
        nonce=NONCE,
        device_time_s=NOW_S + 60,
        clock_quality=tap.CLOCK_SYNCHRONISED,
        firmware=1,
        flash=(8000, 1, 0, 2) if chosen else None,
    )


def _last_sequence(batch: Batch) -> int:
    return tap.last_sequence(tap.decode_tap(batch.records[-1]))


def make_ack(batch: Batch) -> ack.Ack:
    return ack.Ack(
        device=DEVICE,
        epoch=EPOCH,
        sequence=_last_sequence(batch),
        head=batch.head_after,
        nonce=NONCE,
        server_time_s=NOW_S + 61,
        server_time_ms=250,
        status=ack.STATUS_OK,
        retry_after_s=5,
        records_max=128,
        wanted={ack.WANTED_FARE_TABLE: 4, ack.WANTED_DENY_LIST: 10},
    )


def make_key_bundle() -> enrolment.KeyBundle:
    days = {19857 + day: sha256(b"day %d" % day) for day in range(3)}
    return enrolment.KeyBundle(sha256(b"read")[:16], sha256(b"debit")[:16], sha256(b"token"), days, 1)


def make_wrapped_bundle(aes: Aes) -> WrappedBundle:
    """Return the bundle for the device, wrapped with an ephemeral key of its own."""
    bundle = WrappedBundle(DEVICE, EPOCH, 19857, make_key(EPHEMERAL_PRIVATE), bytes(192))
    agreed_x = finish(agree_steps(EPHEMERAL_PRIVATE, *public_key(DEVICE_PRIVATE)))
    bundle.wrapped = wrap(aes, bundle.agreed_key(agreed_x), make_key_bundle().encode())
    return bundle


def make_top_up_request() -> TopUpRequest:
    return TopUpRequest(DEVICE, EPOCH, sha256(b"topped up")[:16], bytes(range(7)), 41, NONCE, 2)


def make_top_up_command(aes: Aes) -> TopUpCommand:
    """Return the command that answers it, wrapped with an ephemeral key of its own."""
    command = TopUpCommand(make_top_up_request(), 500_000, 7, NOW_S + 60, make_key(EPHEMERAL_PRIVATE))
    agreed_x = finish(agree_steps(EPHEMERAL_PRIVATE, *public_key(DEVICE_PRIVATE)))
    command.wrapped = wrap(aes, command.agreed_key(agreed_x), sha256(b"credit")[:16])
    return command


def make_request() -> enrolment.EnrolmentRequest:
    key = make_key(DEVICE_PRIVATE)
    invitation = make_invitation()
    return enrolment.EnrolmentRequest(DEVICE, invitation.code_id, key, 2, invitation.proof(DEVICE, cbor.encode(key)))


def make_enrolled(aes: Aes) -> enrolment.Enrolled:
    return enrolment.Enrolled(
        device=DEVICE,
        epoch=EPOCH,
        ack_key=make_key(SERVICE_PRIVATE),
        document_key=make_key(SERVICE_PRIVATE - 1),
        audience=AUDIENCE,
        wrapped_keys=wrap(aes, make_invitation().key_encryption_key(), make_key_bundle().encode()),
        line=12,
        vehicle="A-101",
        city=1,
        server_time_s=NOW_S,
    )


def make_retirement() -> Retirement:
    batch = make_batch(["boot", "intent", "outcome", "cash", "refused", "test-tap", "lost-range"])
    return Retirement(DEVICE, EPOCH, _last_sequence(batch), batch.head_after, NONCE)


def make_payloads(aes: Aes) -> dict[str, tuple[bytes, str, str, P256Signer]]:
    """Return the payload of each signed message, with its typ, its audience and who signs it."""
    device, service = make_signer(DEVICE_PRIVATE), make_signer(SERVICE_PRIVATE)
    document = make_signer(SERVICE_PRIVATE - 1)
    batch = make_batch(["boot", "intent", "outcome", "cash", "refused", "test-tap", "lost-range"])
    fares = FareTable(4, NOW_S - 3600, NOW_S + 86400, 1, {1: {1: 12000, 2: 6000, 5: 0}, 6: {1: 20000}})
    said = {1: (3600, 1800), 2: (1800, 2, 0), 3: {3: 2}, 4: [20_000], 5: (18_000, 10_800), 6: 1, 7: 3, 8: [4]}
    said[9] = [[1, 99, 1], [100, 100, 2]]
    rules = FareRules(said)
    ruled = FareTable(5, NOW_S, NOW_S + 86400, 1, fares.fares, rules)
    tokens = [sha256(b"denied %d" % number)[:16] for number in range(4)]
    deny_list = make_list(LIST_DENY, 10, NOW_S + 86400, tokens[:3])
    delta = make_delta(deny_list, make_list(LIST_DENY, 11, NOW_S + 86400, tokens[1:]))
    allow_list = make_list(LIST_ALLOW, 3, NOW_S + 86400, tokens[3:])
    return {
        "enrolment": (enrolment.encode_request(make_request()), TYP_ENROLMENT, "", device),
        "enrolled": (enrolment.encode_enrolled(make_enrolled(aes)), TYP_ENROLLED, AUDIENCE, service),
        "batch": (encode_batch(batch), TYP_BATCH, AUDIENCE, device),
        "heartbeat": (encode_batch(make_batch([])), TYP_BATCH, AUDIENCE, device),
        "ack": (ack.encode_ack(make_ack(batch)), TYP_ACK, AUDIENCE, service),
        "fare-table": (encode_fare_table(fares), TYP_FARE_TABLE, AUDIENCE, document),
        "fare-table rules": (encode_fare_table(ruled), TYP_FARE_TABLE, AUDIENCE, document),
        "list": (encode_list(deny_list), TYP_LIST, AUDIENCE, document),
        "list allow": (encode_list(allow_list), TYP_LIST, AUDIENCE, document),
        "card-authorities": (encode_card_authorities(make_authorities()), TYP_CARD_AUTHORITIES, AUDIENCE, document),
        "list part": (encode_list_part(ListPart(deny_list, 2, 3)), TYP_LIST, AUDIENCE, document),
        "list-delta": (encode_delta(delta), TYP_LIST_DELTA, AUDIENCE, document),
        "key-bundle": (encode_wrapped_bundle(make_wrapped_bundle(aes)), TYP_KEY_BUNDLE, AUDIENCE, document),
        "retirement": (encode_retirement(make_retirement()), TYP_RETIREMENT, AUDIENCE, device),
        "top-up-request": (encode_top_up_request(make_top_up_request()), TYP_TOP_UP_REQUEST, AUDIENCE, device),
        "top-up-command": (encode_top_up_command(make_top_up_command(aes)), TYP_TOP_UP_COMMAND, AUDIENCE, document),
    }
