from __future__ import annotations

import pytest

from clearing.endpoint import NotFoundError
from clearing.ingest.service import TodayCounts, today_counts
from clearing.network.service_day import day_start_s
from protocol.decisions import DECISION_COMMITTED, DECISION_DENIED, DECISION_NOT_COMMITTED, DECISION_OUTCOME_UNKNOWN
from protocol.tap import CLOCK_UNKNOWN, KIND_OUTCOME
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office
from tests.clearing import small_day
from tests.clearing.small_day import debit

_HOUR_MS = 3_600_000


def _counts(office: Office, day: str = DAY) -> TodayCounts:
    with office.database.reading() as session:
        return today_counts(session, CITY, day, office.clock.now_ms())


def test_a_city_that_has_nothing_yet_has_nothing_to_count(office: Office) -> None:
    assert _counts(office) == TodayCounts(0, 0, 0, None, {}, 0)
    with office.database.reading() as session, pytest.raises(NotFoundError):
        today_counts(session, "atlantis", DAY, NOW_MS)


def test_a_small_day_is_counted_by_what_riders_saw(office: Office) -> None:
    small_day.play(office)
    counts = _counts(office)
    assert counts.taps_by_decision == {0: 4, DECISION_DENIED: 1, DECISION_COMMITTED: 2}
    assert list(counts.taps_by_decision) == sorted(counts.taps_by_decision)
    assert (counts.accepted, counts.refused, counts.open_exceptions) == (6, 1, 0)
    assert counts.accepted_by_decision == {0: 4, DECISION_COMMITTED: 2}
    assert all(type(count) is int for count in (*counts.taps_by_decision.values(), counts.validators, counts.accepted))


def test_a_torn_debit_is_refused_once_however_it_is_resolved(office: Office, device: Device) -> None:
    small_day.send(office, device, debit(device, 1, 5, ended=DECISION_OUTCOME_UNKNOWN))
    assert (_counts(office).accepted, _counts(office).refused) == (0, 1)
    resolved = device.record(kind=KIND_OUTCOME, reference=1, decision=DECISION_NOT_COMMITTED)
    small_day.send(office, device, [resolved, *debit(device, 1, 5, ended=DECISION_COMMITTED)])
    assert (_counts(office).accepted, _counts(office).refused) == (1, 1)
    assert _counts(office).refused_by_decision == {DECISION_OUTCOME_UNKNOWN: 1}


def test_a_validator_falls_silent_after_an_hour_and_unseen_with_the_day(office: Office, device: Device) -> None:
    office.enrol(Device(seed=2), "A-102")
    small_day.send(office, device, [device.record()])
    office.clock.at_ms = NOW_MS + _HOUR_MS - 1
    counts = _counts(office)
    assert (counts.validators, counts.validators_seen, counts.validators_silent) == (2, 1, 1)
    assert counts.last_sync_ms == NOW_MS
    office.clock.at_ms = NOW_MS + _HOUR_MS
    assert _counts(office).validators_silent == 2
    next_day = "2024-05-16"
    office.clock.at_ms = day_start_s("Asia/Almaty", next_day) * 1000
    assert _counts(office, next_day).validators_seen == 0
    assert _counts(office, next_day).last_sync_ms == NOW_MS


def test_a_revoked_validator_is_not_counted_but_its_taps_are(office: Office, device: Device) -> None:
    small_day.send(office, device, [device.record()])
    assert office.client.post(f"/v1/validators/{device.id.hex()}/revocation").status_code == 200
    counts = _counts(office)
    assert (counts.validators, counts.validators_seen, counts.last_sync_ms) == (0, 0, None)
    assert counts.accepted == 1


def test_exceptions_are_counted_on_their_day_while_they_are_open(office: Office, device: Device) -> None:
    records = [
        device.record(clock_quality=CLOCK_UNKNOWN),
        device.record(tapped_at_s=NOW_S - 40 * 86_400, boot=2),
        device.record(fare_minor=-1, boot=3),
    ]
    small_day.send(office, device, records)
    assert office.reasons() == ["clock_unknown", "fare_implausible", "late"]
    assert _counts(office).open_exceptions == 2
    assert _counts(office, "2024-04-05").open_exceptions == 1
