from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from clearing.ingest.models import RawBatch, TapRow
from clearing.ingest.receiver import Receiver
from clearing.ingest.run import place_records
from clearing.ingest.service import today_counts
from clearing.ingest.store import store_batch
from protocol import cbor
from protocol.ack import (
    STATUS_DUP,
    STATUS_OK,
    STATUS_OK_FLAGGED,
    WANTED_DENY_LIST,
    WANTED_FARE_TABLE,
    WANTED_KEY_BUNDLE,
    WANTED_KEY_SET,
)
from protocol.batch import Batch, decode_batch, next_head
from protocol.tap import CLOCK_UNKNOWN, KIND_LOST_RANGE
from tests.builders import DAY, NOW_S, Device, Office


def test_a_good_batch_is_stored_and_acknowledged(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(5)])
    ack = office.send(device, message)
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 5, device.head)
    assert ack.nonce == (1).to_bytes(8, "big")
    assert ack.server_time_s == NOW_S
    assert ack.wanted is not None
    assert set(ack.wanted) == {WANTED_FARE_TABLE, WANTED_DENY_LIST, WANTED_KEY_SET, WANTED_KEY_BUNDLE}
    assert office.count(TapRow) == 5
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
    assert (office.count(TapRow), office.count(RawBatch)) == (3, 1)


def test_a_batch_that_overlaps_adds_only_what_is_new(office: Office, device: Device) -> None:
    genesis = device.head
    records = [device.record() for _ in range(6)]
    office.send(device, device.sign(device.batch(records[:4], 1, genesis)))
    second = device.batch(records[2:], 3, next_head(next_head(genesis, records[0]), records[1]))
    ack = office.send(device, device.sign(second))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 6, second.head_after)
    assert office.count(TapRow) == 6


def test_an_old_part_sent_again_is_a_duplicate(office: Office, device: Device) -> None:
    genesis = device.head
    records = [device.record() for _ in range(6)]
    whole = device.batch(records, 1, genesis)
    office.send(device, device.sign(whole))
    ack = office.send(device, device.sign(device.batch(records[:2], 1, genesis)))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_DUP, 6, whole.head_after)


def test_a_lost_range_counts_as_what_it_stands_for(office: Office, device: Device) -> None:
    head = device.head
    lost = device.record(kind=KIND_LOST_RANGE, reference=[1, 40], medium=None, fare_minor=None, decision=None)
    device.next_sequence = 41
    batch = device.batch([lost, device.record()], 1, head)
    ack = office.send(device, device.sign(batch))
    assert (ack.status, ack.sequence) == (STATUS_OK_FLAGGED, 41)
    assert office.reasons() == ["lost_range"]
    assert office.send(device, device.sign(batch)).status == STATUS_DUP


def test_a_tap_without_a_clock_is_money_of_the_day_it_came(office: Office, device: Device) -> None:
    record = device.record(tapped_at_s=946_684_800, clock_quality=CLOCK_UNKNOWN)
    ack = office.send(device, device.message([record, device.record(tapped_at_s=NOW_S + 86_400)]))
    assert ack.status == STATUS_OK_FLAGGED
    assert office.reasons() == ["clock_ahead", "clock_unknown"]
    with office.database.reading() as session:
        assert set(session.scalars(select(TapRow.service_day))) == {DAY}


def test_a_heartbeat_tells_the_time_and_stores_nothing(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    ack = office.send(device, device.message([]))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 1, device.head)
    assert office.count(RawBatch) == 1
    assert office.validator(device).last_seen_ms == office.clock.now_ms()


def test_a_crash_between_commit_and_ack_is_healed_by_sending_again(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(4)])
    receiver = Receiver(office.database, office.keys, office.clock)
    batch = decode_batch(cbor.decode(message)[2])
    promised = receiver.store(message, place_records(batch))  # and here the service dies: nothing was answered
    ack = office.send(device, message)
    assert (ack.sequence, ack.head, ack.nonce) == (promised.sequence, promised.head, batch.nonce)
    assert (ack.head, office.count(TapRow)) == (device.head, 4)


def _store_and_die(office: Office, message: bytes, batch: Batch) -> None:
    with office.database.writing() as session:
        store_batch(session, message, place_records(batch), office.clock.now_ms())
        raise KeyboardInterrupt


def test_a_crash_before_commit_leaves_nothing(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(4)])
    batch = decode_batch(cbor.decode(message)[2])
    with pytest.raises(KeyboardInterrupt):
        _store_and_die(office, message, batch)
    assert (office.count(TapRow), office.count(RawBatch), office.validator(device).acked_sequence) == (0, 0, 0)
    assert office.send(device, message).status == STATUS_OK


def test_one_message_from_many_sides_at_once_is_stored_once(office: Office, device: Device) -> None:
    message = device.message([device.record() for _ in range(20)])
    receiver = Receiver(office.database, office.keys, office.clock)
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status for answer in pool.map(receiver.receive, [message] * 8))
    assert statuses == [STATUS_OK] + [STATUS_DUP] * 7
    assert (office.count(TapRow), office.count(RawBatch)) == (20, 1)


def test_many_validators_at_once_do_not_disturb_each_other(office: Office) -> None:
    devices = [office.enrol(Device(seed=number), vehicle=f"A-{101 + number}") for number in range(6)]
    messages = [device.message([device.record() for _ in range(10)]) for device in devices for _ in range(3)]
    receiver = Receiver(office.database, office.keys, office.clock)

    def deliver(number: int) -> list[int]:
        return [receiver.receive(message).status for message in messages[3 * number : 3 * number + 3]]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(deliver, range(6))) == [[STATUS_OK] * 3] * 6
    assert office.count(TapRow) == 180


def test_the_day_so_far_counts_what_validators_reported(office: Office, device: Device) -> None:
    office.enrol(Device(seed=2), vehicle="A-102")
    records = [device.record(), *device.card_ride(card=1, counter=1), device.refusal(2), device.refusal(2)]
    records += device.card_ride(card=2, counter=1, decision=17)
    records.append(device.record(reference=True))
    office.send(device, device.message([*records, device.record(clock_quality=CLOCK_UNKNOWN, boot=2)]))
    with office.database.reading() as session:
        counts = today_counts(session, "almaty", DAY, office.clock.now_ms())
        yesterday = today_counts(session, "almaty", "2024-05-14", office.clock.now_ms())
    assert (counts.validators, counts.validators_seen, counts.validators_silent) == (2, 1, 1)
    assert counts.last_sync_ms == office.clock.now_ms()
    assert counts.taps_by_decision == {0: 2, 2: 2, 15: 1, 17: 1}
    assert (counts.accepted, counts.refused, counts.open_exceptions) == (3, 3, 1)
    assert yesterday.taps_by_decision == {}
    listed = office.client.get("/v1/exceptions", params={"city": "almaty", "day": DAY}).json()["exceptions"]
    assert [(each["sequence"], each["reason"]) for each in listed] == [(9, "clock_unknown")]
