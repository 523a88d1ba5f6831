"""The back office of one city for a week: the real service on a database of its own, its clock in the simulation's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from simulator.card_authorities import authorities_as_json
from simulator.counterparties.party import Sender
from simulator.keys import read_keys, write_keys
from simulator.service import ClockFile, Service, ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Wednesday 15 May 2024, 08:00 in the city.
START_MS = 1_715_742_000_000
_FIRST_MORNING = "2024-05-15T03:00+00:00"
_HEADER_AND_TOTAL_LINES = 2


class CityOffice:
    """A running clearing service with one city loaded.

    Attributes:
        city, city_number: of the city.
        clock: the service's.
        keys: the city's secret keys, as its card bureau has them.
        network: carriers, routes and vehicles, as the service tells them.
    """

    def __init__(self, home: Path, city: str, seed: int, database_url: str = "") -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_keys(home, seed)
        self.city = city
        self.keys = read_keys(home)
        self.clock = ClockFile(home / "clock", START_MS)
        url = database_url or f"sqlite:///{home / 'jolaqy.db'}"
        self._process = ServiceProcess(home, "--port", "0", "--clock-file", str(self.clock.path), database_url=url)
        try:
            # As of the first morning: what validators are given is signed then, and holds from then on.
            self.command("db", "migrate", "--city", city, "--as-of", _FIRST_MORNING, "--json")
            self.token = self._token("week", "administrator")
            self._approver = self._token("second person", "approver")
            self._http = Service(self._process.url, self.token)
            self._senders = httpx.Client(base_url=self._process.url, timeout=60.0, trust_env=False)
            self.post("/v1/card-authorities", authorities_as_json(city))
            self.network: dict[str, Any] = self.get("/v1/network", city=city)
        except BaseException:
            self._process.stop()
            raise
        self.city_number = int(self.network["number"])
        self._now_ms: Callable[[], int] = lambda: START_MS

    def follow(self, now_ms: Callable[[], int], _to_the_depot: Callable[[int], None]) -> None:
        """Take the time from a street."""
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms()

    @property
    def address(self) -> tuple[str, int]:
        return self._http.address

    def command(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a `jolaqy` command on the same database; return the JSON that it prints."""
        return self._process.command(*arguments)

    def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        return self._http.get(path, **parameters)

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        return self._http.post(path, body)

    def bring(self, file: bytes, adapter: str) -> None:
        """Bring a counterparty's statement; a day without anything has no file."""
        if b"<Ntry>" not in file and file.count(b"\n") <= _HEADER_AND_TOTAL_LINES:
            return
        asked = {"city": self.city, "adapter": adapter}
        headers = {"authorization": f"Bearer {self.token}"}
        answer = self._senders.post("/v1/statements", content=file, params=asked, headers=headers)
        assert answer.status_code == 201, answer.text

    def decide(self, path: str, *, approve: bool) -> None:
        """Decide, as a second person, what somebody has asked for."""
        headers = {"authorization": f"Bearer {self._approver}"}
        answer = self._senders.post(path, json={"approve": approve}, headers=headers)
        assert answer.is_success, answer.text

    def _token(self, name: str, role: str) -> str:
        issued = self.command("token", "issue", name, "--role", role, "--json")
        return str(issued["token"])

    def sender(self, party: str, role: str, *, signed: bool = True) -> Sender:
        """How a counterparty of the city speaks to the service: under its code, with a key of its own where it signs."""
        token = self._token(party, role)
        if not signed:
            return Sender(self._senders, token, self.now_ms)
        key = self.post("/v1/channel-keys", {"name": party})
        return Sender(self._senders, token, self.now_ms, key["number"], bytes.fromhex(key["secret"]))

    def stop(self) -> None:
        self._senders.close()
        self._http.close()
        self._process.stop()
