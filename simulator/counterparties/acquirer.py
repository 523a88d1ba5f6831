"""An acquirer, which alone can open what validators seal for it, and the facility that puts its keys into them.

Its base key is made up and named as such: it protects nothing. `Acquirer` serves it on loopback:

    POST /v1/operations            {"reference", "kind", "amount_minor", "currency", "original", "liability", "sealed"}
    GET  /v1/operations/REFERENCE  what became of it; 404 when it was never heard of

The kinds are `verify`, `authorise`, `capture`, `refund`. Answers are `{"reference", "status", "amount_minor", "currency",
"acquirer_reference", "code"}`, 202 while the status is `pending`; 400 for what is no request, 409 for a reference that was used
for something else. What it does and how badly is in `acquirer_book`; a simulation compares `injected` with what was found.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from firmware.acquirer_keys import FILE
from firmware.boards.crypto_cpython import Aes
from protocol.cards.acquirer_blob import key_id_of, open_blob
from protocol.cards.dukpt import KEY_ID_BYTES, derive_initial_key
from protocol.cards.tlv import parse
from protocol.errors import CardError
from simulator.counterparties.acquirer_book import AcquirerBook, Habits, Operation, ReusedError, Terms
from simulator.counterparties.acquirer_statement import Statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.counterparties.acquirer_statement import Injected

_BASE_KEY = hashlib.sha256(b"jolaqy test base key of a simulated acquirer").digest()[:16]
# Base key id (4 bytes) and derivation id (4 bytes), which names the terminal.
_BASE_KEY_ID = bytes.fromhex("99999901")


def initial_key(terminal: str) -> bytes:
    """Return what is put into a terminal of that name: key id (8 bytes) and initial key (16)."""
    key_id = _BASE_KEY_ID + hashlib.sha256(terminal.encode()).digest()[:4]
    return key_id + derive_initial_key(Aes(), _BASE_KEY, key_id)


def put_key_into(state: Path, terminal: str) -> None:
    """Put a key into a new validator whose state is in that folder; one that it has is kept."""
    path = state / FILE
    if not path.exists():
        path.write_bytes(initial_key(terminal))


def open_for_authorisation(blob: bytes) -> dict[int, bytes]:
    """Return the data objects in a blob, by tag.

    Raises:
        CardError: it was not sealed by a terminal of this acquirer, or was changed.
    """
    key_id = key_id_of(blob)
    if len(key_id) != KEY_ID_BYTES:
        raise CardError("not an acquirer's blob")
    key = derive_initial_key(Aes(), _BASE_KEY, key_id)
    return dict(parse(open_blob(Aes(), key, blob)))


_KINDS = frozenset({"verify", "authorise", "capture", "refund"})
_TEXTS = ("reference", "kind", "currency", "original", "liability", "sealed")
_PATH = "/v1/operations"
_BODY_BYTES_MAX = 16_384
_STALL_S_MAX = 60.0


class Acquirer:
    """A running acquirer.

    Attributes:
        book: what it knows; to be looked at while nothing is under way.
        is_stalling: it accepts requests and does not answer, until this is taken back or it is closed.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        seed: int = 1,
        habits: Habits | None = None,
        terms: Terms | None = None,
        token: str = "",
    ) -> None:
        self.book = AcquirerBook(now_ms, open_for_authorisation, seed, habits or Habits(), terms or Terms())
        self.is_stalling = False
        self._statements = Statements(self.book)
        self._token = token
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def injected(self) -> list[Injected]:
        """The differences in the statements that were asked for so far."""
        with self._turn:
            return self._statements.injected

    def statement(self, day: str) -> bytes:
        """The settlement file of a day."""
        with self._turn:
            return self._statements.statement(day)

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """Status and body of the answer to a request; nothing when it, or its answer, is lost."""
        if self._token and authorization != f"Bearer {self._token}":
            return 401, {"error": "nobody is known by this token"}
        if self.is_stalling:
            self._closing.wait(_STALL_S_MAX)
            return None
        with self._turn:
            if method == "GET" and path.startswith(_PATH + "/"):
                return self._find(path.removeprefix(_PATH + "/"))
            if method == "POST" and path == _PATH:
                return self._do(body)
        return 404, {"error": "there is no such page"}

    def _find(self, reference: str) -> tuple[int, dict[str, Any]]:
        operation = self.book.operations.get(reference)
        return (404, {"error": "never heard of"}) if operation is None else self._shown(operation)

    def _do(self, body: bytes) -> tuple[int, dict[str, Any]] | None:
        asked = _read(body)
        if asked is None:
            return 400, {"error": "no request"}
        reference = asked["reference"]
        times = self.book.sent[reference] = self.book.sent.get(reference, 0) + 1
        if self.book.happens("lose_request", f"{reference}/{times}"):
            return None
        try:
            operation = self.book.do(asked, base64.b64decode(asked["sealed"], validate=True))
        except binascii.Error:
            return 400, {"error": "what was sealed is no base64"}
        except ReusedError:
            return 409, {"error": "the reference was used for something else"}
        return None if self.book.happens("lose_answer", f"{reference}/{times}") else self._shown(operation)

    def _shown(self, operation: Operation) -> tuple[int, dict[str, Any]]:
        is_pending = operation.hidden > 0
        operation.hidden -= is_pending
        return 202 if is_pending else 200, {
            "reference": operation.reference,
            "status": "pending" if is_pending else operation.status,
            "amount_minor": operation.amount_minor,
            "currency": self.book.terms.currency,
            "acquirer_reference": operation.acquirer_reference,
            "code": "" if is_pending else operation.code,
        }


def _read(body: bytes) -> dict[str, Any] | None:
    """A request, if it is one."""
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    if not isinstance(asked, dict) or set(asked) != {*_TEXTS, "amount_minor"}:
        return None
    amount = asked["amount_minor"]
    is_well_formed = all(isinstance(asked[name], str) for name in _TEXTS) and type(amount) is int and amount >= 0
    return asked if is_well_formed and asked["kind"] in _KINDS and asked["reference"] else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, acquirer: Acquirer) -> None:
        self.acquirer = acquirer
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on, and drops the connection where an answer is lost."""

    protocol_version = "HTTP/1.1"
    timeout = _STALL_S_MAX
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _BODY_BYTES_MAX:
            self.close_connection = True
            return
        body, authorization = self.rfile.read(int(length)), self.headers.get("Authorization", "")
        answer = self.server.acquirer.answer(self.command, self.path, authorization, body)
        if answer is None:
            self.close_connection = True
            return
        status, value = answer
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        """Say nothing: what is asked holds what no log may hold."""
