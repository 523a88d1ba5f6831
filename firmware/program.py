"""The validator as a program on a desk. What one command alone needs, that command loads: memory is short on a bus."""

from __future__ import annotations

import sys

from firmware.app import NotEnrolled, run
from firmware.boards.desktop import DesktopBoard
from firmware.journal import JournalError
from firmware.loop import Loop

_COMMON = {"state", "server", "clock", "seed", "rtc", "report-heap"}
_OPTIONS = {
    "run": _COMMON | {"nfc", "qr", "driver", "upload-interval", "when-full", "cut-after-bytes"},
    "enrol": _COMMON | {"code"},
}
_REQUIRED = {"run": {"state", "server", "nfc", "qr", "driver"}, "enrol": {"state", "server", "code"}}
_CHOICES = {"clock": {"real", "lockstep"}, "when-full": {"refuse", "free"}}
_NUMBERS = {"upload-interval", "cut-after-bytes", "rtc"}


def _fail(message: str) -> None:
    sys.stderr.write("firmware: " + message + " (--help tells more)\n")
    sys.exit(2)


def read_arguments(words: list[str]) -> tuple[str, dict[str, str]]:
    """Return the command and its options; a wrong one ends the program with a message and exit code 2."""
    if not words or words[0] in {"-h", "--help"} or "--help" in words:
        from firmware.usage import USAGE  # noqa: PLC0415

        sys.stdout.write(USAGE)
        sys.exit(0)
    command = words[0]
    if command not in _OPTIONS:
        _fail("no command " + repr(command) + ": run or enrol")
    options: dict[str, str] = {}
    for index in range(1, len(words), 2):
        name = words[index][2:]
        if words[index][:2] != "--" or name not in _OPTIONS[command]:
            _fail(command + " has no option " + words[index])
        if index + 1 == len(words):
            _fail("--" + name + " needs a value")
        value = words[index + 1]
        if name in _CHOICES and value not in _CHOICES[name]:
            _fail("--" + name + " is one of " + ", ".join(sorted(_CHOICES[name])))
        if name in _NUMBERS and not value.isdigit():
            _fail("--" + name + " is a number")
        options[name] = value
    for name in sorted(_REQUIRED[command]):
        if name not in options:
            _fail(command + " needs --" + name)
    if ":" not in options["server"] or not options["server"].split(":")[-1].isdigit():
        _fail("--server is HOST:PORT")
    return command, options


def main(words: list[str]) -> None:
    command, options = read_arguments(words)
    try:
        board = DesktopBoard(options)
    except OSError as error:
        _fail("cannot open the folder or a terminal: " + str(error))
    try:
        if command == "enrol":
            from firmware.enrol import enrol_and_tell  # noqa: PLC0415

            loop = Loop(board)
            loop.spawn(enrol_and_tell(board, loop, options["code"]))
            loop.run()
        else:
            run(board, int(options.get("upload-interval", "180")), options.get("when-full", "refuse"))
    except (NotEnrolled, JournalError) as error:
        sys.stderr.write("firmware: " + str(error) + "\n")
        sys.exit(1)
