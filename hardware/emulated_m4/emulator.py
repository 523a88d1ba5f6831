"""Runs an image on the emulated Cortex-M4 and returns what it said."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from shutil import which

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / ".cache" / "emulated-m4"
FIRMWARE = FOLDER / "firmware.elf"
_RUNS = FOLDER / "runs"
QEMU = "qemu-system-arm"
# An instruction takes 2^4 ns of virtual time; `port/modemulated.c` reckons with it.
_ICOUNT_SHIFT = 4
_IMAGE_ADDRESS = 0x21000000
_TIMEOUT_S = 240


class EmulatorMissing(Exception):  # noqa: N818 - a state, told to who set the machine up
    """The emulator is not set up."""


class ProgramFailed(Exception):  # noqa: N818 - it is the program's failure
    """The program ended with an exception or a fault; the text holds what it said."""


def is_set_up() -> bool:
    return FIRMWARE.exists() and which(QEMU) is not None


def require() -> None:
    """Raise EmulatorMissing where the emulator is not set up."""
    if not is_set_up():
        raise EmulatorMissing("the emulated Cortex-M4 is not set up: run 'make emulated' (it needs Debian's packages)")


def run(image: bytes, timeout_s: float = _TIMEOUT_S) -> str:
    """Run an image to its end and return what it printed.

    Raises:
        EmulatorMissing: it is not set up.
        ProgramFailed: the program did not end well, or not in time.
    """
    require()
    with tempfile.NamedTemporaryFile(prefix="jolaqy-m4-", suffix=".img") as file:
        file.write(image)
        file.flush()
        try:
            ran = subprocess.run(_command(file.name), capture_output=True, text=True, check=False, timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            said = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else ""
            raise ProgramFailed(f"not done after {timeout_s} s\n{said}") from None
    if ran.returncode:
        raise ProgramFailed(ran.stdout + ran.stderr)
    return ran.stdout


def run_once(image: bytes) -> str:
    """Return what an image printed, from an earlier run of the same image if there was one: it would print the same again.

    Raises:
        EmulatorMissing: it is not set up.
        ProgramFailed: the program did not end well, or not in time.
    """
    require()
    digest = hashlib.sha256(image + FIRMWARE.read_bytes()).hexdigest()[:24]
    file = _RUNS / f"{digest}.txt"
    if not file.exists():
        said = run(image)
        _RUNS.mkdir(parents=True, exist_ok=True)
        # Somebody else may be doing the same.
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(said)
        draft.rename(file)
    return file.read_text()


def _command(image: str) -> list[str]:
    """Return the emulator's command line: no console, no clock of the host, nothing that could differ between two runs."""
    console = ["-monitor", "none", "-serial", "none", "-chardev", "stdio,id=console"]
    semihosting = ["-semihosting-config", "enable=on,target=native,chardev=console"]
    counting = ["-icount", f"shift={_ICOUNT_SHIFT},sleep=off"]
    program = ["-kernel", str(FIRMWARE), "-device", f"loader,file={image},addr={_IMAGE_ADDRESS:#x},force-raw=on"]
    return [QEMU, "-machine", "mps2-an386", "-nographic", *console, *semihosting, *counting, *program]
