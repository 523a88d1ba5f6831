"""A board on a bench, for both Pythons: virtual time, flash in memory, and ports with somebody at the other end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import p256
from protocol.compat import MICROPYTHON, sha256
from protocol.cose import ec2_key, key_thumbprint
from protocol.tap import CLOCK_SYNCHRONISED
from tests.firmware.ram_flash import RamFlash
from tests.protocol.aes import Aes

if TYPE_CHECKING or not MICROPYTHON:
    from firmware.boards.crypto_cpython import Es256Signer, Es256Verifier, public_point
    from firmware.boards.desktop import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from firmware.boards.board import Signer, Verifier
    from firmware.loop import Loop

# Wednesday 15 May 2024, 08:00 in Almaty.
NOW_S = 1_715_742_000


class BenchPort:
    """One end of a stream.

    Attributes:
        written: what the validator has sent.
        on_write: told each write; may answer with `give`.
        on_rate: told each change of the rate.
        closed: nothing more will come.
    """

    def __init__(self) -> None:
        self.written = b""
        self.on_write: Callable[[bytes], None] | None = None
        self.on_rate: Callable[[int], None] | None = None
        self.closed = False
        self._waiting = b""

    def give(self, data: bytes) -> None:
        self._waiting += data

    def has_data(self) -> bool:
        return bool(self._waiting) or self.closed

    def read(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        self.written += data
        if self.on_write is not None:
            self.on_write(data)

    def set_rate(self, bits_per_s: int) -> None:
        if self.on_rate is not None:
            self.on_rate(bits_per_s)

    def close(self) -> None:
        self.closed = True


class BenchDatagrams:
    """What one validator has of its vehicle's network.

    Attributes:
        others: where its datagrams arrive.
        sent: all that it sent.
    """

    def __init__(self) -> None:
        self.others: list[BenchDatagrams] = []
        self.sent: list[bytes] = []
        self._waiting: list[bytes] = []

    def give(self, datagram: bytes) -> None:
        self._waiting.append(datagram)

    def has_data(self) -> bool:
        return bool(self._waiting)

    def receive(self) -> bytes:
        return self._waiting.pop(0) if self._waiting else b""

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        for other in self.others:
            other.give(data)


class DictStore:
    """Small files.

    Attributes:
        files: by name.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        self.files[name] = data

    def size(self, name: str) -> int | None:
        return len(self.files[name]) if name in self.files else None

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        return self.files[name][offset : offset + count]

    def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self.files[name] = self.files.get(name, b"") + bytes(data)

    def rename(self, name: str, new_name: str) -> None:
        self.files[new_name] = self.files.pop(name)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)


