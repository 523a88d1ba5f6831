"""What the service does is what the state table says: the same states, and an event for each verdict."""

from __future__ import annotations

import pytest

from clearing.fleet import service
from clearing.fleet.models import Validator
from clearing.ingest.run import judge, place_records
from protocol import sync
from protocol.ack import STATUS_DUP, STATUS_FORK, STATUS_GAP, STATUS_OK
from protocol.sync_drawing import STATES
from tests.builders import Device


def test_the_states_of_a_validator_are_those_of_the_table() -> None:
    kept = {service.ACTIVE, service.QUARANTINED, service.REVOKED, service.RETIRED}
    # That a device has more than the service is seen by what it sends, and not kept.
    assert kept == {STATES[state] for state in sync.SERVICE if state != sync.BEHIND}
    checks = [str(each.sqltext) for each in Validator.__table__.constraints if hasattr(each, "sqltext")]  # type: ignore[attr-defined]
    allowed = next(text for text in checks if text.startswith("status IN"))
    assert {word for word in allowed.split("'") if word in kept} == kept
    gone = {STATES[state] for state in sync.SERVICE if sync.SERVICE[state][sync.FITS][1] == sync.REFUSE}
    assert gone == service.GONE


@pytest.mark.parametrize(
    ("first", "stored", "status"),
    [(1, 0, STATUS_OK), (1, 3, STATUS_DUP), (3, 0, STATUS_GAP), (1, 2, STATUS_FORK)],
)
def test_every_verdict_is_an_event_of_the_table(first: int, stored: int, status: int) -> None:
    device = Device(1)
    genesis = device.head
    records = [device.record() for _ in range(3)]
    run = place_records(device.batch(records[first - 1 :], first, genesis))
    heads = [genesis, *(each.head for each in run.placed)]
    known = dict(enumerate(records, 1)) if status != STATUS_FORK else dict.fromkeys((1, 2), b"another")
    verdict = judge(run, stored, heads[min(stored, len(heads) - 1)], known)
    assert verdict.status == status
    event = sync.VERDICT_EVENTS[verdict.status]
    following, answer = sync.next_state(sync.SERVICE, sync.ACTIVE, event)
    assert answer in {sync.STORE, sync.ASK_FOR_MORE, sync.KEEP_EVIDENCE}
    assert (following == sync.QUARANTINED) == (status == STATUS_FORK)
