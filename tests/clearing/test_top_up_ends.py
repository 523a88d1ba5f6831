"""Money that waits for a card and ends otherwise: it expires, it is given back, and the card may come after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearing.ledger.checks import check_ledger
from clearing.ledger.service import trial_balance
from clearing.network.parties import TopUpRules
from protocol.decisions import DECISION_NOT_COMMITTED
from tests.builders import CITY, Office
from tests.clearing import small_day
from tests.clearing.senders import agree
from tests.clearing.test_top_ups import AMOUNT_MINOR, ask, begin, end, listed, order, send, states
from tests.clearing.test_top_ups import command as given_command

if TYPE_CHECKING:
    from tests.builders import Device
    from tests.clearing.command import Command

_DAY_MS = 86_400_000


def balances(office: Office) -> dict[str, int]:
    with office.database.reading() as session:
        assert check_ledger(session) == []
        return {each.account.removeprefix("liability:"): each.amount_minor for each in trial_balance(session, CITY)}


def expire(office: Office) -> int:
    answer = office.client.post("/v1/top-ups/expire", json={"city": CITY})
    assert answer.status_code == 200
    return int(answer.json()["top_ups"])


def refund(office: Office, reference: str = "T-1") -> int:
    body = {"agent": "local", "reference": reference}
    return office.client.post("/v1/top-ups/refund", json=body).status_code


def test_what_waits_too_long_expires_and_is_owed_back(office: Office) -> None:
    agree(office, top_ups=TopUpRules(expire_after_days=30))
    order(office)
    office.clock.at_ms += 29 * _DAY_MS
    assert expire(office) == 0
    office.clock.at_ms += 2 * _DAY_MS
    assert (expire(office), expire(office)) == (1, 0)
    assert states(office)[0] == ["expired"]
    assert listed(office) == []
    assert balances(office) == {f"pending:{CITY}": AMOUNT_MINOR, f"refunds:{CITY}": -AMOUNT_MINOR}
    assert order(office) == "expired"


def test_what_expired_is_given_back_once(office: Office) -> None:
    agree(office, top_ups=TopUpRules(expire_after_days=0))
    order(office)
    office.clock.at_ms += _DAY_MS
    expire(office)
    assert [refund(office), refund(office)] == [200, 200]
    assert states(office)[0] == ["refunded"]
    assert balances(office) == {
        f"asset:receivable:{CITY}:agents": -AMOUNT_MINOR,
        f"pending:{CITY}": AMOUNT_MINOR,
        f"refunds:{CITY}": 0,
    }


def test_after_close_expiry_and_refund_nothing_is_left_in_the_books(office: Office) -> None:
    order(office)
    small_day.close(office)
    assert balances(office)[f"pending:{CITY}"] == -AMOUNT_MINOR
    office.clock.at_ms += 200 * _DAY_MS
    assert (expire(office), refund(office)) == (1, 200)
    assert set(balances(office).values()) == {0}


def test_what_waits_may_be_given_back_before_it_expires(office: Office) -> None:
    agree(office)
    order(office)
    assert refund(office) == 200
    assert (states(office)[0], listed(office)) == (["refunded"], [])
    assert balances(office) == {f"asset:receivable:{CITY}:agents": -AMOUNT_MINOR, f"pending:{CITY}": AMOUNT_MINOR}
    assert refund(office, "T-9") == 404


def test_nothing_ends_while_a_validator_may_be_loading_it(office: Office, device: Device) -> None:
    agree(office, top_ups=TopUpRules(expire_after_days=0))
    order(office)
    given = given_command(office, device)
    office.clock.at_ms += _DAY_MS
    assert (expire(office), refund(office)) == (0, 409)
    begun = begin(device, given)
    send(office, device, begun, end(office, device, begun))
    assert states(office)[0] == ["applied"]
    assert (expire(office), refund(office)) == (0, 409)


def test_money_given_back_that_came_onto_the_card_after_all_is_put_before_a_person(
    office: Office, device: Device
) -> None:
    order(office)
    first = given_command(office, device)
    office.clock.at_ms += 61_000
    second = given_command(office, device)
    begun = begin(device, second)
    send(office, device, begun, end(office, device, begun, DECISION_NOT_COMMITTED))
    assert refund(office) == 200
    late = begin(device, first)
    send(office, device, late, end(office, device, late))
    assert "top_up_given_up" in office.reasons()
    assert states(office)[0] == ["refunded"]


def test_a_card_for_which_money_was_given_back_gets_none(office: Office, device: Device) -> None:
    order(office)
    refund(office)
    assert ask(office, device).status_code == 404


def test_the_commands_do_the_same(office: Office, command: Command) -> None:
    order(office)
    later = ("--as-of", "2025-05-15T12:00")
    assert command.json("channels", "expire-top-ups", *later) == {"top_ups": 1, "amount_minor": AMOUNT_MINOR}
    assert command.run("channels", "refund-top-up", "T-1", "--agent", "local", *later)[0] == 0
    assert command.run("channels", "refund-top-up", "T-9", "--agent", "local", *later)[0] == 3
    assert states(office)[0] == ["refunded"]
