"""The network between one validator and the service, in process: it carries real HTTP bytes, and does to them what networks do.

A request may be lost, cut, changed, delivered twice, or so late that the device has sent another one meanwhile; so may an answer.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

from clearing.checkpoint import NAMES as CRASH_POINTS
from simulator.network import request_bytes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulator.chaos.attacker import Attacker
    from simulator.chaos.office import Office
    from simulator.chaos.schedule import Faults
    from simulator.world import World

_WAY_MS = (20, 400)
_LATE_MS = (21_000, 90_000)
_REPEATED_MS = (1, 60_000)
_MINUTE_MS = 60_000
_BUNDLE = b"GET /v1/key-bundles/"
_REQUESTS_A_MINUTE_MAX = 60


class Connection:
    """A validator's connection, as its `Port`.

    Attributes:
        closed: nothing more will come.
        is_given_up: the validator has closed its end.
    """

    def __init__(self, carry: Callable[[Connection, bytes], None]) -> None:
        self._carry = carry
        self._request = b""
        self._is_sent = False
        self._waiting = b""
        self.closed = False
        self.is_given_up = False

    def has_data(self) -> bool:
        return bool(self._waiting) or self.closed

    def read(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        self._request += data
        size = request_bytes(self._request)
        if not self._is_sent and size is not None and len(self._request) >= size:
            self._is_sent = True
            self._carry(self, self._request)

    def close(self) -> None:
        self.is_given_up = True

    def deliver(self, answer: bytes) -> None:
        """Let an answer arrive, and the connection end."""
        self._waiting += answer
        self.closed = True


class Network:
    """What one vehicle has of the network.

    Attributes:
        covered: False in a tunnel: nothing can be dialled.
        requests: how many were sent.
        on_flood: told when there are too many.
        on_arrival: told each answer that reaches the validator.
    """

    def __init__(
        self,
        world: World,
        name: str,
        office: Office,
        faults: Faults,
        attacker: Attacker,
        wake: Callable[[], None],
        trace: Callable[[str], None],
    ) -> None:
        self._world = world
        self._name = name
        self._office = office
        self._faults = faults
        self._attacker = attacker
        self._wake = wake
        self._trace = trace
        self._chance = world.chance(f"network {name}")
        self.covered = True
        self.requests = 0
        self.on_flood: Callable[[str], None] = lambda _: None
        self.on_arrival: Callable[[bytes], None] = lambda _: None
        self._recent: deque[int] = deque(maxlen=_REQUESTS_A_MINUTE_MAX)

    def dial(self) -> Connection:
        if not self.covered:
            raise OSError("no network")
        return Connection(self._carry)

    def _carry(self, connection: Connection, request: bytes) -> None:
        self.requests += 1
        now_ms = self._world.now_ms
        if len(self._recent) == _REQUESTS_A_MINUTE_MAX and now_ms - self._recent[0] < _MINUTE_MS:
            self.on_flood(f"{self._name}: more than {_REQUESTS_A_MINUTE_MAX} requests in a minute")
        self._recent.append(now_ms)
        strike = self._faults.strike
        self._trace(f"{self._name} sends {_digest(request)}")
        way_ms = self._chance.randrange(*_WAY_MS)
        if chance := strike("repeat_request"):
            self._world.after(chance.randrange(*_REPEATED_MS), lambda: self._deliver(None, request))
        if strike("lose_request"):
            return
        if chance := strike("cut_request"):
            request = request[: chance.randrange(len(request))]
        elif chance := strike("flip_request"):
            request = _flip(request, chance)
        if chance := strike("slow_request"):
            way_ms += chance.randrange(*_LATE_MS)
        self._world.after(way_ms, lambda: self._deliver(connection, request))

    def _deliver(self, connection: Connection | None, request: bytes) -> None:
        """The request is there; its answer goes back, unless nobody waits for it."""
        if connection is not None:
            swallowed = self._attacker.answer_instead(self._name, request)
            if swallowed is not None:
                self._send_back(connection, swallowed)
                return
        answer = self._ask(request)
        if answer is not None and connection is not None:
            self._attacker.record(self._name, request, answer)
            self._send_back(connection, self._attacker.tamper(self._name, request, answer))

    def _ask(self, request: bytes) -> bytes | None:
        office, strike = self._office, self._faults.strike
        if chance := strike("crash"):
            office.crash_at = chance.choice(CRASH_POINTS)
        office.is_busy = strike("busy") is not None
        office.is_overloaded = strike("overloaded") is not None
        answer = office.handle(request)
        office.crash_at = None
        # A key bundle is wrapped under a random key: of it, only the size is the same twice.
        told = answer if answer is None or not request.startswith(_BUNDLE) else bytes(len(answer))
        self._trace(f"{self._name} is answered {'nothing' if told is None else _digest(told)}")
        return answer

    def _send_back(self, connection: Connection, answer: bytes) -> None:
        strike = self._faults.strike
        way_ms = self._chance.randrange(*_WAY_MS)
        if strike("lose_answer"):
            return
        if chance := strike("cut_answer"):
            answer = answer[: chance.randrange(len(answer) + 1)]
        elif chance := strike("flip_answer"):
            answer = _flip(answer, chance)
        if chance := strike("slow_answer"):
            way_ms += chance.randrange(*_LATE_MS)
        self._world.after(way_ms, lambda: self._arrive(connection, answer))

    def _arrive(self, connection: Connection, answer: bytes) -> None:
        if not connection.is_given_up:
            self.on_arrival(answer)
            connection.deliver(answer)
            self._wake()


def _flip(message: bytes, chance: random.Random) -> bytes:
    if not message:
        return message
    place = chance.randrange(len(message))
    return message[:place] + bytes((message[place] ^ 1 << chance.randrange(8),)) + message[place + 1 :]


def _digest(message: bytes) -> str:
    return hashlib.sha256(message).hexdigest()[:12]
