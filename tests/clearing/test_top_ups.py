"""Money that waits for a card: a validator is given the card's own key once, and the card's signature says that it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clearing.access.service import local_caller
from clearing.fleet.documents import TOP_UP_LIST, newest_document
from clearing.fleet.key_bundles import roll_over
from clearing.fleet.keys import Aes
from clearing.fleet.service import quarantine
from clearing.media.models import GivenCommand, PendingTopUp
from clearing.pricing.service import preview_totals
from protocol.ack import STATUS_EPOCH, STATUS_KID_UNKNOWN, WANTED_TOP_UPS, decode_error
from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import encode_evidence, ride_event
from protocol.cards.transaction_mac import top_up_input, transaction_mac
from protocol.cose import TYP_TOP_UP_COMMAND, TYP_TOP_UP_REQUEST, ec2_point, parse, sign1, verify1
from protocol.decisions import (
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_TOP_UP_COMING,
    DECISION_TOPPED_UP,
)
from protocol.keyset import ROLE_TOP_UP
from protocol.keywrap import unwrap
from protocol.medium_list import LIST_TOP_UP, decode_list
from protocol.p256 import agree_steps, finish
from protocol.tap import KIND_LOST_RANGE, KIND_OUTCOME, KIND_TOP_UP, MEDIUM_TRANSPORT_CARD, decode_tap
from protocol.tokens import mask_uid
from protocol.top_up import TopUpCommand, TopUpRequest, decode_top_up_command, encode_top_up_request
from tests.builders import CITY, DAY, NOW_S, Device, Office, make_token

if TYPE_CHECKING:
    import httpx

AMOUNT_MINOR = 500_000
BALANCE_MINOR = 530_000
TOKEN = make_token(7)
UID = b"\x04" + TOKEN[:6]


def order(office: Office, reference: str = "T-1", **changes: Any) -> Any:  # noqa: ANN401 - JSON
    body = {"reference": reference, "token": TOKEN.hex(), "amount_minor": AMOUNT_MINOR, "at_s": NOW_S, "on_bus": True}
    answer = office.client.post("/v1/top-ups", json=body | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()["status"]


def listed(office: Office) -> list[bytes]:
    """Which tokens of cards stand on the newest list; entries may be shorter than tokens."""
    with office.database.reading() as session:
        document = newest_document(session, TOP_UP_LIST, CITY, office.clock.now_ms() // 1000)
        assert document is not None
        found = decode_list(parse(document.body).payload, LIST_TOP_UP)
    return [token for token in (TOKEN, make_token(8)) if found.holds(token)]


def request(office: Office, asker: Device, counter: int = 4, **changes: Any) -> TopUpRequest:  # noqa: ANN401
    token = changes.get("token", TOKEN)
    fields: dict[str, Any] = {
        "device": asker.id,
        "epoch": asker.epoch,
        "token": token,
        "masked_uid": mask_uid(office.keys.token_key, token, UID),
        "counter": counter,
        "nonce": counter.to_bytes(8, "big"),
    }
    return TopUpRequest(**fields | changes)


def ask(office: Office, asker: Device, counter: int = 4, **changes: Any) -> httpx.Response:  # noqa: ANN401
    payload = encode_top_up_request(request(office, asker, counter, **changes))
    message = sign1(payload, TYP_TOP_UP_REQUEST, asker.audience, asker.signer)
    return office.client.post("/v1/top-up-commands", content=message)


def command(office: Office, device: Device, counter: int = 4) -> TopUpCommand:
    answer = ask(office, device, counter)
    assert answer.status_code == 200, answer.content
    verifier = _Verifier(office)
    given = decode_top_up_command(verify1(answer.content, TYP_TOP_UP_COMMAND, device.audience, verifier))
    assert given.answers(request(office, device, counter))
    return given


class _Verifier:
    def __init__(self, office: Office) -> None:
        self._keys = office.keys

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return kid == self._keys.documents.kid and signature == self._keys.documents.sign(message)


def key_in(device: Device, given: TopUpCommand) -> bytes:
    """The card's key, as the device opens it."""
    x, y = (int.from_bytes(each, "big") for each in ec2_point(given.ephemeral))
    agreed = finish(agree_steps(int.from_bytes(device.private, "big"), x, y))
    return unwrap(Aes(), given.agreed_key(agreed), given.wrapped)


def credit_key(office: Office) -> bytes:
    return diversify(Aes(), office.keys.transit_credit_master, layout.key_material(UID))


