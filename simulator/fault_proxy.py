"""A TCP proxy on loopback, between validators and the service, that does to connections what mobile networks do to them.

One fault befalls a connection, or none. Which one is drawn from the seed and the connection's number alone, so that the n-th
connection fares the same in every run. Time is the wall's: for virtual time there is `simulator.network`.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    Rates = Mapping[str, float]

FAULTS = {
    "drop": "the connection is closed as soon as it is open",
    "reset": "it is reset: before the service saw the request, or after it answered",
    "delay": "request and answer come late",
    "cut_request": "the service sees the beginning only",
    "cut_answer": "the validator sees the beginning only",
    "drip": "bytes come a few at a time",
    "half_open": "it is accepted, and nobody is behind it",
    "mute": "the service does its work, its answer is lost, and the connection stays open",
    "garbage": "noise comes instead of the answer",
}
CALM: Rates = {}
BAD: Rates = dict.fromkeys(FAULTS, 0.05)
_CARRIED = "carried"
_UNREACHABLE = "unreachable"
_READ_BYTES = 65536
# A request is over when nothing more comes for so long: no HTTP is read here.
_QUIET_S = 0.05
_DELAY_S = (0.05, 1.5)
_DRIP_S = 0.002
_DRIP_BYTES = 32
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class RatesError(ValueError):
    """Rates of faults cannot be meant so."""


def parse_rates(text: str) -> Rates:
    """Return rates written as `drop=0.05,reset=0.1`; empty is none.

    Raises:
        RatesError: an unknown fault, no probability, or more than 1 together.
    """
    rates: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            rates[name] = float(value)
        except ValueError:
            raise RatesError(f"{part} is no rate: write {name}=0.05") from None
    check_rates(rates)
    return rates


def check_rates(rates: Rates) -> None:
    """Raise RatesError on an unknown fault, on what is no probability, and on more than 1 together."""
    for name, rate in rates.items():
        if name not in FAULTS:
            raise RatesError(f"no fault {name}: there are {', '.join(FAULTS)}")
        if not 0 <= rate <= 1:
            raise RatesError(f"{name}={rate:g} is no probability")
    if sum(rates.values()) > 1:
        raise RatesError("the rates are more than 1 together")


class _End:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self) -> bytes:
        return await self._reader.read(_READ_BYTES)

    async def request(self) -> bytes:
        """Read until nothing more comes for a while."""
        data = b""
        while piece := await self._read_unless_quiet(None if not data else _QUIET_S):
            data += piece
        return data

    async def _read_unless_quiet(self, timeout_s: float | None) -> bytes:
        try:
            return await asyncio.wait_for(self.read(), timeout_s)
        except TimeoutError:
            return b""

    async def rest(self) -> bytes:
        """Read until the other side closes."""
        return await self._reader.read()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end_writing(self) -> None:
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def reset(self) -> None:
        """Let the other side see a connection that was reset."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()


