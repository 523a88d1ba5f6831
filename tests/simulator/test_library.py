"""The simulator as others use it: its fixtures, and the page that promises them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from simulator.fault_proxy import RatesError
from simulator.library import media
from simulator.library.service import ClearingService
from simulator.library.street import Seen, VirtualBus, VirtualNetwork, VirtualStreet, read_display

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.fault_proxy import FaultProxy

pytest_plugins = ["simulator.pytest_plugin"]

TOP = Path(__file__).resolve().parents[2]
_PAGE = TOP / "simulator" / "LIBRARY.md"
_EXAMPLES = sorted((TOP / "tests" / "simulator" / "examples").glob("test_*.py"))
_PROMISED = (
    ClearingService,
    VirtualBus,
    VirtualNetwork,
    VirtualStreet,
    media.HeldCard,
    media.TransportCard,
    media.Phone,
)
_INSIDE = {"address", "follow", "stop", "clock", "card", "join", "enrol", "close", "run_for", "world"}


def test_a_bus_without_power_shows_nothing_and_what_was_green_is_cleared(
    clearing_service: ClearingService, virtual_bus: VirtualBus, virtual_card: Callable[..., media.TransportCard]
) -> None:
    virtual_bus.stop_at(line=1, stop=101)
    card, other = virtual_card(), virtual_card(category="pensioner")
    assert virtual_bus.hold(card).light == "green"
    assert virtual_bus.hold(card).light == "amber"
    virtual_bus.cut_power(at_byte=20)
    was_on = virtual_bus.is_on
    assert virtual_bus.hold(other) == Seen("", "")
    virtual_bus.drive_on(minutes=2)
    assert (was_on, virtual_bus.is_on) == (False, True)
    assert virtual_bus.hold(other).light == "green"
    close = clearing_service.close_day()
    assert [row["trips"] for row in close["media"]] == [2]
    assert (card.debits_minor, other.debits_minor) == ([10_000], [5_000])
    assert clearing_service.share()["cashless_share_trips_percent"] == 100
    assert clearing_service.ledger_faults() == []


def test_a_phone_shows_another_code_later_and_a_screenshot_does_not(
    clearing_service: ClearingService,
    virtual_bus: VirtualBus,
    phone: Callable[..., media.Phone],
    bank_card: Callable[..., media.BankCard],
) -> None:
    rider, denied = phone(), bank_card()
    before = rider.screenshot()
    clearing_service.deny(denied.token)
    virtual_bus.drive_on(minutes=10)
    assert virtual_bus.show(before) == Seen("red", "refused 12", reason="qr_stale")
    assert virtual_bus.show(rider).light == "green"
    assert virtual_bus.hold(denied).reason == "denied"
    assert [seen.light for seen in virtual_bus.lights] == ["red", "green", "red"]


def test_a_fleet_has_one_clock_and_one_network(
    clearing_service: ClearingService,
    virtual_street: VirtualStreet,
    virtual_network: VirtualNetwork,
    fleet: list[VirtualBus],
) -> None:
    virtual_network.covered = False
    for bus in fleet:
        assert bus.press_cash().fare_minor == 20_000
    before_s = virtual_street.now_s
    fleet[0].drive_on(minutes=30)
    assert virtual_street.now_s == before_s + 1800
    assert clearing_service.get("/healthz")["time_ms"] // 1000 == virtual_street.now_s
    assert virtual_network.counts["no_network"] > len(fleet)
    day = clearing_service.today
    assert clearing_service.close_day()["day"] == day
    assert sorted(ride["vehicle"] for ride in clearing_service.rides()) == [bus.code for bus in fleet]


def test_a_bad_network_in_real_time_stands_before_any_service(
    clearing_service: ClearingService, fault_proxy: Callable[..., FaultProxy]
) -> None:
    target = httpx.URL(clearing_service.url)
    good, bad = fault_proxy((target.host, target.port)), fault_proxy((target.host, target.port), drop=1)
    assert httpx.get("http://{}:{}/healthz".format(*good.address), trust_env=False).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get("http://{}:{}/healthz".format(*bad.address), trust_env=False)
    assert (good.counts["carried"], bad.counts["drop"]) == (1, 1)
    with pytest.raises(RatesError, match="no fault rain"):
        fault_proxy((target.host, target.port), rain=1)


@pytest.mark.parametrize("validator_runtime", ["micropython"])
def test_what_runs_the_validator_can_be_chosen(
    virtual_bus: VirtualBus, virtual_card: Callable[..., media.TransportCard], validator_runtime: str
) -> None:
    assert validator_runtime == "micropython"
    seen = virtual_bus.hold(virtual_card(balance_minor=12_000))
    assert (seen.light, seen.fare_minor, seen.balance_minor) == ("green", 10_000, 2_000)


@pytest.mark.parametrize(
    ("display", "seen"),
    [
        ("ok 7 10000 290000", Seen("green", "ok 7 10000 290000", 10_000, 290_000)),
        ("ok 7 20000 -", Seen("green", "ok 7 20000 -", 20_000)),
        ("refused 2", Seen("green", "refused 2", reason="denied")),
        ("free", Seen("green", "free")),
    ],
)
def test_a_display_is_read(display: str, seen: Seen) -> None:
    assert read_display("green", display) == seen


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.stem)
def test_the_page_quotes_an_example_as_it_runs(example: Path) -> None:
    quoted = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert example.read_text() in quoted


def _public_names(promised: type[Any]) -> set[str]:
    """Return methods and properties, and the attributes that the docstring names."""
    documented = re.findall(r"^    ([\w, ]+): ", inspect.getdoc(promised) or "", re.MULTILINE)
    return {name for names in documented for name in names.split(", ")} | {
        name for name in vars(promised) if not name.startswith("_")
    }


@pytest.mark.parametrize("promised", _PROMISED)
def test_the_page_names_whatever_can_be_asked(promised: type[Any]) -> None:
    page = _PAGE.read_text()
    assert [
        name for name in sorted(_public_names(promised) - _INSIDE) if f"`{name}" not in page and f".{name}" not in page
    ] == []


def test_the_page_names_every_fixture() -> None:
    plugin = (TOP / "simulator" / "pytest_plugin.py").read_text()
    fixtures = set(re.findall(r"@pytest\.fixture.*?\ndef (\w+)\(", plugin)) - {"clearing_office"}
    assert len(fixtures) == 10
    assert [name for name in fixtures if f"| `{name}`" not in _PAGE.read_text()] == []
