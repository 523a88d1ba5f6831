from __future__ import annotations

pytest_plugins = ["simulator.pytest_plugin"]


def test_a_pupil_pays_half_and_the_books_say_the_same(clearing_service, virtual_bus, virtual_card):
    for category, fare_minor in {"adult": 10_000, "pupil": 5_000, "free": 0}.items():
        seen = virtual_bus.hold(virtual_card(category=category, balance_minor=50_000))
        assert (seen.light, seen.fare_minor, seen.balance_minor) == ("green", fare_minor, 50_000 - fare_minor)
    assert virtual_bus.press_cash().fare_minor == 20_000
    clearing_service.close_day()
    assert sorted(ride["charged_minor"] for ride in clearing_service.rides()) == [0, 5_000, 10_000, 20_000]
