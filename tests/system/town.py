"""A city's day for tests: played in a folder of its own, with every byte kept that passes between buses and service."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.day import CITY, Day, Settings
from simulator.keys import read_keys, write_keys
from simulator.service import ClockFile, Service, ServiceProcess

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.day import Report
    from simulator.wallet import Wallet


class Wire:
    """A relay on loopback that keeps what passes.

    Attributes:
        address: where it listens.
        passed: every piece, of both directions.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.passed: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._relay, args=(far, near), daemon=True)
            back.start()
            self._relay(near, far)
            back.join()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                self.passed.append(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the other side had enough

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class WatchedService(Service):
    """A service whose validators are on a wire that is watched; who asks by HTTP is not."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.wire = Wire(super().address)

    @property
    def address(self) -> tuple[str, int]:
        return self.wire.address

    def close(self) -> None:
        self.wire.close()
        super().close()


@dataclass(frozen=True)
class Played:
    """A day that is over.

    Attributes:
        home: folder of the service: database, keys, log.
        validators: folder of the validators: flash, identity, complaints.
        wire: what passed between validators and service.
        spoken: what the validators said on the channel for whoever holds the board.
        wallets: what the riders held.
        fleet, balances: validators and accounts, as the service sees them in the end.
    """

    report: Report
    home: Path
    validators: Path
    wire: bytes
    spoken: str
    wallets: list[Wallet]
    fleet: list[dict[str, Any]]
    balances: dict[str, int]


def play(folder: Path, settings: Settings) -> Played:
    """Play a day; its service is stopped in the end, its files stay."""
    home, validators = folder / "home", folder / "validators"
    home.mkdir(parents=True)
    write_keys(home, settings.seed)
    clock = ClockFile(folder / "clock", 0)
    with ExitStack() as stack:
        database_url = f"sqlite:///{home / 'jolaqy.db'}"
        process = ServiceProcess(home, "--port", "0", "--clock-file", str(clock.path), database_url=database_url)
        stack.callback(process.stop)
        token = process.command("token", "issue", "test", "--role", "administrator", "--json")["token"]
        service = WatchedService(process.url, token)
        stack.callback(service.close)
        day = Day(settings, service, clock, read_keys(home), validators, lambda _part, _text: None)
        report = day.run()
        trial_balance = service.get("/v1/ledger/trial-balance", city=CITY)["balances"]
        return Played(
            report,
            home,
            validators,
            b"".join(service.wire.passed),
            "\n".join(line for bus in day.buses.values() for line in bus.process.log),
            day.wallets,
            service.get("/v1/validators")["validators"],
            {row["account"]: row["amount_minor"] for row in trial_balance},
        )
