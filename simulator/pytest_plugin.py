"""The simulator as fixtures: `pytest_plugins = ["simulator.pytest_plugin"]` in a test module or the top conftest.

What the fixtures promise, `LIBRARY.md` says.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from simulator.fault_proxy import check_rates, proxy_in_thread
from simulator.library.service import ClearingService, Office
from simulator.library.street import VirtualNetwork, VirtualStreet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simulator.fault_proxy import FaultProxy
    from simulator.library.media import BankCard, Phone, TransportCard
    from simulator.library.street import VirtualBus

_BUS = "A-101"
_FLEET = ("A-102", "A-105", "A-110")


@pytest.fixture(scope="session")
def clearing_office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """What all services of a session start from; nobody needs to ask for it."""
    return Office(tmp_path_factory.mktemp("clearing") / "home")


@pytest.fixture
def clearing_service(clearing_office: Office, tmp_path: Path) -> Iterator[ClearingService]:
    """A running `jolaqy serve` on a fresh database and a virtual clock."""
    service = ClearingService(clearing_office, tmp_path)
    yield service
    service.stop()


@pytest.fixture
def virtual_network() -> VirtualNetwork:
    """The network between all buses and the service."""
    return VirtualNetwork()


@pytest.fixture
def validator_runtime() -> str:
    """What runs the validators: `cpython`, `micropython` or `micropython32`; override it, or set `JOLAQY_RUNTIME`."""
    return os.environ.get("JOLAQY_RUNTIME", "cpython")


@pytest.fixture
def virtual_street(
    clearing_service: ClearingService, virtual_network: VirtualNetwork, validator_runtime: str, tmp_path: Path
) -> Iterator[VirtualStreet]:
    """Everything on one clock; other buses than those of the fixtures come from here."""
    street = VirtualStreet(clearing_service, virtual_network, tmp_path / "validators", validator_runtime)
    yield street
    street.close()


@pytest.fixture
def virtual_card(virtual_street: VirtualStreet) -> Callable[..., TransportCard]:
    """A function that issues transport cards: `virtual_card(category="adult", balance_minor=300_000)`."""
    return virtual_street.bureau.transport_card


@pytest.fixture
def bank_card(virtual_street: VirtualStreet) -> Callable[..., BankCard]:
    """A function that issues bank cards: `bank_card()`."""
    return virtual_street.bureau.bank_card


@pytest.fixture
def phone(virtual_street: VirtualStreet) -> Callable[..., Phone]:
    """A function that issues tickets in phones: `phone(category="adult", valid_hours=24)`."""
    return virtual_street.bureau.phone


@pytest.fixture
def virtual_bus(virtual_street: VirtualStreet) -> VirtualBus:
    """One bus with a running validator."""
    return virtual_street.bus(_BUS)


@pytest.fixture
def fleet(virtual_street: VirtualStreet) -> list[VirtualBus]:
    """Three buses, of several lines and carriers."""
    return [virtual_street.bus(code) for code in _FLEET]


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., FaultProxy]]:
    """A function that puts a bad network in real time before a service: `fault_proxy(("127.0.0.1", 8000), seed=1, drop=0.1)`."""
    with ExitStack() as stack:

        def start(target: tuple[str, int], seed: int = 1, **rates: float) -> FaultProxy:
            check_rates(rates)
            return stack.enter_context(proxy_in_thread(target, seed, rates))

        yield start
