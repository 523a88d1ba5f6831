"""The desktop as a board: UARTs are pseudo-terminals, flash is a file, display and lights are lines on standard output.

It is a supported board, not a set of mocks: `python -m firmware` and `micropython -m firmware` are the validator, and run in
real time on a desk, or in lock-step with a simulation that owns time.

Lock-step. When the validator has nothing to do it writes

    idle UNTIL|- NFC QR DRIVER DIALS LINK IS_OPEN

(the moment it waits for; bytes written so far to the three terminals; connections dialled; bytes written to the last one;
whether this side still has it open; with neighbours, also how many datagrams it has sent them) and is answered with

    wake NOW NFC QR DRIVER STATE LINK

(the moment it is now; bytes sent so far to the three terminals; the link's state `none`, `open`, `refused` or `closed`; bytes
sent on it; with neighbours, also how many datagrams have come since). Each side then reads exactly what the other has written:
a pseudo-terminal hands bytes over when it pleases, and a simulation must be the same twice. Moments are milliseconds since boot.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from firmware.boards.desktop_ports import Silence, TcpLink, Uart, wait_for_any
from firmware.boards.flash_file import FlashFile
from protocol import p256
from protocol.compat import MICROPYTHON, const, sha256
from protocol.tap import CLOCK_HOLDOVER, CLOCK_UNKNOWN

if TYPE_CHECKING or not MICROPYTHON:
    from firmware.boards.crypto_cpython import Aes, Es256Signer, Es256Verifier, public_point
else:
    from firmware.boards.crypto_micropython import Aes

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import BinaryIO

    from firmware.boards.board import Signer, Verifier
    from firmware.boards.desktop_udp import UdpPort

PROFILE_SECURE_ELEMENT = const(1)
POWER_CUT_EXIT = const(137)
_FLASH_SECTORS = const(64)
_OPEN_FILES_MAX = const(4)


class FileStore:
    """Files in one folder. What is read in pieces stays open: a list is looked up in its file many times."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._open: dict[str, BinaryIO] = {}

    def __del__(self) -> None:
        for name in list(self._open):
            self._close(name)

    def read(self, name: str) -> bytes | None:
        try:
            with open(self._folder + "/" + name, "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        import os  # noqa: PLC0415

        path = self._folder + "/" + name
        with open(path + ".new", "wb") as file:
            file.write(data)
        self._close(name)
        os.rename(path + ".new", path)

    def size(self, name: str) -> int | None:
        try:
            with open(self._folder + "/" + name, "rb") as file:
                return file.seek(0, 2)
        except OSError:
            return None

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        file = self._open.get(name)
        if file is None:
            if len(self._open) >= _OPEN_FILES_MAX:
                self._close(sorted(self._open)[0])
            file = self._open[name] = open(self._folder + "/" + name, "rb")  # noqa: SIM115
        file.seek(offset)
        return file.read(count)

    def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._close(name)
        with open(self._folder + "/" + name, "ab") as file:
            file.write(data)

    def rename(self, name: str, new_name: str) -> None:
        import os  # noqa: PLC0415

        self._close(name)
        self._close(new_name)
        os.rename(self._folder + "/" + name, self._folder + "/" + new_name)

    def remove(self, name: str) -> None:
        import os  # noqa: PLC0415

        self._close(name)
        if self.size(name) is not None:
            os.remove(self._folder + "/" + name)

    def _close(self, name: str) -> None:
        file = self._open.pop(name, None)
        if file is not None:
            file.close()


class Steps:
    """CPython's signer and verifier, which need no steps, behind the interface of those that do."""

    def __init__(self, signer: Es256Signer | None = None, verifier: Es256Verifier | None = None) -> None:
        self._signer = signer
        self._verifier = verifier

    @property
    def kid(self) -> bytes:
        assert self._signer is not None
        return self._signer.kid

    def sign_digest_steps(self, digest: bytes) -> Generator[None, None, bytes]:
        assert self._signer is not None
        yield
        return self._signer.sign_digest(digest)

    def agree_steps(self, x: bytes, y: bytes) -> Generator[None, None, bytes]:
        assert self._signer is not None
        yield
        return self._signer.agree(x, y)

    def verify_digest_steps(self, kid: bytes, digest: bytes, signature: bytes) -> Generator[None, None, bool]:
        assert self._verifier is not None
        yield
        return self._verifier.verify_digest(kid, digest, signature)


class DesktopBoard:
    """The board, see `firmware.boards.board.Board`. The desktop plays a secure element: its profile is 1 in simulations.

    Args:
        options: `state`, `nfc`, `qr`, `driver`, `server`, `clock`, and where wanted `seed`, `rtc`, `cut-after-bytes`,
            `report-heap`, `neighbours` with `listen`, `code-screen`.
    """

    def __init__(self, options: dict[str, str]) -> None:
        self.languages = options.get("languages", "").split(",") if "languages" in options else []
        self._lockstep = options.get("clock") == "lockstep"
        self.nfc = _open_uart(options.get("nfc"))
        self.qr = _open_uart(options.get("qr"))
        self.driver = _open_uart(options.get("driver"))
        self.neighbours: UdpPort | None = None
        if "neighbours" in options:
            from firmware.boards.desktop_udp import UdpPort  # noqa: PLC0415

            self.neighbours = UdpPort(options["listen"], options["neighbours"])
        self.has_code_screen = "code-screen" in options
        self.host = options["server"]
        self._address = _split_address(self.host)
        self.flash = FlashFile(options["state"] + "/flash.bin", _FLASH_SECTORS, self._power_fails)
        if "cut-after-bytes" in options:
            self.flash.cut_after_bytes = int(options["cut-after-bytes"])
        self.store = FileStore(options["state"])
        self.aes = Aes()
        self.profile = PROFILE_SECURE_ELEMENT
        self._link: TcpLink | None = None
        self._dials = 0
        self._now_ms = 0
        self._start_ms = _real_ms()
        self._random_key = options["seed"].encode() if "seed" in options else None
        self._random_count = 0
        self._report_heap = "report-heap" in options
        self._heap_peak = 0
        self._rtc_ms = int(options.get("rtc", "0"))
        self._clock_quality = CLOCK_HOLDOVER if self._rtc_ms else CLOCK_UNKNOWN
        self._clock_base_ms = self._rtc_ms

    # Time.

    def ticks_ms(self) -> int:
        return self._now_ms if self._lockstep else _real_ms() - self._start_ms

    def wait(self, until_ms: int | None) -> None:
        if self._report_heap:
            self._measure_heap()
        if self._lockstep:
            self._wait_in_lockstep(until_ms)
            return
        ports: list[Uart | TcpLink | UdpPort] = [
            port for port in (self.nfc, self.qr, self.driver) if isinstance(port, Uart)
        ]
        if self._link is not None and not self._link.closed:
            ports.append(self._link)
        if self.neighbours is not None:
            ports.append(self.neighbours)
        wait_for_any(ports, -1 if until_ms is None else max(0, until_ms - self.ticks_ms()))

    def _wait_in_lockstep(self, until_ms: int | None) -> None:
        uarts = (self.nfc, self.qr, self.driver)
        link = self._link
        written = " ".join([str(uart.written) for uart in uarts])
        state = str(link.written if link else 0) + " " + str(int(link is not None and link.is_open))
        if self.neighbours is not None:
            state += " " + str(self.neighbours.sent)
        _say(
            "idle "
            + ("-" if until_ms is None else str(until_ms))
            + " "
            + written
            + " "
            + str(self._dials)
            + " "
            + state
        )
        words = sys.stdin.readline().split()
        if len(words) != (7 if self.neighbours is None else 8) or words[0] != "wake":
            sys.exit(0)  # whoever owned time is gone
        self._now_ms = int(words[1])
        for uart, total in zip(uarts, words[2:5]):
            uart.receive(int(total) - uart.received)
        if link is not None and link.is_open and not link.closed:
            link.receive(int(words[6]) - link.received)
            if words[5] in {"refused", "closed"}:
                link.closed = True
        if self.neighbours is not None:
            self.neighbours.take(int(words[7]))

    def clock(self) -> tuple[int, int]:
        return (self._clock_base_ms + self.ticks_ms()) // 1000, self._clock_quality

    def set_clock(self, unix_ms: int, quality: int) -> None:
        self._clock_base_ms = unix_ms - self.ticks_ms()
        self._clock_quality = quality

    # Links, chance, keys.

    def dial(self) -> TcpLink:
        self._link = TcpLink(self._address[0], self._address[1])
        self._dials += 1
        return self._link

    def random_bytes(self, count: int) -> bytes:
        if self._random_key is None:
            import os  # noqa: PLC0415

            return os.urandom(count)
        out = b""
        while len(out) < count:
            self._random_count += 1
            out += sha256(
                self._random_key + b"/" + str(self._rtc_ms).encode() + b"/" + str(self._random_count).encode()
            )
        return out[:count]

    def public_point(self, private: int) -> tuple[bytes, bytes]:
        if not MICROPYTHON:
            return public_point(private)
        x, y = p256.public_key(private)
        return x.to_bytes(32, "big"), y.to_bytes(32, "big")

    def signer(self, kid: bytes, private: int) -> Signer:
        return p256.P256Signer(kid, private) if MICROPYTHON else Steps(signer=Es256Signer(kid, private))

    def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> Verifier:
        return p256.P256Verifier(keys) if MICROPYTHON else Steps(verifier=Es256Verifier(keys))

    # The rider, and whoever holds the board.

    def show(self, text: str) -> None:
        _say("show " + text)

    def say(self, language: str, text: str) -> None:
        _say("say " + language + " " + text)

    def show_code(self, text: str) -> None:
        _say("code " + text)

    def light(self, colour: str) -> None:
        _say("light " + colour)

    def beep(self, pattern: str) -> None:
        _say("beep " + pattern)

    def log(self, text: str) -> None:
        _say("log " + text)

    def _measure_heap(self) -> None:
        if MICROPYTHON:
            import gc  # noqa: PLC0415

            gc.collect()
            live = gc.mem_alloc()  # type: ignore[attr-defined]
            if live > self._heap_peak:
                self._heap_peak = live
                _say("log heap " + str(live))

    def _power_fails(self) -> None:
        # Not an exception that somebody could catch: the program is gone, as without current.
        if MICROPYTHON:
            sys.exit(POWER_CUT_EXIT)
        import os  # noqa: PLC0415

        os._exit(POWER_CUT_EXIT)


def _open_uart(path: str | None) -> Uart | Silence:
    return Silence() if path is None else Uart(path)


def _split_address(text: str) -> tuple[str, int]:
    colon = text.rfind(":")
    return text[:colon], int(text[colon + 1 :])


def _real_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    if not MICROPYTHON:
        sys.stdout.flush()
