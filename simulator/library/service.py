"""The clearing service in somebody's test: the real command on a database of its own, its clock in the test's hands."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from simulator.card_authorities import authorities_as_json
from simulator.keys import read_keys, write_keys
from simulator.service import ClockFile, Service, ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CITY = "almaty"
# Wednesday 15 May 2024, 08:00 in Almaty.
START_MS = 1_715_742_000_000
_SEED = 1
# A service day begins and ends at three in the morning.
_BOUNDARY = time(3)
_FARES_A_PAGE = 5000


class Office:
    """A home folder with keys, a database at its newest schema and an administrator's token: copied for each test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        write_keys(home, _SEED)
        process = ServiceProcess(home, "--port", "0", database_url=_database(home))
        try:
            issued = process.command("token", "issue", "test", "--role", "administrator", "--json")
        finally:
            process.stop()
        self.token: str = issued["token"]


def _database(home: Path) -> str:
    return f"sqlite:///{home / 'jolaqy.db'}"


class ClearingService:
    """A running clearing service.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
        token: an administrator's API token, for the header `Authorization: Bearer …`.
        city: code of the one city that the buses drive in.
        keys: the city's secret keys by name, as its card bureau has them.
    """

    def __init__(self, office: Office, folder: Path) -> None:
        home = shutil.copytree(office.home, folder / "home")
        self.clock = ClockFile(folder / "clock", START_MS)
        self._process = ServiceProcess(
            home, "--port", "0", "--clock-file", str(self.clock.path), database_url=_database(home)
        )
        self.url = self._process.url
        self.token = office.token
        self.city = CITY
        self.keys = read_keys(home)
        self._http = Service(self.url, self.token)
        self.post("/v1/card-authorities", authorities_as_json(CITY))
        network = self.get("/v1/network", city=CITY)
        self.city_number: int = network["number"]
        self._zone = ZoneInfo(network["zone"])
        self._closed = ""
        self._now_ms: Callable[[], int] = lambda: START_MS
        self._to_the_depot: Callable[[int], None] = lambda _until_ms: None

    def follow(self, now_ms: Callable[[], int], to_the_depot: Callable[[int], None]) -> None:
        """Take the time from a street; `to_the_depot` ends its day, and lets time pass until a moment."""
        self._now_ms = now_ms
        self._to_the_depot = to_the_depot

    @property
    def address(self) -> tuple[str, int]:
        return self._http.address

    # HTTP.

    def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON that comes of a GET; anything but success raises `simulator.service.ServiceError`."""
        return self._http.get(path, **parameters)

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON that comes of a POST."""
        return self._http.post(path, body)

    @property
    def today(self) -> str:
        """The service day that it is now in the city, `YYYY-MM-DD`."""
        local = datetime.fromtimestamp(self._now_ms() / 1000, UTC).astimezone(self._zone)
        return (local.date() - timedelta(days=local.time() < _BOUNDARY)).isoformat()

    def rides(self, day: str = "") -> list[dict[str, Any]]:
        """Return the cleared rides of a closed day (the one closed last): medium, `charged_minor` and the rest of `/v1/fares`."""
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            page = self.get(
                "/v1/fares", city=CITY, day=day or self._closed or self.today, after=after, limit=_FARES_A_PAGE
            )
            found += page["fares"]
            after = page["next_after"]
        return found

    def close_day(self, day: str = "") -> dict[str, Any]:
        """Close a day (today) and return the close: before that all buses go to the depot, and the night passes."""
        day = day or self.today
        morning = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(4), self._zone)
        self._to_the_depot(int(morning.timestamp()) * 1000)
        closed: dict[str, Any] = self.post("/v1/closes", {"city": CITY, "day": day})
        self._closed = day
        return closed

    def share(self, day: str = "") -> dict[str, Any]:
        """Return the cashless share of a day (the one closed last, or today)."""
        asked = day or self._closed or self.today
        share: dict[str, Any] = self.get("/v1/share", city=CITY, **{"from": asked, "to": asked})["days"][0]
        return share

    def ledger_faults(self) -> list[str]:
        """Return what is wrong with the books: nothing, if each rule is kept and all postings sum up to zero."""
        balance = self.get("/v1/ledger/trial-balance", city=CITY)
        faults: list[str] = balance["faults"]
        return faults + (["the books do not balance"] if balance["imbalance_minor"] else [])

    def deny(self, token: str) -> None:
        """Put a medium on the deny list, by its token; buses learn of it at their next sync."""
        self.post("/v1/lists/deny", {"city": CITY, "tokens": [token]})

    def stop(self) -> None:
        self._http.close()
        self._process.stop()