class BenchBoard:
    """The board, see `firmware.boards.board.Board`.

    Attributes:
        now_ms: since boot.
        unix_ms_at_boot, quality: of the clock.
        told: everything shown, lit and sounded, and `durable` for each record that became so.
        logged: lines of the log.
        answer: given a whole request, what the service sends back; None for nothing, OSError for no network.
        requests: whole requests that were sent.
        codes: texts that the screen showed as codes.
    """

    def __init__(self, sectors: int = 8, flash: Any = None, store: DictStore | None = None) -> None:  # noqa: ANN401
        self.nfc = BenchPort()
        self.qr = BenchPort()
        self.driver = BenchPort()
        self.flash = flash or RamFlash(sectors)
        self.store = store or DictStore()
        self.aes = Aes()
        self.host = "clearing.example"
        self.profile = 2
        self.neighbours: BenchDatagrams | None = None
        self.has_code_screen = False
        self.languages: list[str] = []
        self.codes: list[str] = []
        self.now_ms = 0
        self.unix_ms_at_boot = NOW_S * 1000
        self.quality = CLOCK_SYNCHRONISED
        self.told: list[str] = []
        self.logged: list[str] = []
        self.answer: Callable[[bytes], bytes | None] = lambda _: None
        self.requests: list[bytes] = []
        self._random = 0
        self._events: list[tuple[int, Callable[[], None]]] = []

    # Time.

    def ticks_ms(self) -> int:
        return self.now_ms

    def wait(self, until_ms: int | None) -> None:
        events = [when for when, _ in self._events]
        if until_ms is not None:
            events.append(until_ms)
        assert events, "nothing will ever happen again"
        self.advance(min(events))

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Let something happen in the world a while from now."""
        self._events.append((self.now_ms + delay_ms, action))

    def next_event_ms(self) -> int | None:
        return min([when for when, _ in self._events]) if self._events else None

    def advance(self, now_ms: int) -> None:
        self.now_ms = max(now_ms, self.now_ms)
        due = [event for event in self._events if event[0] <= self.now_ms]
        self._events = [event for event in self._events if event[0] > self.now_ms]
        for _, action in due:
            action()

    def clock(self) -> tuple[int, int]:
        return (self.unix_ms_at_boot + self.now_ms) // 1000, self.quality

    def set_clock(self, unix_ms: int, quality: int) -> None:
        self.unix_ms_at_boot = unix_ms - self.now_ms
        self.quality = quality

    # The link.

    def new_link(self) -> BenchPort:
        return BenchPort()

    def dial(self) -> BenchPort:
        port = self.new_link()
        request = [b""]

        def take(data: bytes) -> None:
            request[0] += data
            if is_whole(request[0]):
                self.requests.append(request[0])
                answer = self.answer(request[0])
                if answer is not None:
                    self.after(50, lambda: port.give(answer))

        port.on_write = take
        return port

    # Chance and keys.

    def random_bytes(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            self._random += 1
            out += sha256(b"bench" + self._random.to_bytes(4, "big"))
        return out[:count]

    def public_point(self, private: int) -> tuple[bytes, bytes]:
        return point_of(private)

    def signer(self, kid: bytes, private: int) -> Signer:
        return p256.P256Signer(kid, private) if MICROPYTHON else Steps(signer=Es256Signer(kid, private))

    def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> Verifier:
        return p256.P256Verifier(keys) if MICROPYTHON else Steps(verifier=Es256Verifier(keys))

    # The rider, and whoever holds the board.

    def show(self, text: str) -> None:
        self.told.append("show " + text)

    def say(self, language: str, text: str) -> None:
        self.told.append("say " + language + " " + text)

    def show_code(self, text: str) -> None:
        self.codes.append(text)

    def light(self, colour: str) -> None:
        self.told.append("light " + colour)

    def beep(self, pattern: str) -> None:
        self.told.append("beep " + pattern)

    def log(self, text: str) -> None:
        self.logged.append(text)


def is_whole(request: bytes) -> bool:
    """Return whether a request has all of its body."""
    end = request.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = request.find(b"Content-Length: ")
    size = int(request[length + 16 : end].split(b"\r\n")[0]) if 0 <= length < end else 0
    return len(request) == end + 4 + size


def body_of(request: bytes) -> bytes:
    return request[request.find(b"\r\n\r\n") + 4 :]


def http_answer(body: bytes, status: int = 200) -> bytes:
    head = "HTTP/1.1 " + str(status) + " X\r\nContent-Length: " + str(len(body)) + "\r\n\r\n"
    return head.encode() + body


def point_of(private: int) -> tuple[bytes, bytes]:
    """Return the public point of a private key."""
    if not MICROPYTHON:
        return public_point(private)
    x, y = p256.public_key(private)
    return x.to_bytes(32, "big"), y.to_bytes(32, "big")


class Key:
    """A key of the service: it signs as a whole, and knows its COSE_Key."""

    def __init__(self, private: int) -> None:
        self.cose_key = ec2_key(*point_of(private))
        self.kid = key_thumbprint(self.cose_key)
        self._signer = p256.P256Signer(self.kid, private) if MICROPYTHON else Es256Signer(self.kid, private)

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message)


def run_for(board: BenchBoard, loop: Loop, duration_ms: int) -> None:
    """Let the tasks of a loop run for so long."""
    end_ms = board.now_ms + duration_ms
    while True:
        if loop.run_ready():
            continue
        moments = [each for each in (loop.next_deadline_ms(), board.next_event_ms()) if each is not None]
        if not moments or min(moments) > end_ms:
            board.advance(end_ms)
            return
        board.advance(min(moments))


def run_to_end(board: BenchBoard, loop: Loop, task: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
    """Run one task to its end and return its result."""
    results: list[Any] = []

    async def keep() -> None:
        results.append(await task)

    loop.spawn(keep())
    while not results:
        if not loop.run_ready():
            board.wait(loop.next_deadline_ms())
    return results[0]
