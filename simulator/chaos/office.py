"""The back office in process: production receiver and database behind real HTTP bytes; it crashes, is busy, is restored.

What is durable is read back on a connection of its own, which sees what was committed and nothing else.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from clearing import checkpoint
from clearing.cose_response import hint, signed
from clearing.database import Database
from clearing.fleet.documents import DENY_LIST, FARE_TABLE, find_document
from clearing.fleet.enrolment import enrol
from clearing.fleet.kept_lists import find_delta, find_part
from clearing.fleet.key_bundles import issue_key_bundle
from clearing.fleet.key_sets import find_key_set
from clearing.fleet.service import UnattributedError
from clearing.ingest.receiver import RETRY_WHEN_BUSY_S
from clearing.schema import migrate
from protocol.ack import STATUS_BAD_COSE, STATUS_BUSY
from simulator.network import request_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.responses import Response

    from clearing.fleet.keys import KeyStore
    from clearing.ingest.receiver import Answer, Receiver
    from simulator.chaos.parts import OfficeParts
    from simulator.world import World

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
_PLAIN = re.compile(r"/v1/(fare-tables|lists/deny)/([0-9]{1,9})")
_PART = re.compile(r"/v1/lists/deny/([0-9]{1,9})/([0-9]{1,9})")
_DELTA = re.compile(r"/v1/lists/deny/([0-9]{1,9})/from/([0-9]{1,9})")
_KEY_SET = re.compile(r"/v1/key-sets/([0-9]{1,9})\?city=([a-z-]+)")
_KEY_BUNDLE = re.compile(r"/v1/key-bundles/([0-9a-f]{32})/([0-9]{1,9})")


@lru_cache(maxsize=8)
def _database(path: Path) -> Database:
    """The database at a path; what its engine has compiled is kept for the next process of the service, and the next schedule."""
    return Database(f"sqlite:///{path}", lock_timeout_ms=0)


class ServerCrash(BaseException):
    """The service's process is gone; nothing in it may catch this."""


class WorldClock:
    """The service's clock shows the world's time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_ms(self) -> int:
        return self._world.now_ms


class Office:
    """The service on its database.

    Attributes:
        crash_at: name of the checkpoint at which it crashes next; None for never.
        is_busy: somebody else holds the database's lock.
        is_overloaded: it answers that it is busy before it looks at a message.
        is_down: it has crashed and not started again.
        crashes, restores: how often.
        failures: errors that were not answered as they should be.
        on_answer: told every answer, before it is sent.
        parts: what it is made of.
    """

    def __init__(self, world: World, database: Path, keys: KeyStore, parts: OfficeParts) -> None:
        self.path = database
        self.keys = keys
        self.clock = WorldClock(world)
        self.crash_at: str | None = None
        self.is_busy = False
        self.is_overloaded = False
        self.is_down = False
        self.crashes = 0
        self.restores = 0
        self.failures: list[str] = []
        self.on_answer: Callable[[bytes | None], None] = lambda _: None
        self.parts = parts
        self._backup = b""
        self.start()

    # Its life.

    def start(self) -> None:
        """Start the service's process."""
        self.database = _database(self.path)
        self.receiver: Receiver = self.parts.receiver(self.database, self.keys, self.clock)
        self.is_down = False

    def stop(self) -> None:
        self.database.close()

    def remove(self) -> None:
        """Remove the database."""
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def crash(self) -> None:
        """The process is gone; what was not committed is gone with it."""
        self.crashes += 1
        self.is_down = True
        self.stop()

    def back_up(self) -> None:
        """Copy the database while it is used."""
        with closing(sqlite3.connect(self.path)) as source:
            self._backup = source.serialize()

    def restore(self) -> bool:
        """Replace the database by its last copy; False when there is none."""
        if not self._backup:
            return False
        self.restores += 1
        self.stop()
        self.remove()
        self.path.write_bytes(self._backup)
        self.start()
        return True

    def migrate(self) -> None:
        migrate(self.database)

    # Its work.

    def handle(self, request: bytes) -> bytes | None:
        """Answer an HTTP request, or crash."""
        if self.is_down:
            return None
        try:
            with checkpoint.watched(self._pass):
                answer = self._answer(request)
        except ServerCrash:
            answer = None
        if self.crash_at == "":
            self.crash()
        self.crash_at = None
        self.on_answer(answer)
        return answer

    def _answer(self, request: bytes) -> bytes:
        if not self.is_busy:
            return self._route_or_fail(request)
        with closing(sqlite3.connect(self.path, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            return self._route_or_fail(request)

    def _route_or_fail(self, request: bytes) -> bytes:
        try:
            return self._route(request)
        except Exception as error:  # noqa: BLE001 - what the server in front of the application does, too
            self.failures.append(f"{type(error).__name__}: {error}")
            return _FAILED

    def _pass(self, name: str) -> None:
        if name == self.crash_at:
            self.crash_at = ""
            raise ServerCrash(name)

    def _route(self, request: bytes) -> bytes:
        try:
            size = request_bytes(request)
        except ValueError:
            return _BAD_REQUEST
        if size is None or len(request) < size:
            return b""  # the connection ended in mid-request
        head, _, body = request.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3:
            return _NOT_FOUND
        method, path = words[0], words[1]
        takers = {
            b"/v1/batches": self.receiver.receive,
            b"/v1/rotations": self.receiver.rotate,
            b"/v1/retirements": self.receiver.retire,
        }
        if method == b"POST" and path in takers:
            return self._receive(takers[path], body)
        if method == b"POST" and path == b"/v1/enrolments":
            return self._enrol(body)
        if method != b"GET":
            return _NOT_FOUND
        try:
            found = self._find(path.decode("latin-1"))
        except OperationalError:
            return _FAILED  # somebody holds the lock
        return _NOT_FOUND if found is None else _http(signed(found))

    def _receive(self, take: Callable[[bytes], Answer], message: bytes) -> bytes:
        if self.is_overloaded:
            return _http(hint(STATUS_BUSY, RETRY_WHEN_BUSY_S))
        answer = take(message)
        return _http(signed(answer.body) if answer.is_ack else hint(answer.status, answer.retry_after_s))

    def _enrol(self, message: bytes) -> bytes:
        try:
            with self.database.writing() as session:
                body = enrol(session, self.keys, message, self.clock.now_ms())
        except UnattributedError as error:
            return _http(hint(error.status or STATUS_BAD_COSE))
        return _http(signed(body))

    def _find(self, path: str) -> bytes | None:
        """The document at a path."""
        if match := _KEY_BUNDLE.fullmatch(path):
            with self.database.writing() as session:
                device = bytes.fromhex(match[1])
                return issue_key_bundle(session, self.keys, device, int(match[2]), self.clock.now_ms())
        with self.database.reading() as session:
            if match := _KEY_SET.fullmatch(path):
                issued = find_key_set(session, int(match[1]), match[2])
                return None if issued is None else issued.body
            if match := _DELTA.fullmatch(path):
                return find_delta(session, DENY_LIST, int(match[1]), int(match[2]))
            if match := _PART.fullmatch(path):
                return find_part(session, DENY_LIST, int(match[1]), int(match[2]))
            if match := _PLAIN.fullmatch(path):
                kind = FARE_TABLE if match[1] == "fare-tables" else DENY_LIST
                document = find_document(session, kind, int(match[2]))
                return None if document is None else document.body
        return None


def _http(response: Response) -> bytes:
    """The bytes of an answer, as the server in front of the application sends them."""
    headers = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
    return f"HTTP/1.1 {response.status_code} -\r\n".encode() + headers + b"\r\n" + bytes(response.body)