def begin(device: Device, given: TopUpCommand, **changes: Any) -> bytes:  # noqa: ANN401
    fields: dict[str, Any] = {
        "kind": KIND_TOP_UP,
        "medium": MEDIUM_TRANSPORT_CARD,
        "token": given.token,
        "token_key_version": 1,
        "counter": given.counter,
        "fare_minor": given.amount_minor,
        "decision": DECISION_TOP_UP_COMING,
        "category": None,
        "tapped_at_s": NOW_S,
        "extensions": {0: given.number},
    }
    return device.record(**fields | changes)


def end(
    office: Office,
    device: Device,
    begun: bytes,
    decision: int = DECISION_TOPPED_UP,
    **changes: Any,  # noqa: ANN401
) -> bytes:
    """The outcome, signed as the card signs it."""
    intent = decode_tap(begun)
    fields: dict[str, Any] = {"kind": KIND_OUTCOME, "reference": intent.sequence, "decision": decision}
    fields |= {"medium": MEDIUM_TRANSPORT_CARD, "token": intent.token, "token_key_version": 1, "category": None}
    if decision == DECISION_TOPPED_UP:
        counter = (intent.counter or 0) + 1
        event = ride_event(intent, device.id, layout.EVENT_TOP_UP, 0, 0, BALANCE_MINOR)
        key = diversify(Aes(), office.keys.transit_mac_master, layout.key_material(UID))
        mac = transaction_mac(Aes(), key, UID, counter, top_up_input(intent.fare_minor or 0, event.encode()))
        masked = mask_uid(office.keys.token_key, intent.token or b"", UID)
        fields |= {"counter": counter, "balance_minor": BALANCE_MINOR}
        fields["evidence"] = encode_evidence(mac, masked, event)
    return device.record(**fields | {"fare_minor": None} | changes)


def send(office: Office, device: Device, *records: bytes) -> None:
    office.send(device, device.message(list(records)))


def states(office: Office) -> tuple[list[str], list[str]]:
    """How far the top-ups are, and the commands, oldest first."""
    with office.database.reading() as session:
        pending = session.scalars(select(PendingTopUp.status).order_by(PendingTopUp.id))
        given = session.scalars(select(GivenCommand.status).order_by(GivenCommand.number))
        return list(pending), list(given)


def test_money_for_a_bus_waits_and_the_buses_are_told(office: Office, device: Device) -> None:
    assert order(office) == order(office) == "waiting"
    assert listed(office) == [TOKEN]
    wanted = office.send(device, device.message([device.record()])).wanted
    assert wanted is not None
    number = wanted[WANTED_TOP_UPS]
    assert office.client.get(f"/v1/lists/top-up/{number}").status_code == 200
    order(office, "T-2", token=make_token(8).hex())
    assert office.client.get(f"/v1/lists/top-up/{number + 1}/from/{number}").status_code == 200
    assert listed(office) == [TOKEN, make_token(8)]


def test_money_that_an_agent_has_loaded_itself_waits_for_nobody(office: Office) -> None:
    assert order(office, on_bus=False) == "accepted"
    assert office.count(PendingTopUp) == 0
    answer = office.client.post(
        "/v1/top-ups",
        json={"reference": "T-1", "token": TOKEN.hex(), "amount_minor": AMOUNT_MINOR, "at_s": NOW_S, "on_bus": True},
    )
    assert answer.status_code == 409, "it is another order"


def test_the_validator_is_given_the_cards_own_key_and_the_money_is_applied(office: Office, device: Device) -> None:
    order(office)
    given = command(office, device)
    assert (given.amount_minor, given.counter) == (AMOUNT_MINOR, 4)
    assert given.expires_s == NOW_S + 60
    assert key_in(device, given) == credit_key(office)
    begun = begin(device, given)
    send(office, device, begun, end(office, device, begun))
    assert states(office) == (["applied"], ["applied"])
    assert (listed(office), office.reasons(), order(office)) == ([], [], "applied")
    assert ask(office, device, 5).status_code == 404


def test_of_two_top_ups_the_older_one_comes_first(office: Office, device: Device) -> None:
    order(office)
    order(office, "T-2", amount_minor=100)
    first = command(office, device)
    begun = begin(device, first)
    send(office, device, begun, end(office, device, begun))
    assert listed(office) == [TOKEN]
    assert command(office, device, 5).amount_minor == 100


