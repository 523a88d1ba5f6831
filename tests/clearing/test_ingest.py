from __future__ import annotations

import pytest
from sqlalchemy import func, select

from clearing.fleet.models import Validator
from clearing.ingest.models import RawBatch, TapConflict, TapException, TapRow
from clearing.ingest.receiver import Receiver
from clearing.ingest.run import place_records
from clearing.ingest.store import store_batch
from clearing.network.models import City
from protocol import cbor
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_DUP,
    STATUS_EPOCH,
    STATUS_FORK,
    STATUS_GAP,
    STATUS_KID_UNKNOWN,
    STATUS_OK,
    STATUS_OK_FLAGGED,
    STATUS_REVOKED,
    STATUS_TOO_LARGE,
    STATUS_WRONG_AUDIENCE,
    WANTED_DENY_LIST,
    WANTED_FARE_TABLE,
)
from protocol.batch import Batch, decode_batch, next_head
from protocol.cose import TYP_BATCH, sign1
from protocol.tap import CLOCK_UNKNOWN, KIND_LOST_RANGE
from tests.builders import DAY, NOW_S, Device, Office


def _count(office: Office, table: type) -> int:
    with office.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _reasons(office: Office) -> list[str]:
    with office.database.reading() as session:
        return sorted(session.scalars(select(TapException.reason)))


def _validator(office: Office, device: Device) -> Validator:
    with office.database.reading() as session:
        return session.get_one(Validator, device.id)


def test_a_good_batch_is_stored_and_acknowledged(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(5)])
    ack = office.send(device, message)
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 5, device.head)
    assert ack.nonce == (1).to_bytes(8, "big")
    assert ack.server_time_s == NOW_S
    assert ack.wanted is not None
    assert set(ack.wanted) == {WANTED_FARE_TABLE, WANTED_DENY_LIST}
    assert _count(office, TapRow) == 5
    with office.database.reading() as session:
        assert session.scalars(select(RawBatch)).one().body == message
        tap = session.get_one(TapRow, (device.id, 1, 1))
    assert (tap.city, tap.carrier, tap.vehicle, tap.service_day) == ("almaty", "alatau", "A-101", DAY)
    assert (tap.fare_minor, tap.decision, tap.test) == (20_000, 0, False)


def test_intent_and_outcome_are_stored_with_what_they_refer_to(office: Office, device: Device) -> None:
    office.send(device, device.message(device.card_ride(card=1, counter=7)))
    with office.database.reading() as session:
        intent = session.get_one(TapRow, (device.id, 1, 1))
        outcome = session.get_one(TapRow, (device.id, 1, 2))
    assert (intent.card_counter, outcome.card_counter) == (7, 8)
    assert outcome.reference_first == outcome.reference_last == intent.sequence
    assert intent.token == outcome.token


def test_the_same_message_again_is_a_duplicate_with_the_same_promise(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(3)])
    first, again = office.send(device, message), office.send(device, message)
    assert again.status == STATUS_DUP
    assert (again.sequence, again.head, again.nonce) == (first.sequence, first.head, first.nonce)
    assert (_count(office, TapRow), _count(office, RawBatch)) == (3, 1)


def test_a_batch_that_overlaps_adds_only_what_is_new(office: Office, device: Device) -> None:
    genesis = device.head
    records = [device.record() for _ in range(6)]
    office.send(device, device.sign(device.batch(records[:4], 1, genesis)))
    second = device.batch(records[2:], 3, next_head(next_head(genesis, records[0]), records[1]))
    ack = office.send(device, device.sign(second))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 6, second.head_after)
    assert _count(office, TapRow) == 6


def test_an_old_part_sent_again_is_a_duplicate(office: Office, device: Device) -> None:
    genesis = device.head
    records = [device.record() for _ in range(6)]
    whole = device.batch(records, 1, genesis)
    office.send(device, device.sign(whole))
    ack = office.send(device, device.sign(device.batch(records[:2], 1, genesis)))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_DUP, 6, whole.head_after)


def test_a_gap_is_named_and_nothing_is_stored(office: Office, device: Device) -> None:
    lost = device.record()
    device.head = next_head(device.head, lost)
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.sequence) == (STATUS_GAP, 0)
    assert _count(office, TapRow) == 0


