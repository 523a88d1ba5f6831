"""What all counterparties that take riders' money share: a page from which their statements are fetched, chance, and the truth.

Chance depends on the seed and on what it is about, never on the order of requests. What a party did wrong on purpose it keeps in
`injected`, so that a simulation can compare it with the breaks that reconciliation has found; `kind` is the cause that
reconciliation should give.
"""

from __future__ import annotations

import hmac
import json
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from simulator.counterparties.acquirer_statement import Injected
from simulator.counterparties.chance import comes_up

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

_PAGE = "/statements/"


class Party(ABC):
    """A counterparty with a page of its own on loopback: `GET /statements/DAY`.

    Attributes:
        address: host and port, once it was started.
    """

    content_type = "text/csv"

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._injected: dict[tuple[str, str], Injected] = {}
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        assert self._server is not None, "it was not started"
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    @property
    def injected(self) -> list[Injected]:
        """The differences that were made so far, in order."""
        return [self._injected[key] for key in sorted(self._injected)]

    def inject(self, kind: str, reference: str, day: str, amount_minor: int) -> None:
        """Keep in mind that something is wrong on purpose."""
        self._injected[kind, reference] = Injected(kind, reference, day, amount_minor)

    def happens(self, habit: str, probability: float, about: str) -> bool:
        """Whether a habit shows, about something."""
        return comes_up(f"{self._seed}/{type(self).__name__}/{habit}/{about}", probability)

    @abstractmethod
    def statement(self, day: str) -> bytes:
        """What it says of a day."""


class Sender:
    """How a party speaks to the clearing service: with its token, and signed with its key.

    Attributes:
        posts: requests made, repetitions included.
    """

    def __init__(
        self, http: httpx.Client, token: str, now_ms: Callable[[], int], key: int = 0, secret: bytes = b""
    ) -> None:
        self._http = http
        self._token = token
        self._now_ms = now_ms
        self._key = key
        self._secret = secret
        self.posts = 0

    def now_s(self) -> int:
        return self._now_ms() // 1000

    def post(self, path: str, body: object) -> tuple[int, Any]:
        """Status and answer."""
        self.posts += 1
        content = json.dumps(body, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._token}"}
        if self._secret:
            headers |= self._signature(path, content)
        answer = self._http.post(path, content=content, headers=headers)
        return answer.status_code, answer.json()

    def get(self, path: str, **parameters: str) -> tuple[int, Any]:
        answer = self._http.get(path, params=parameters, headers={"authorization": f"Bearer {self._token}"})
        return answer.status_code, answer.json()

    def _signature(self, path: str, content: bytes) -> dict[str, str]:
        head = f"JOLAQY channel/1\nPOST {path}\n{self._key}\n{self.now_s()}\n".encode()
        signature = hmac.digest(self._secret, head + content, "sha256").hex()
        return {
            "x-jolaqy-key": str(self._key),
            "x-jolaqy-time": str(self.now_s()),
            "x-jolaqy-signature": signature,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, party: Party) -> None:
        self.party = party
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Hands statements out."""

    server: _Server

    def do_GET(self) -> None:
        day = self.path.removeprefix(_PAGE)
        is_known = self.path.startswith(_PAGE) and len(day) == 10
        body = self.server.party.statement(day) if is_known else b""
        self.send_response(200 if is_known else 404)
        self.send_header("Content-Type", self.server.party.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        """Say nothing."""


def tenge(amount_minor: int, decimal: str = ".") -> str:
    """An amount as statements have it."""
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{abs(amount_minor) // 100}{decimal}{abs(amount_minor) % 100:02d}"
