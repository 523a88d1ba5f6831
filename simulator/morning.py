"""Before a city's day: riders are handed their media, agents have sold money, every vehicle's validator is enrolled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.bus import Bus, DriverTerminal
from simulator.camera import QrScanner
from simulator.card_authorities import authorities_as_json
from simulator.network import Network
from simulator.pn532_chip import Pn532Chip
from simulator.process import ValidatorProcess
from simulator.service import ServiceError
from simulator.top_up_app import TopUpApp
from simulator.vehicle_network import VehicleNetwork
from simulator.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from simulator.city import Vehicle
    from simulator.day import Settings
    from simulator.riders import Rider
    from simulator.service import Service
    from simulator.vehicle_network import Plug
    from simulator.world import World

_UPLOAD_INTERVAL_S = 600
_DATAGRAM_MS = 2


@dataclass(frozen=True)
class Place:
    """Where it happens.

    Attributes:
        folder: for the validators' state.
        validators: closes them when the day is over.
        progress: told how much of the day has passed, 0 to 1, and what is going on.
    """

    folder: Path
    validators: ExitStack
    progress: Callable[[float, str], None]


class Morning:
    """What stands ready when the first bus leaves.

    Attributes:
        wallets: what each rider holds.
        buses: by the vehicle's code, as seen from the front door.
        back_doors: the same buses as seen from the other door, where they have one.
        app: by which riders pay money in.
    """

    def __init__(
        self,
        settings: Settings,
        city: dict[str, Any],
        service: Service,
        keys: dict[str, bytes],
        world: World,
        place: Place,
    ) -> None:
        self._settings = settings
        self._city = city
        self._service = service
        self._keys = keys
        self._world = world
        self._place = place
        self.wallets: list[Wallet] = []
        self.buses: dict[str, Bus] = {}
        self.back_doors: dict[str, Bus] = {}
        self.app = TopUpApp(service, city["code"], settings.day.isoformat())

    def prepare(self, riders: Sequence[Rider], vehicles: Sequence[Vehicle]) -> None:
        """Hand out media, sell, deny, and mount validators."""
        progress = self._place.progress
        progress(0, "issuing cards")
        self.wallets += [Wallet(rider, self._city["number"], self._keys, self._world) for rider in riders]
        self._service.post("/v1/card-authorities", authorities_as_json(self._city["code"]))
        held_elsewhere = self._hand_out_cards()
        self._sell(held_elsewhere)
        self.app.pay_in([wallet for wallet in self.wallets if wallet not in held_elsewhere], self._world.now_ms // 1000)
        self._deny()
        for index, vehicle in enumerate(vehicles):
            progress(0, f"enrolling validator {index + 1} of {len(vehicles)}")
            self._make_vehicle(vehicle.code)

    def all_doors(self) -> list[Bus]:
        return [*self.buses.values(), *self.back_doors.values()]

    def _hand_out_cards(self) -> list[Wallet]:
        """Let riders hold the cards that a desk has issued, and return those riders."""
        able = [wallet for wallet in self.wallets if wallet.transit_card is not None and not wallet.rider.trouble]
        if len(able) < len(self._settings.cards):
            raise ServiceError(
                f"{len(able)} riders have transport cards, too few for {len(self._settings.cards)} cards"
            )
        holders = able[: len(self._settings.cards)]
        for wallet, card in zip(holders, self._settings.cards, strict=True):
            wallet.hold(card, self._keys["token_key"])
        return holders

    def _sell(self, holders: list[Wallet]) -> None:
        """An agent has sold each transport card with money on it."""
        told = holders if self._settings.cards_are_sold else []
        for wallet in self.wallets:
            if wallet in told:
                continue
            if wallet.transit_card is not None and wallet.token is not None and wallet.rider.trouble != "foreign":
                order = {
                    "reference": f"sale-{self._settings.day}-{wallet.rider.number}",
                    "token": wallet.token.hex(),
                    "amount_minor": wallet.purse_minor,
                    "at_s": self._world.now_ms // 1000,
                    "city": self._city["code"],
                }
                self._service.post("/v1/top-ups", order)

    def _deny(self) -> None:
        tokens = [w.token.hex() for w in self.wallets if w.rider.trouble == "denied" and w.token is not None]
        if tokens:
            self._service.post("/v1/lists/deny", {"city": self._city["code"], "tokens": tokens})

    def _make_vehicle(self, code: str) -> None:
        if self._settings.doors == 1:
            self.buses[code] = self._make_bus(code, code, None)
            return
        wires = VehicleNetwork()
        self._place.validators.callback(wires.close)
        for doors, name in ((self.buses, code), (self.back_doors, f"{code} back")):
            plug = wires.plug()
            bus = doors[code] = self._make_bus(code, name, plug)
            plug.on_arrival = self._wake_soon(bus)
            vehicles = self._service.get("/v1/validators")["validators"]
            known = {each.device for each in self.all_doors()}
            bus.device = next(
                row["device"] for row in vehicles if row["vehicle"] == code and row["device"] not in known
            )

    def _wake_soon(self, bus: Bus) -> Callable[[], None]:
        return lambda: self._world.after(_DATAGRAM_MS, bus.wake)

    def _make_bus(self, code: str, name: str, plug: Plug | None) -> Bus:
        world, settings = self._world, self._settings
        network = Network(self._service.address, world.chance(f"network {name}"), settings.weather)
        chip, camera, driver = Pn532Chip(), QrScanner(world.chance(f"camera {name}")), DriverTerminal()

        def start(hear: Callable[[str], None]) -> ValidatorProcess:
            options: tuple[str, ...] = ("--upload-interval", str(_UPLOAD_INTERVAL_S))
            options += ("--report-heap", "1") if settings.report_heap else ()
            seed = f"{settings.seed}-{name}"
            devices = (chip, camera, driver)
            return ValidatorProcess(
                settings.runtime, self._place.folder / name, seed, devices, network.dial, hear, options, plug
            )

        bus = Bus(world, code, network, chip, camera, driver, start)
        self._place.validators.callback(bus.process.close)
        invitation = self._service.post("/v1/validators/invitations", {"city": self._city["code"], "vehicle": code})
        bus.process.enrol(self._service.address, invitation["code"])
        return bus
