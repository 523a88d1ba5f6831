"""Rides that a transport card has signed are proved; those that it has not are put before a person, and stop nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from clearing.access.service import LOCAL
from clearing.fleet.keys import Aes, open_keys
from clearing.pricing.models import CardProof
from clearing.pricing.proofs import MISSING, PROVEN, WRONG, verdict_on
from clearing.settlement.closing import run_close
from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import encode_evidence
from protocol.cards.transaction_mac import DEBIT, transaction_mac, value_input
from protocol.decisions import DECISION_COMMITTED, DECISION_OUTCOME_UNKNOWN
from protocol.errors import CardError
from protocol.tap import KIND_INTENT, KIND_OUTCOME, Tap, decode_tap
from protocol.tokens import mask_uid
from tests.builders import CITY, DAY, Device, Office, make_token
from tests.clearing import small_day

if TYPE_CHECKING:
    from pathlib import Path

    from clearing.fleet.keys import KeyStore

UID = bytes.fromhex("04112233445566")


def close(office: Office) -> Any:  # noqa: ANN401 - JSON
    return small_day.close(office)


def proofs(office: Office) -> dict[int, str | None]:
    """The proofs of the day's fares as the interface tells them, by sequence."""
    answer = office.client.get("/v1/fares", params={"city": CITY, "day": DAY}).json()
    return {int(fare["source_key"].split("/")[-1]): fare["card_proof"] for fare in answer["fares"]}


def ride(device: Device, fare_minor: int = 10_000, **outcome: Any) -> list[bytes]:  # noqa: ANN401
    """A ride whose outcome says other things than the card did."""
    fields: dict[str, Any] = {"token": make_token(7), "token_key_version": 1, "medium": 1}
    intent = device.next_sequence
    first = device.record(kind=KIND_INTENT, counter=4, fare_minor=fare_minor, **fields)
    fields |= {"reference": intent, "decision": DECISION_COMMITTED, "counter": 5} | outcome
    return [first, device.record(kind=KIND_OUTCOME, **fields)]


def test_a_ride_that_its_card_has_signed_is_proved_and_cash_needs_no_proof(office: Office, device: Device) -> None:
    small_day.send(office, device, [*ride(device), device.record()])
    said = close(office)
    assert (said["rides"], said["exceptions"]) == (2, 0)
    assert proofs(office) == {1: PROVEN, 3: None}
    assert office.reasons() == []


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"evidence": b"12345678"}, MISSING),
        ({"evidence": bytes(16)}, WRONG),
        ({"evidence": bytes(15) + b"\x02"}, WRONG),
        ({"evidence": bytes(15) + b"\x05\x00\x01"}, WRONG),
    ],
)
def test_a_ride_that_its_card_has_not_signed_is_put_before_a_person(
    office: Office, device: Device, change: dict[str, Any], verdict: str
) -> None:
    small_day.send(office, device, ride(device, **change))
    said = close(office)
    assert (said["rides"], said["fares_minor"], said["exceptions"]) == (1, 10_000, 1), "it stops nothing"
    assert proofs(office) == {1: verdict}
    assert office.reasons() == [{MISSING: "card_mac_missing", WRONG: "card_mac_wrong"}[verdict]]


def test_a_changed_fare_balance_place_or_counter_is_found_out(office: Office, device: Device) -> None:
    good = decode_tap(ride(device)[1])
    wrong = [
        ride(device, fare_minor=9_999, evidence=good.evidence),
        ride(device, balance_minor=1, evidence=good.evidence),
        ride(device, counter=6, evidence=good.evidence),
    ]
    device.next_sequence = 1
    for records in wrong:
        device.next_sequence = 1
        intent, outcome = map(decode_tap, records)
        assert verdict_on(office.keys, device.id, intent, outcome) == WRONG
    intent, outcome = map(decode_tap, ride(device))
    assert verdict_on(office.keys, device.id, intent, outcome) == PROVEN
    for name, value in (("line", 9), ("trip", 5), ("tapped_at_s", 1), ("sequence", 8), ("product", 2)):
        changed = decode_tap(ride(device)[0])
        device.next_sequence = 1
        setattr(changed, name, value)
        assert verdict_on(office.keys, device.id, changed, outcome) == WRONG, name
    assert verdict_on(office.keys, bytes(16), intent, outcome) == WRONG, "another validator"