def test_a_card_for_which_nothing_waits_gets_nothing(office: Office, device: Device) -> None:
    assert ask(office, device).status_code == 404
    order(office)
    assert ask(office, device, token=make_token(8)).status_code == 404


def test_a_second_command_is_not_given_while_the_first_may_have_been_used(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    first = command(office, device)
    assert ask(office, other).status_code == 409, "it has not expired"
    assert command(office, device).number > first.number, "the validator itself keeps no command"
    office.clock.at_ms += 61_000
    assert ask(office, other, 5).status_code == 409, "the card has committed something since"
    assert command(office, other).number > first.number, "the card has not"
    assert states(office) == (["waiting"], ["void", "void", "out"])


def test_an_outcome_that_it_was_not_applied_gives_the_money_free_again(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    begun = begin(device, command(office, device))
    send(office, device, begun, end(office, device, begun, DECISION_OUTCOME_UNKNOWN))
    assert states(office) == (["waiting"], ["out"])
    assert ask(office, other, 5).status_code == 409
    send(office, device, end(office, device, begun, DECISION_NOT_COMMITTED))
    assert states(office) == (["waiting"], ["void"])
    command(office, other, 5)


def test_a_ride_at_the_commands_counter_gives_the_money_free_again(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    begun = begin(device, command(office, device))
    send(office, device, begun, end(office, device, begun, DECISION_OUTCOME_UNKNOWN))
    send(office, other, *other.card_ride(7, 4))
    assert ask(office, other, 5).status_code == 200


def test_a_journal_that_goes_on_without_it_gives_the_money_free_again(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    command(office, device)
    office.clock.at_ms += 200_000
    send(office, device, device.record(tapped_at_s=NOW_S + 100))
    assert ask(office, other, 5).status_code == 409, "it may have been begun after that"
    send(office, device, device.record(tapped_at_s=NOW_S + 150))
    assert ask(office, other, 5).status_code == 200


def test_a_journal_that_has_lost_something_proves_nothing(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    command(office, device)
    office.clock.at_ms += 200_000
    lost = device.record(kind=KIND_LOST_RANGE, reference=[1, 1], medium=None, fare_minor=None, decision=None, line=None)
    send(office, device, lost, device.record(tapped_at_s=NOW_S + 150))
    assert ask(office, other, 5).status_code == 409


def test_a_report_that_comes_late_of_a_command_that_was_given_up_counts_once(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    first = command(office, device)
    office.clock.at_ms += 61_000
    second = command(office, other)
    begun = begin(device, first)
    send(office, device, begun, end(office, device, begun))
    assert (states(office), office.reasons()) == ((["applied"], ["applied", "out"]), [])
    begun = begin(other, second)
    send(office, other, begun, end(office, other, begun))
    assert office.reasons() == ["top_up_twice"]


@pytest.mark.parametrize(
    "changes",
    [
        {"extensions": {0: 99}},
        {"extensions": None},
        {"extensions": {0: 1 << 40}},
        {"extensions": {0: True}},
        {"counter": 5},
        {"fare_minor": AMOUNT_MINOR + 1},
        {"token": make_token(8)},
    ],
)
def test_a_top_up_that_is_not_the_commands_is_put_before_a_person(
    office: Office, device: Device, changes: dict[str, Any]
) -> None:
    order(office)
    begun = begin(device, command(office, device), **changes)
    send(office, device, begun, end(office, device, begun))
    assert office.reasons() == ["top_up_unknown"]
    assert states(office) == (["waiting"], ["out"])


def test_another_device_cannot_use_the_command_and_nobody_twice(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    given = command(office, device)
    begun = begin(other, given)
    send(office, other, begun, end(office, other, begun))
    assert (office.reasons(), states(office)) == (["top_up_unknown"], (["waiting"], ["out"]))
    begun = begin(device, given)
    send(office, device, begun, end(office, device, begun), begin(device, given))
    assert office.reasons() == ["top_up_unknown", "top_up_unknown"]
    assert states(office) == (["applied"], ["applied"])


@pytest.mark.parametrize(
    "changes",
    [
        {"balance_minor": 1},
        {"balance_minor": 1 << 40},
        {"evidence": None},
        {"evidence": bytes(16)},
        {"evidence": bytes(15) + b"\x06"},
    ],
)
def test_a_top_up_that_the_card_has_not_signed_is_not_applied(
    office: Office, device: Device, changes: dict[str, Any]
) -> None:
    order(office)
    begun = begin(device, command(office, device))
    send(office, device, begun, end(office, device, begun, **changes))
    known = [] if changes.get("evidence", 0) == bytes(16) else ["top_up_mac_wrong"]
    assert office.reasons() == known
    assert states(office) == (["waiting"], ["out"])


def test_a_command_that_was_used_late_is_put_before_a_person_and_counts(office: Office, device: Device) -> None:
    order(office)
    given = command(office, device)
    office.clock.at_ms += 300_000
    begun = begin(device, given, tapped_at_s=given.expires_s + 61)
    send(office, device, begun, end(office, device, begun))
    assert (office.reasons(), states(office)) == (["top_up_late"], (["applied"], ["applied"]))


def test_the_same_batch_again_changes_nothing(office: Office, device: Device) -> None:
    order(office)
    begun = begin(device, command(office, device))
    message = device.message([begun, end(office, device, begun)])
    office.send(device, message)
    office.send(device, message)
    assert (office.reasons(), states(office)) == ([], (["applied"], ["applied"]))


def test_a_suspected_validator_is_given_no_key(office: Office, device: Device) -> None:
    order(office)
    with office.database.writing() as session:
        quarantine(session.merge(office.validator(device)), office.clock.now_ms())
    assert ask(office, device).status_code == 409


def test_who_asks_must_be_who_signs_in_the_epoch_that_counts(office: Office, device: Device) -> None:
    order(office)
    for changes, status in (({"device": bytes(16)}, STATUS_KID_UNKNOWN), ({"epoch": 9}, STATUS_EPOCH)):
        answer = ask(office, device, **changes)
        assert decode_error(answer.content).status == status
    message = sign1(b"\xa0", TYP_TOP_UP_REQUEST, device.audience, device.signer)
    assert office.client.post("/v1/top-up-commands", content=message).status_code == 400
    assert office.client.post("/v1/top-up-commands", content=bytes(40_000)).status_code == 413


def test_the_key_of_another_card_is_not_given_for_the_token_of_this_one(office: Office, device: Device) -> None:
    order(office)
    send(office, device, *device.card_ride(7, 3))
    assert ask(office, device, masked_uid=bytes(7)).status_code == 409
    assert ask(office, device).status_code == 200


def test_nor_where_only_an_earlier_command_knows_the_card(office: Office, device: Device) -> None:
    order(office)
    assert ask(office, device).status_code == 200
    assert ask(office, device, masked_uid=bytes(7)).status_code == 409


def test_a_card_of_the_generation_before_is_given_its_own_key(office: Office, device: Device, app: Any) -> None:  # noqa: ANN401
    order(office)
    before = credit_key(office)
    with office.database.writing() as session:
        caller = local_caller(session)
        assert caller is not None
        roll_over(session, app.state.keys, caller, office.clock.now_ms(), forget=False)
    old = ask(office, device, key_version=1)
    assert key_in(device, decode_top_up_command(parse(old.content).payload)) == before
    new = ask(office, device, key_version=2)
    assert key_in(device, decode_top_up_command(parse(new.content).payload)) != before
    assert ask(office, device, key_version=9).status_code == 409


def test_the_key_set_says_who_may_sign_commands(device: Device, office: Office) -> None:
    assert device.key_set is not None
    assert device.key_set.may(office.keys.documents.kid, ROLE_TOP_UP)
    assert not device.key_set.may(office.keys.ack.kid, ROLE_TOP_UP)


def test_no_key_is_kept(office: Office, device: Device) -> None:
    order(office)
    key = key_in(device, command(office, device))
    with office.database.reading() as session:
        (given,) = session.scalars(select(GivenCommand))
        assert key not in b"".join(each for each in vars(given).values() if isinstance(each, bytes))


def test_a_top_up_is_no_ride_and_its_counter_proves_that_an_unknown_debit_was_none(
    office: Office, device: Device
) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    order(office)
    send(office, device, *device.card_ride(7, 4, DECISION_OUTCOME_UNKNOWN))
    begun = begin(other, command(office, other, 4))
    send(office, other, begun, end(office, other, begun), *other.card_ride(7, 5))
    with office.database.reading() as session:
        totals = preview_totals(session, CITY, DAY)
    assert [(each.medium, each.trips, each.fares_minor) for each in totals] == [("transport_card", 1, 10_000)]
