"""Counterparties that misbehave on purpose: each difference that they make is found as a break, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from clearing.ledger.checks import check_ledger
from clearing.network.parties import Agent as AgentParty
from clearing.network.parties import QrProvider as ProviderParty
from clearing.network.parties import SmsAggregator as AggregatorParty
from simulator.counterparties import agent, bank, qr_provider, sms_aggregator
from tests.builders import CITY, DAY, NOW_MS, Office, make_token
from tests.clearing.senders import agree, make_sender, party
from tests.clearing.test_qr_payments import label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.counterparties.acquirer_statement import Injected

_IBANS = {"wallet": "KZ86125KZT5004100100", "tele2": "KZ75125KZT1001300335", "kiosk": "KZ26125KZT2069100109"}
_DAY_MS = 86_400_000
RIDERS = 36
_NEXT = "2024-05-16"


@dataclass
class Town:
    """Everybody who takes riders' money in a test."""

    office: Office
    provider: qr_provider.QrProvider
    aggregator: sms_aggregator.BillingAggregator
    kiosk: agent.Agent
    bank: bank.Bank

    def injected(self) -> list[tuple[str, str]]:
        """Cause and reference of everything that was done wrong on purpose."""
        made: list[Injected] = []
        for each in (self.provider, self.aggregator, self.kiosk, self.bank):
            made += each.injected
        return sorted((each.kind, each.reference) for each in made)

    def play(self) -> None:
        """A morning: riders pay by code and by SMS, and buy top-ups."""
        for number in range(RIDERS):
            self.office.clock.at_ms += 20_000
            vehicle = f"A-1{number % 12 + 1:02d}"
            self.provider.pay(f"payer {number}", label(self.office, vehicle), vehicle, 10_000)
            self.aggregator.send(f"7701{number:07d}", vehicle if number % 6 else "hello")
            if number % 3 == 0:
                self.kiosk.sell(make_token(number), 100_000 + number * 100)
        for reference in sorted(self.provider.payments)[::15]:
            answer = self.provider.payments[reference].answer
            if answer is not None and answer["status"] == "paid":
                self.provider.give_back(reference)
        self.office.clock.at_ms += 600_000
        self.provider.deliver()
        self.aggregator.deliver()

    def settle(self) -> None:
        """The next days: statements come, money comes, the bank says so."""
        self.office.clock.at_ms = NOW_MS + 2 * _DAY_MS
        for each, code, name in self._takers():
            assert load(self.office, each.statement(DAY), code).status_code == 201
            what = f"{'sms_aggregator' if code == 'sms-aggregator' else code.replace('-', '_')} {DAY}"
            self.bank.credit(_NEXT, each.net_minor(DAY), _IBANS[name], name, f"JQ {DAY}", what)
        assert load(self.office, self.bank.statement(_NEXT), "bank-camt053").status_code == 201

    def _takers(self) -> Iterable[tuple[Any, str, str]]:
        return (
            (self.provider, "qr-provider", "wallet"),
            (self.aggregator, "sms-aggregator", "tele2"),
            (self.kiosk, "agent", "kiosk"),
        )


def load(office: Office, body: bytes, adapter: str, **parameters: str) -> httpx.Response:
    asked = {"city": CITY, "adapter": adapter} | parameters
    return office.client.post("/v1/statements", content=body, params=asked)


def reconcile(office: Office, day: str) -> dict[str, Any]:
    answer = office.client.post("/v1/reconciliations", json={"city": CITY, "day": day})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def breaks(office: Office, state: str = "open") -> list[tuple[str, str]]:
    """Cause and reference of the breaks in a state."""
    found = office.client.get("/v1/breaks", params={"city": CITY, "state": state}).json()["breaks"]
    return sorted((each["cause"], each["reference"]) for each in found)


