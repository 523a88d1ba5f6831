"""One validator as a real process in real time: its terminals, its riders, and its power, which fails at random moments."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import threading
import time
import tty
from collections import Counter
from typing import IO, TYPE_CHECKING

from firmware.boards.desktop import POWER_CUT_EXIT
from simulator.process import ValidatorProcess
from simulator.runtimes import start_command

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from simulator.terminal import Device
    from tests.soak.riders import Riders
    from tests.soak.wall_clock import WallClock

KILLED = "kill -9"
CUT_AT_BYTE = "at a byte of flash"
_SHORT_LIFE_MS = (300, 3_000)
_LONG_LIFE_MS = (4_000, 12_000)
_CUT_BYTES = (1, 6_000)
_TURN_MS = 50
_READ_BYTES = 65536
_FAULTS_MAX = 5


class Wire:
    """A pseudo-terminal with a device at our end of it."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self._waiting = b""

    def take(self, now_ms: int) -> None:
        """Hand over to the device what the validator has written."""
        self._device.receive_data(os.read(self.master, _READ_BYTES), now_ms)

    def give(self, now_ms: int) -> None:
        """Write what the device has to say."""
        self._waiting += self._device.data_to_send(now_ms)
        if self._waiting:
            try:
                self._waiting = self._waiting[os.write(self.master, self._waiting) :]
            except BlockingIOError:
                return

    def next_timeout_ms(self) -> int | None:
        return self._device.next_timeout_ms()

    def close(self) -> None:
        os.close(self.master)
        os.close(self._slave)


class StreetValidator:
    """One validator on a thread of its own.

    Attributes:
        vehicle: code of the bus.
        power_cuts: how often the power failed, by the way in which it did.
        faults: what the program did that it should not.
        is_calm: the power fails no more.
    """

    def __init__(
        self,
        vehicle: str,
        runtime: str,
        folder: Path,
        address: tuple[str, int],
        clock: WallClock,
        riders: Riders,
        chance: random.Random,
    ) -> None:
        self.vehicle = vehicle
        self.runtime = runtime
        self._command, self._environment = start_command(runtime)
        self.riders = riders
        self.power_cuts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.is_calm = True
        self._folder = folder
        self._address = address
        self._clock = clock
        self._chance = chance
        self._wires: list[Wire] = []
        self._child: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._kill_ms: int | None = None
        self._is_restart_asked = False
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name=vehicle, daemon=True)
        folder.mkdir()

    @property
    def is_broken(self) -> bool:
        """Whether it has stopped by itself so often that nobody starts it again."""
        return len(self.faults) >= _FAULTS_MAX

    # Who holds it.

    def enrol(self, address: tuple[str, int], code: str) -> None:
        idle = (self.riders.chip, self.riders.scanner, self.riders.driver)
        process = ValidatorProcess(self.runtime, self._folder, self.vehicle, idle, lambda: None, lambda _: None)
        try:
            process.enrol(address, code)
        finally:
            process.close()

    def start(self) -> None:
        self._thread.start()

    def restart(self) -> None:
        """Let the power fail once more: a validator that has just started does not wait before it sends."""
        self._is_restart_asked = True

    def stop(self) -> None:
        """Switch it off for good."""
        self._is_over = True
        self._thread.join()

    # Its life.

    def _run(self) -> None:
        try:
            self._live()
        except Exception as error:  # noqa: BLE001 - on a thread nobody else would hear of it
            self.faults += [f"{self.vehicle}: {type(error).__name__}: {error}"] * _FAULTS_MAX

    def _live(self) -> None:
        while not self._is_over and not self.is_broken:
            self._boot()
            assert self._child is not None
            while self._turn(_stream(self._child.stdout), _now_ms()):
                pass
            self._bury(self._child)

    def _boot(self) -> None:
        riders = self.riders
        riders.plug_in()
        self._wires = [Wire(device) for device in (riders.chip, riders.scanner, riders.driver)]
        self._said = b""
        self._is_restart_asked = False
        host, port = self._address
        words = ["run", "--clock", "real", "--rtc", str(self._clock.now_ms()), "--state", str(self._folder)]
        words += ["--server", f"{host}:{port}", "--seed", self.vehicle, "--upload-interval", "0"]
        for option, wire in zip(("--nfc", "--qr", "--driver"), self._wires, strict=True):
            words += [option, wire.path]
        with (self._folder / "stderr").open("wb") as complaints:
            self._child = subprocess.Popen(
                [*self._command, *words, *self._draw_life()],
                env={"PATH": os.environ.get("PATH", ""), **self._environment},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )

    def _draw_life(self) -> list[str]:
        """Decide how this life ends, and return the options that it takes."""
        self._kill_ms = None
        if self.is_calm:
            return []
        draw = self._chance.random()
        if draw < 0.3:
            return ["--cut-after-bytes", str(self._chance.randrange(*_CUT_BYTES))]
        self._kill_ms = _now_ms() + self._chance.randrange(*(_SHORT_LIFE_MS if draw < 0.8 else _LONG_LIFE_MS))
        return []

    def _turn(self, output: IO[bytes], now_ms: int) -> bool:
        """Pass on what is to be passed on; return whether the validator is alive."""
        self.riders.step(now_ms)
        for wire in self._wires:
            wire.give(now_ms)
        if self._is_over or self._is_restart_asked or (self._kill_ms is not None and now_ms >= self._kill_ms):
            self._is_restart_asked, self._kill_ms = False, None
            assert self._child is not None
            self._child.kill()
        poller = select.poll()
        for descriptor in (output.fileno(), *(wire.master for wire in self._wires)):
            poller.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(self._patience_ms(now_ms))}
        now_ms = _now_ms()
        for wire in self._wires:
            if wire.master in ready:
                wire.take(now_ms)
        return output.fileno() not in ready or self._listen(output, now_ms)

    def _patience_ms(self, now_ms: int) -> int:
        deadlines = [deadline for wire in self._wires if (deadline := wire.next_timeout_ms()) is not None]
        return max(0, min([_TURN_MS, *(deadline - now_ms for deadline in deadlines)]))

    def _listen(self, output: IO[bytes], now_ms: int) -> bool:
        """Hear what it says; return whether it can say more."""
        data = os.read(output.fileno(), _READ_BYTES)
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self.riders.hear(line.decode(), now_ms)
        return bool(data)

    def _bury(self, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        _stream(child.stdout).close()
        for wire in self._wires:
            wire.close()
        self.riders.lose_power()
        if self._is_over:
            return
        if code in {-signal.SIGKILL, POWER_CUT_EXIT}:
            self.power_cuts[KILLED if code < 0 else CUT_AT_BYTE] += 1
            return
        words = (self._folder / "stderr").read_text(errors="replace").splitlines()
        self.faults.append(f"{self.vehicle} stopped with exit code {code}: {' '.join(words[-3:])}")


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