class FaultProxy:
    """The proxy; `async with` runs it.

    Attributes:
        target: where the service is now; None while there is none.
        rates: probability of each fault for one connection; may be changed at any time.
        address: where it listens, once it does.
        connections: accepted so far.
        counts: how often each fault struck, and how many connections were carried, or found no service.
    """

    def __init__(self, target: tuple[str, int] | None, seed: int, rates: Rates, port: int = 0) -> None:
        self.target = target
        self.rates = rates
        self.address = ("127.0.0.1", port)
        self.connections = 0
        self.counts = dict.fromkeys((*FAULTS, _CARRIED, _UNREACHABLE), 0)
        self._seed = seed
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: dict[str, Callable[[random.Random, _End], Awaitable[None]]] = {
            name: getattr(self, f"_{name}") for name in (*FAULTS, _CARRIED)
        }

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def draw(self, number: int) -> tuple[str, random.Random]:
        """Return what befalls the connection of that number, and the chance that says how."""
        chance = random.Random(f"{self._seed} {number}")
        draw = chance.random()
        for name in FAULTS:
            draw -= self.rates.get(name, 0)
            if draw < 0:
                return name, chance
        return _CARRIED, chance

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = _End(reader, writer)
        task = asyncio.get_running_loop().create_task(self._serve(self.connections, near))
        self.connections += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not within the task: one that is cancelled before it began would not close anything.
        task.add_done_callback(lambda _: near.close())

    async def _serve(self, number: int, near: _End) -> None:
        name, chance = self.draw(number)
        self.counts[name] += 1
        try:
            await self._faults[name](chance, near)
        except OSError:
            return  # one of the sides had enough

    # What befalls connections; when it is over, the near side is closed.

    async def _carried(self, _: random.Random, near: _End) -> None:
        await self._relay(near, 0, _READ_BYTES)

    async def _drip(self, _: random.Random, near: _End) -> None:
        await self._relay(near, _DRIP_S, _DRIP_BYTES)

    async def _drop(self, _: random.Random, near: _End) -> None:
        """Do nothing: it is closed."""

    async def _half_open(self, _: random.Random, near: _End) -> None:
        await near.rest()

    async def _mute(self, _: random.Random, near: _End) -> None:
        await self._answer_to(await near.request())
        await near.rest()

    async def _reset(self, chance: random.Random, near: _End) -> None:
        request = await near.request()
        if chance.random() < 0.5:
            await self._answer_to(request)
        near.reset()

    async def _delay(self, chance: random.Random, near: _End) -> None:
        request = await near.request()
        await asyncio.sleep(chance.uniform(*_DELAY_S))
        answer = await self._answer_to(request)
        await asyncio.sleep(chance.uniform(*_DELAY_S))
        await near.write(answer)

    async def _cut_request(self, chance: random.Random, near: _End) -> None:
        request = await near.request()
        far = await self._dial()
        try:
            await far.write(request[: chance.randrange(len(request) or 1)])
        finally:
            far.close()

    async def _cut_answer(self, chance: random.Random, near: _End) -> None:
        answer = await self._answer_to(await near.request())
        await near.write(answer[: chance.randrange(len(answer) or 1)])

    async def _garbage(self, chance: random.Random, near: _End) -> None:
        answer = await self._answer_to(await near.request())
        await near.write(chance.randbytes(len(answer) or 1))

    # The far side.

    async def _dial(self) -> _End:
        try:
            if self.target is None:
                raise ConnectionRefusedError
            return _End(*await asyncio.open_connection(*self.target))
        except OSError:
            self.counts[_UNREACHABLE] += 1
            raise

    async def _answer_to(self, request: bytes) -> bytes:
        """Hand a request over and return all that comes back before the service closes."""
        far = await self._dial()
        try:
            await far.write(request)
            return await far.rest()
        finally:
            far.close()

    async def _relay(self, near: _End, pause_s: float, bytes_max: int) -> None:
        far = await self._dial()
        there = asyncio.ensure_future(_pass_on(near, far, pause_s, bytes_max))
        try:
            await _pass_on(far, near, pause_s, bytes_max)
        finally:
            far.close()
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)


async def _pass_on(source: _End, sink: _End, pause_s: float, bytes_max: int) -> None:
    try:
        while data := await source.read():
            for place in range(0, len(data), bytes_max):
                await sink.write(data[place : place + bytes_max])
                if pause_s:
                    await asyncio.sleep(pause_s)
    finally:
        sink.end_writing()  # however the source ended, the other side must not wait for more


@contextmanager
def proxy_in_thread(target: tuple[str, int] | None, seed: int, rates: Rates) -> Iterator[FaultProxy]:
    """Run a proxy on a thread of its own."""
    proxy = FaultProxy(target, seed, rates)
    is_listening = threading.Event()
    loop = asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def run() -> None:
        async with proxy:
            is_listening.set()
            await is_over.wait()

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=run_loop, name="fault proxy")
    thread.start()
    is_listening.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