def make_town(office: Office, habits: dict[str, float], seed: int) -> Town:
    agree(
        office,
        qr_provider=(party(ProviderParty, "wallet", commission_bp=150, settlement_days=1, iban=_IBANS["wallet"]),),
        sms_aggregator=(party(AggregatorParty, "tele2", short_number="1234", settlement_days=1, iban=_IBANS["tele2"]),),
        agent=(party(AgentParty, "kiosk", remittance_days=1, iban=_IBANS["kiosk"]),),
    )

    def chosen(kind: type) -> Any:  # noqa: ANN401 - the habits of one party
        return kind(
            **{name: value for name, value in habits.items() if name in getattr(kind, "__dataclass_fields__", ())}
        )

    return Town(
        office,
        qr_provider.QrProvider(
            make_sender(office, "wallet", "provider"), CITY, seed, chosen(qr_provider.Habits), commission_bp=150
        ),
        sms_aggregator.BillingAggregator(
            make_sender(office, "tele2", "aggregator"), CITY, seed, chosen(sms_aggregator.BillingHabits)
        ),
        agent.Agent(make_sender(office, "kiosk", "agent", signed=False), CITY, seed, chosen(agent.Habits)),
        bank.Bank("KZ00JOLAQY", seed, chosen(bank.Habits), opening_minor=1_000_000),
    )


HARMLESS = dict.fromkeys(("notify_twice", "notify_late", "tell_twice", "send_twice", "send_late", "new_number"), 0.2)
WRONG = dict.fromkeys(
    (
        "lose_notification",
        "keep_refused",
        "hide_refund",
        "left_out",
        "settled_twice",
        "two_states",
        "amount_differs",
        "lose_message",
        "charge_rejected",
        "forget",
    ),
    0.1,
) | {"unknown_item": 1.0, "stranger": 1.0, "lose_credit": 0.4}


def test_who_only_repeats_and_delays_makes_no_break(office: Office) -> None:
    town = make_town(office, HARMLESS, 1)
    town.play()
    town.settle()
    result = reconcile(office, "2024-05-17")
    assert (town.injected(), breaks(office), result["at_risk_minor"]) == ([], [], 0)
    counts = {each["party"]: each["counts"].get("matched") for each in result["parties"] if each["counts"]}
    assert (counts["wallet"], counts["tele2"]) == (RIDERS, RIDERS - RIDERS // 6)


def test_every_difference_is_found_and_no_other(office: Office) -> None:
    town = make_town(office, HARMLESS | WRONG, 3)
    town.play()
    town.settle()
    assert len({kind for kind, _ in town.injected()}) > 7
    reconcile(office, "2024-05-17")
    assert breaks(office) == town.injected()
    again = reconcile(office, "2024-05-17")
    assert (again["opened"], again["vanished"]) == (0, 0)
    assert breaks(office) == town.injected()
    with office.database.reading() as session:
        assert check_ledger(session) == []


def test_a_right_file_in_the_place_of_a_wrong_one_lets_its_breaks_vanish(office: Office) -> None:
    town = make_town(office, {"left_out": 0.3}, 5)
    town.play()
    town.settle()
    reconcile(office, "2024-05-17")
    wrong = [each for each in breaks(office) if each[1].startswith("QR")]
    assert wrong
    town.provider._habits = qr_provider.Habits()
    number = next(
        each["number"]
        for each in office.client.get("/v1/statements", params={"city": CITY}).json()["statements"]
        if each["party"] == "wallet"
    )
    right = town.provider.statement(DAY)
    assert load(office, right, "qr-provider").status_code == 409
    assert load(office, right, "qr-provider", replaces=str(number)).status_code == 201
    reconcile(office, "2024-05-17")
    assert [each for each in breaks(office, "vanished") if each[1].startswith("QR")] == wrong
    assert not [each for each in breaks(office) if each[1].startswith("QR")]


def test_a_counterparty_hands_its_statements_out(office: Office) -> None:
    town = make_town(office, {}, 1)
    town.provider.pay("payer", label(office), "A-101", 10_000)
    with town.provider as running:
        host, port = running.address
        body = httpx.get(f"http://{host}:{port}/statements/{DAY}", trust_env=False)
        assert (body.status_code, body.content) == (200, town.provider.statement(DAY))
        assert httpx.get(f"http://{host}:{port}/else", trust_env=False).status_code == 404


def test_the_app_shows_the_vehicle_before_the_rider_pays(office: Office) -> None:
    town = make_town(office, {}, 1)
    page = town.provider.look(label(office))
    assert (page["vehicle"], page["plate"]) == ("A-101", "A-101")
    answer = town.provider.pay("payer", label(office, "A-102"), page["plate"], page["fare_minor"])
    assert answer is not None
    assert answer["status"] == "refused"
    assert town.provider.payments["QR00000001"].is_given_back