def test_a_gap_inside_a_batch_is_named_and_nothing_is_stored(office: Office, device: Device) -> None:
    head = device.head
    records = [device.record(sequence=1), device.record(sequence=3)]
    ack = office.send(device, device.sign(device.batch(records, 1, head)))
    assert (ack.status, ack.sequence) == (STATUS_GAP, 0)
    assert _count(office, TapRow) == 0


def test_a_sequence_repeated_inside_a_batch_is_a_fork(office: Office, device: Device) -> None:
    head = device.head
    records = [device.record(sequence=1), device.record(sequence=1, fare_minor=1)]
    ack = office.send(device, device.sign(device.batch(records, 1, head)))
    assert (ack.status, ack.sequence) == (STATUS_FORK, 0)
    assert (_count(office, TapRow), _count(office, TapConflict)) == (0, 2)


def test_other_content_for_a_stored_sequence_is_a_fork_and_is_kept(office: Office, device: Device) -> None:
    genesis = device.head
    office.send(device, device.message([device.record(), device.record()]))
    clone = Device(seed=1)
    clone.enrolled = device.enrolled
    forged = clone.batch([clone.record(fare_minor=1), clone.record(), clone.record()], 1, genesis)
    ack = office.send(device, clone.sign(forged))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_FORK, 2, device.head)
    assert (_count(office, TapRow), _count(office, TapConflict)) == (2, 2)
    assert _validator(office, device).status == "quarantined"
    assert _reasons(office) == ["fork"]
    # Said again it adds nothing, and the device with the right chain goes on.
    assert office.send(device, clone.sign(forged)).status == STATUS_FORK
    assert (_count(office, TapConflict), _reasons(office)) == (2, ["fork"])
    assert office.send(device, device.message([device.record()])).sequence == 3


def test_a_chain_that_does_not_join_is_a_fork(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    device.head = bytes(32)
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.sequence) == (STATUS_FORK, 1)
    assert _count(office, TapConflict) == 1


def test_a_wrong_head_after_is_a_fork(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head, head_after=bytes(32))
    assert office.send(device, device.sign(batch)).status == STATUS_FORK


def test_a_changed_byte_anywhere_is_never_acknowledged_as_good(office: Office, device: Device) -> None:
    message = device.message([device.record(), device.record()])
    for index in range(0, len(message), 7):
        changed = bytearray(message)
        changed[index] ^= 0x40
        error = office.send_refused(bytes(changed))
        assert error.status in {STATUS_BAD_COSE, STATUS_BAD_SIG, STATUS_KID_UNKNOWN}
    assert _count(office, TapRow) == 0
    assert office.send(device, message).status == STATUS_OK


def test_a_signature_of_another_key_is_refused(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head)
    stranger = Device(seed=99)
    device.signer, kid = stranger.signer, device.signer.kid
    device.signer.kid = kid
    assert office.send_refused(device.sign(batch)).status == STATUS_BAD_SIG


def test_a_key_nobody_knows_is_refused(office: Office) -> None:
    stranger = Device(seed=99)
    assert office.send_refused(stranger.message([stranger.record()])).status == STATUS_KID_UNKNOWN


def test_a_key_cannot_speak_for_another_device(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    batch = device.batch([device.record()], 1, device.head)
    assert office.send_refused(other.sign(batch)).status == STATUS_KID_UNKNOWN
    assert _count(office, TapRow) == 0


def test_a_batch_for_another_city_is_refused(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head)
    assert office.send_refused(device.sign(batch, audience="nowhere")).status == STATUS_BAD_SIG
    with office.database.writing() as session:
        session.add(
            City(code="astana", number=2, names_json="{}", zone="Asia/Almaty", currency="KZT", package_sha256="")
        )
    assert office.send_refused(device.sign(batch, audience="astana")).status == STATUS_WRONG_AUDIENCE


def test_a_message_of_another_kind_is_no_batch(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head)
    assert office.send_refused(device.sign(batch, typ="enrolment")).status == STATUS_BAD_COSE


@pytest.mark.parametrize("garbage", [b"", b"\x00", b"GET / HTTP/1.1", bytes(1000), b"\xff" * 32_768, b"\x84" * 100])
def test_garbage_is_refused(office: Office, garbage: bytes) -> None:
    assert office.send_refused(garbage).status == STATUS_BAD_COSE


def test_an_oversized_message_is_refused(office: Office) -> None:
    assert office.send_refused(bytes(32_769)).status == STATUS_TOO_LARGE
    assert office.send_refused(bytes(1_000_000)).status == STATUS_TOO_LARGE


def test_a_signed_payload_that_is_no_batch_gets_a_signed_answer(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    ack = office.send(device, sign1(cbor.encode({0: 1}), TYP_BATCH, device.audience, device.signer))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_BAD_CBOR, 1, device.head)


def test_a_revoked_validator_is_refused(office: Office, device: Device) -> None:
    message = device.message([device.record()])
    response = office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    assert response.json()["status"] == "revoked"
    assert office.send_refused(message).status == STATUS_REVOKED
    assert _count(office, TapRow) == 0


def test_records_of_another_epoch_are_kept_as_evidence(office: Office, device: Device) -> None:
    device.begin_epoch(2)
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.epoch, ack.sequence) == (STATUS_EPOCH, 1, 0)
    assert (_count(office, TapRow), _count(office, RawBatch), _reasons(office)) == (0, 1, ["epoch"])