def test_a_proof_that_comes_later_settles_what_was_missing(office: Office, device: Device) -> None:
    unknown = ride(device, decision=DECISION_OUTCOME_UNKNOWN)
    small_day.send(office, device, [*unknown, *small_day.debit(device, 7, 5)])
    close(office)
    assert (proofs(office), office.reasons()) == ({1: MISSING}, ["card_mac_missing"])
    fields = {"token": make_token(7), "token_key_version": 1, "medium": 1, "counter": 5}
    late = device.record(kind=KIND_OUTCOME, reference=1, decision=DECISION_COMMITTED, **fields)
    small_day.send(office, device, [late, device.record()])
    close(office)
    assert proofs(office)[1] == PROVEN
    (row,) = office.client.get("/v1/exceptions", params={"city": CITY}).json()["exceptions"]
    assert row["resolved_by"] == "service"


def test_what_was_looked_at_once_is_listed_once(office: Office, device: Device) -> None:
    small_day.send(office, device, ride(device, evidence=bytes(16)))
    close(office)
    small_day.send(office, device, [device.record()])
    close(office)
    assert office.reasons() == ["card_mac_wrong"]
    assert office.count(CardProof) == 1
    with office.database.reading() as session:
        assert session.scalar(select(CardProof.verdict)) == WRONG


def test_without_the_keys_at_hand_a_day_is_closed_and_nothing_is_proved(office: Office, device: Device) -> None:
    small_day.send(office, device, ride(device, evidence=bytes(16)))
    office.clock.at_ms = small_day.NEXT_MORNING_MS
    with office.database.writing() as session:
        view = run_close(session, CITY, DAY, LOCAL, office.clock.now_ms())
    assert (view.totals.exceptions, office.count(CardProof)) == (0, 0)


def test_a_card_of_the_layout_before_is_proved_by_its_debit_alone(tmp_path: Path) -> None:
    keys = open_keys(tmp_path / "keys.json")
    intent, outcome = old_ride(keys)
    assert verdict_on(keys, bytes(16), intent, outcome) == PROVEN
    intent.fare_minor = 9_999
    assert verdict_on(keys, bytes(16), intent, outcome) == WRONG


def old_ride(keys: KeyStore) -> tuple[Tap, Tap]:
    token = make_token(1)
    moment: dict[str, Any] = {"tapped_at_s": 1, "clock_quality": 3, "uptime_ms": 1, "boot": 1, "token": token}
    intent = Tap(sequence=1, kind=KIND_INTENT, counter=4, fare_minor=10_000, **moment)
    key = diversify(Aes(), keys.transit_mac_master, layout.key_material(UID))
    mac = transaction_mac(Aes(), key, UID, 5, value_input(DEBIT, layout.FILE_PURSE, 10_000))
    evidence = encode_evidence(mac, mask_uid(keys.token_key, token, UID), None)
    return intent, Tap(sequence=2, kind=KIND_OUTCOME, counter=5, evidence=evidence, **moment)


@given(
    st.one_of(
        st.none(), st.binary(min_size=4, max_size=20), st.binary(min_size=15, max_size=15).map(lambda b: b + b"\x02")
    ),
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.none(), st.integers(0, 2**32 - 1)),
)
def test_whatever_a_validator_records_has_a_verdict_and_none_is_proven_by_chance(
    evidence: bytes | None, fare_minor: int | None, balance_minor: int | None, counter: int | None
) -> None:
    moment: dict[str, Any] = {"tapped_at_s": 1, "clock_quality": 3, "uptime_ms": 1, "boot": 1, "token": make_token(1)}
    intent = Tap(sequence=1, kind=KIND_INTENT, counter=counter, fare_minor=fare_minor, **moment)
    outcome = Tap(
        sequence=2, kind=KIND_OUTCOME, counter=counter, evidence=evidence, balance_minor=balance_minor, **moment
    )
    assert verdict_on(_KEYS, bytes(16), intent, outcome) in {WRONG, MISSING}
    assert verdict_on(_KEYS, bytes(16), intent, None) == MISSING


class _Keys:
    """As much of a key store as a verdict needs."""

    token_key = bytes(32)
    transit_mac_master = bytes(16)


_KEYS: Any = _Keys()


def test_a_uid_that_no_card_can_have_is_refused_by_its_material() -> None:
    with pytest.raises(CardError):
        layout.key_material(UID[:6])
