"""The acquirer's statements through reconciliation: its faults are found, what matches is settled, and the bank agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearing.acquiring.items import acquirer_items
from simulator.counterparties import bank
from simulator.counterparties.acquirer import Acquirer
from simulator.counterparties.acquirer_book import Habits
from tests.builders import CITY, NOW_S
from tests.clearing.card_bench import DAY_MS, NEXT_MORNING_MS, CardBench
from tests.clearing.test_counterparties import breaks, load, reconcile

if TYPE_CHECKING:
    from tests.builders import Office

_IBAN = "KZ86125KZT5004100100"
_DAYS = ("2024-05-16", "2024-05-17")
# As the acquirer names what it did, and as reconciliation names what it found.
CAUSES = {
    "left_out": "left_out",
    "settled_twice": "settled_twice",
    "two_states": "two_states",
    "amount_altered": "amount_differs",
    "reference_reused": "reference_reused",
    "unknown_item": "reference_unknown",
}
HABITS = Habits(
    delay=0.3,
    left_out=0.15,
    settled_twice=0.15,
    two_states=0.15,
    amount_altered=0.15,
    reference_reused=0.15,
    unknown_item=1.0,
)


def test_every_difference_is_found_what_matches_is_settled_and_the_bank_agrees(office: Office) -> None:
    with Acquirer(office.clock.now_ms, 5, HABITS) as acquirer:
        bench = CardBench(office, acquirer, iban=_IBAN)
        for card in range(1, 21):
            bench.tap(card, NOW_S + card)
        bench.price()
        bench.run()
        account = bank.Bank("KZ00JOLAQY")
        for day in _DAYS:
            body = acquirer.statement(day)
            total = body.decode().splitlines()[-1].split(";")
            assert load(office, body, "acquirer").status_code == 201
            net_minor = round((float(total[5]) - float(total[6])) * 100)
            account.credit(day, net_minor, _IBAN, "bank", "card payments")
            office.clock.at_ms = max(office.clock.at_ms, NEXT_MORNING_MS + DAY_MS)
            assert load(office, account.statement(day), "bank-camt053").status_code == 201
        injected = sorted((CAUSES[each.kind], each.reference) for each in acquirer.injected)
        assert {cause for cause, _ in injected} == set(CAUSES.values())
        reconcile(office, "2024-05-18")
        assert breaks(office) == injected
        assert reconcile(office, "2024-05-18")["opened"] == 0
        wrong = {
            reference for cause, reference in injected if cause in {"left_out", "amount_differs", "reference_reused"}
        }
        with office.database.reading() as session:
            items = [
                item for item in acquirer_items(session, CITY, "2024-05-15", "2024-05-15") if item.kind == "capture"
            ]
        assert {item.reference for item in items if item.settled_minor is None} == wrong
        assert bench.faults() == []