def test_an_unreadable_record_does_not_block_the_chain(office: Office, device: Device) -> None:
    good, head = device.record(), device.head
    device.next_sequence += 1
    batch = device.batch([good, b"\xff\xff", device.record()], 1, head)
    ack = office.send(device, device.sign(batch))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK_FLAGGED, 3, batch.head_after)
    assert _reasons(office) == ["unreadable"]
    with office.database.reading() as session:
        bad = session.get_one(TapRow, (device.id, 1, 2))
    assert (bad.kind, bad.record, bad.service_day) == (0, b"\xff\xff", DAY)


def test_a_lost_range_counts_as_what_it_stands_for(office: Office, device: Device) -> None:
    head = device.head
    lost = device.record(kind=KIND_LOST_RANGE, reference=[1, 40], medium=None, fare_minor=None, decision=None)
    device.next_sequence = 41
    batch = device.batch([lost, device.record()], 1, head)
    ack = office.send(device, device.sign(batch))
    assert (ack.status, ack.sequence) == (STATUS_OK_FLAGGED, 41)
    assert _reasons(office) == ["lost_range"]
    assert office.send(device, device.sign(batch)).status == STATUS_DUP


def test_a_tap_without_a_clock_is_money_of_the_day_it_came(office: Office, device: Device) -> None:
    record = device.record(tapped_at_s=946_684_800, clock_quality=CLOCK_UNKNOWN)
    ack = office.send(device, device.message([record, device.record(tapped_at_s=NOW_S + 86_400)]))
    assert ack.status == STATUS_OK_FLAGGED
    assert _reasons(office) == ["clock_ahead", "clock_unknown"]
    with office.database.reading() as session:
        assert set(session.scalars(select(TapRow.service_day))) == {DAY}


def test_a_heartbeat_tells_the_time_and_stores_nothing(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    ack = office.send(device, device.message([]))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 1, device.head)
    assert _count(office, RawBatch) == 1
    assert _validator(office, device).last_seen_ms == office.clock.now_ms()


def test_a_crash_between_commit_and_ack_is_healed_by_sending_again(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(4)])
    receiver = Receiver(office.database, office.keys, office.clock)
    batch = decode_batch(cbor.decode(message)[2])
    promised = receiver.store(message, place_records(batch))  # and here the service dies: nothing was answered
    ack = office.send(device, message)
    assert (ack.sequence, ack.head, ack.nonce) == (promised.sequence, promised.head, batch.nonce)
    assert (ack.head, _count(office, TapRow)) == (device.head, 4)


def _store_and_die(office: Office, message: bytes, batch: Batch) -> None:
    with office.database.writing() as session:
        store_batch(session, message, place_records(batch), office.clock.now_ms())
        raise KeyboardInterrupt


def test_a_crash_before_commit_leaves_nothing(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(4)])
    batch = decode_batch(cbor.decode(message)[2])
    with pytest.raises(KeyboardInterrupt):
        _store_and_die(office, message, batch)
    assert (_count(office, TapRow), _count(office, RawBatch), _validator(office, device).acked_sequence) == (0, 0, 0)
    assert office.send(device, message).status == STATUS_OK
