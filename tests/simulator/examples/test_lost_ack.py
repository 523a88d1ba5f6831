from __future__ import annotations

pytest_plugins = ["simulator.pytest_plugin"]


def test_a_ride_whose_ack_is_lost_is_cleared_once(clearing_service, virtual_network, virtual_bus, bank_card):
    virtual_network.set_weather(lose_answer=1)
    assert virtual_bus.hold(bank_card()).light == "green"
    virtual_bus.drive_on(minutes=30)
    assert virtual_network.counts["lose_answer"] > 1
    virtual_network.set_weather()
    clearing_service.close_day()
    assert len(clearing_service.rides()) == 1
