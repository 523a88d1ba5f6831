from __future__ import annotations

pytest_plugins = ["simulator.pytest_plugin"]


def test_a_card_torn_away_in_mid_debit_pays_once(clearing_service, virtual_bus, virtual_card):
    card = virtual_card()
    card.tear_after(commands=9)
    first, second = virtual_bus.hold(card), virtual_bus.hold(card)
    assert (first.light, first.reason, second.light) == ("red", "outcome_unknown", "green")
    assert len(card.debits_minor) == 1
    clearing_service.close_day()
    assert len(clearing_service.rides()) == 1
    assert clearing_service.ledger_faults() == []
