"""The simulated acquirer over its own interface: what it does is done once, and what it does wrong it owns up to."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from firmware.boards.crypto_cpython import Aes
from protocol.cards.acquirer_blob import seal_blob
from protocol.cards.dukpt import KEY_ID_BYTES, plant
from protocol.cards.tlv import encode
from simulator.counterparties.acquirer import Acquirer, initial_key
from simulator.counterparties.acquirer_book import Habits, Terms
from simulator.counterparties.acquirer_statement import FAULTS
from tests.builders import NOW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2024-05-15"
FARE = 10_000


class Caller:
    """Whoever asks, with a terminal of its own."""

    def __init__(self, acquirer: Acquirer) -> None:
        self.acquirer = acquirer
        self.http = httpx.Client(base_url=acquirer.url, trust_env=False, timeout=5.0)
        key = initial_key("terminal")
        self._keys, _ = plant(Aes(), key[:KEY_ID_BYTES], key[KEY_ID_BYTES:])

    def sealed(self, card: int) -> str:
        track = bytes.fromhex(f"{9_999_990_000_000_000 + card:016d}")
        blob = seal_blob(Aes(), self._keys, bytearray(encode(0x57, track + b"\xd3\x01\x2f")))
        return base64.b64encode(blob).decode()

    def body(self, kind: str, reference: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return {
            "reference": reference,
            "kind": kind,
            "amount_minor": 0 if kind == "verify" else FARE,
            "currency": "KZT",
            "original": "",
            "liability": "",
            "sealed": "",
        } | changes

    def ask(self, body: dict[str, Any]) -> httpx.Response:
        return self.http.post("/v1/operations", json=body)

    def pay(self, number: int, card: int = 0) -> list[str]:
        """Authorise and capture; returns how each ended."""
        authorised = self.ask(self.body("authorise", f"A{number}", sealed=self.sealed(card or number)))
        captured = self.ask(self.body("capture", f"C{number}", original=f"A{number}"))
        return [each.json()["status"] for each in (authorised, captured)]


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Acquirer(lambda: NOW_MS, terms=Terms(commission_bp=150, issuer_bears_minor=FARE)) as acquirer:
        caller = Caller(acquirer)
        yield caller
        caller.http.close()


def test_a_card_is_opened_authorised_captured_and_paid_out(caller: Caller) -> None:
    assert caller.pay(1) == ["done", "done"]
    refund = caller.ask(caller.body("refund", "R1", original="C1", amount_minor=4_000)).json()
    assert refund["status"] == "done"
    assert caller.acquirer.statement(DAY).decode().splitlines() == [
        "date;reference;acquirer_reference;kind;status;amount;fee;currency",
        f"{DAY};C1;0000000002;capture;settled;100.00;1.50;KZT",
        f"{DAY};R1;0000000003;refund;settled;-40.00;0.00;KZT",
        "TOTAL;2;;;;60.00;1.50;KZT",
    ]
    assert caller.acquirer.statement("2024-05-16").decode().splitlines()[1:] == ["TOTAL;0;;;;0.00;0.00;KZT"]
    assert caller.acquirer.injected == []


def test_what_comes_again_is_answered_the_same_and_done_once(caller: Caller) -> None:
    body = caller.body("authorise", "A1", sealed=caller.sealed(1))
    first = caller.ask(body)
    assert caller.ask(body).json() == first.json() == caller.http.get("/v1/operations/A1").json()
    assert caller.ask(body | {"amount_minor": 1}).status_code == 409
    assert len(caller.acquirer.book.operations) == 1


def test_what_nobody_asked_for_is_not_known(caller: Caller) -> None:
    assert caller.http.get("/v1/operations/A1").status_code == 404


def test_what_is_no_blob_spoils_nothing_for_the_next_card(caller: Caller) -> None:
    for number, sealed in enumerate(("", "AQID", "AQ==AQ==", base64.b64encode(bytes(13)).decode())):
        answer = caller.ask(caller.body("authorise", f"X{number}", sealed=sealed))
        assert answer.status_code == 400 or answer.json()["code"] == "not-readable"
    assert caller.pay(1) == ["done", "done"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "authorise", "reference": "X", "sealed": "AQID"}, "not-readable"),
        ({"kind": "authorise", "reference": "X", "currency": "USD"}, "currency"),
        ({"kind": "capture", "reference": "X", "original": "nothing"}, "no-original"),
        ({"kind": "capture", "reference": "X", "original": "A1", "amount_minor": FARE + 1}, "not-authorised"),
        ({"kind": "refund", "reference": "X", "original": "C1", "amount_minor": FARE + 1}, "too-much"),
        ({"kind": "capture", "reference": "X", "original": "A1", "liability": "issuer"}, "not-liable"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(caller: Caller, body: dict[str, Any], code: str) -> None:
    caller.pay(1)
    answer = caller.ask(caller.body(**body)).json()
    assert (answer["status"], answer["code"]) == ("refused", code)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"reference": 1}', b"\xff", b"{" * 1000, b"x" * 20_000], ids=range(7)
)
def test_what_is_no_request_changes_nothing(caller: Caller, content: bytes) -> None:
    try:
        status = caller.http.post("/v1/operations", content=content).status_code
    except httpx.TransportError:
        status = 400
    assert status == 400
    assert caller.acquirer.book.operations == {}


def test_a_token_is_asked_for_where_one_was_agreed() -> None:
    agreed = "by telephone"
    with (
        Acquirer(lambda: NOW_MS, token=agreed) as acquirer,
        httpx.Client(base_url=acquirer.url, trust_env=False) as http,
    ):
        assert http.get("/v1/operations/A1").status_code == 401
        headers = {"Authorization": f"Bearer {agreed}"}
        assert http.get("/v1/operations/A1", headers=headers).status_code == 404


def test_the_issuer_bears_a_declined_first_ride_up_to_its_bound(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(decline=1.0)
    assert caller.pay(1) == ["refused", "refused"]
    liable = caller.body("capture", "C2", original="A1", liability="issuer")
    assert caller.ask(liable).json()["status"] == "done"
    assert caller.ask(liable | {"reference": "C3"}).json()["code"] == "not-liable", "once"


def test_a_poor_card_has_money_again_after_some_attempts_or_when_somebody_gives_it_some(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(decline=1.0, poor_for=2)
    assert [caller.pay(number, card=1)[0] for number in (1, 2, 3)] == ["refused", "refused", "done"]
    assert caller.pay(4, card=2)[0] == "refused"
    caller.acquirer.book.give_money("A4")
    assert caller.pay(5, card=2)[0] == "done"
    caller.acquirer.book.take_money("A4")
    assert caller.pay(6, card=2)[0] == "refused"


def test_a_lost_answer_is_found_by_its_reference(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(lose_answer=1.0)
    with pytest.raises(httpx.TransportError):
        caller.ask(caller.body("authorise", "A1", sealed=caller.sealed(1)))
    assert caller.http.get("/v1/operations/A1").json()["status"] == "done"


def test_a_lost_request_was_never_heard_of(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(lose_request=1.0)
    with pytest.raises(httpx.TransportError):
        caller.ask(caller.body("authorise", "A1", sealed=caller.sealed(1)))
    assert caller.http.get("/v1/operations/A1").status_code == 404


def test_a_late_answer_is_pending_first(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(answer_late=1.0)
    body = caller.body("authorise", "A1", sealed=caller.sealed(1))
    answers = [caller.ask(body), *(caller.http.get("/v1/operations/A1") for _ in range(2))]
    assert [(each.status_code, each.json()["status"]) for each in answers] == [
        (202, "pending"),
        (202, "pending"),
        (200, "done"),
    ]


def test_it_tells_of_its_own_accord_some_of_it_twice_and_the_newest_first(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(notify_twice=1.0)
    caller.pay(1)
    told = caller.acquirer.book.notices()
    assert [each["operation"] for each in told] == ["C1", "C1", "A1", "A1"]
    assert len({each["reference"] for each in told}) == 4
    assert caller.acquirer.book.notices() == []


def wrong_in(fault: str) -> Habits:
    """An acquirer whose statements have one fault, in every item that can have it."""
    return replace(Habits(), **{name: 1.0 for name in FAULTS if name == fault})  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_statement_is_in_it_and_is_owned_up_to(caller: Caller, fault: str) -> None:
    for number in (1, 2):
        caller.pay(number)
    right = caller.acquirer.statement(DAY).decode().splitlines()
    caller.acquirer.book.habits = wrong_in(fault)
    wrong = caller.acquirer.statement(DAY).decode().splitlines()
    assert wrong != right
    owned = {(each.kind, each.reference) for each in caller.acquirer.injected}
    # The first item of a day has no other one's reference to take.
    assert owned == {(fault, reference) for reference in (["C2"] if fault == "reference_reused" else ["C1", "C2"])}
    caller.acquirer.statement(DAY)
    assert len(caller.acquirer.injected) == len(owned), "asked for twice it is put in once"


def test_an_item_nobody_asked_for_is_owned_up_to(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(unknown_item=1.0)
    assert "NOBODYASKEDFORIT" in caller.acquirer.statement(DAY).decode()
    assert [each.kind for each in caller.acquirer.injected] == ["unknown_item"]


def test_a_delayed_item_is_paid_out_a_day_later_and_is_no_difference(caller: Caller) -> None:
    caller.acquirer.book.habits = Habits(delay=1.0)
    caller.pay(1)
    assert "C1" not in caller.acquirer.statement(DAY).decode()
    assert "C1" in caller.acquirer.statement("2024-05-16").decode()
    assert caller.acquirer.injected == []


def test_the_same_seed_behaves_the_same_whatever_comes_first() -> None:
    def fates(order: list[int]) -> dict[str, str]:
        with Acquirer(lambda: NOW_MS, 7, Habits(decline=0.5)) as acquirer:
            caller = Caller(acquirer)
            for number in order:
                caller.pay(number)
            caller.http.close()
            return {reference: each.status for reference, each in sorted(acquirer.book.operations.items())}

    assert fates([1, 2, 3, 4, 5, 6]) == fates([6, 4, 2, 1, 3, 5])
    assert set(fates([1, 2, 3, 4, 5, 6]).values()) == {"done", "refused"}
