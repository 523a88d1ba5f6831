"""The words on the command line of the validator on a desk. Loaded once, when the program starts."""

from __future__ import annotations

import sys

_COMMON = {"state", "server", "clock", "seed", "rtc", "report-heap"}
_OPTIONS = {
    "run": _COMMON
    | {"nfc", "qr", "driver", "upload-interval", "when-full", "cut-after-bytes"}
    | {"neighbours", "listen", "code-screen", "languages"},
    "inspect": _COMMON | {"nfc", "qr", "driver", "upload-interval", "neighbours", "listen", "languages"},
    "enrol": _COMMON | {"code"},
    "rotate": _COMMON,
    "retire": _COMMON,
    "journal": {"describe", "key-file", "state", "taps-a-day", "json"},
}
_REQUIRED = {
    "run": {"state", "server", "nfc", "qr", "driver"},
    "inspect": {"state", "server", "nfc", "qr", "driver"},
    "enrol": {"state", "server", "code"},
    "rotate": {"state", "server"},
    "retire": {"state", "server"},
    "journal": {"describe"},
}
_CHOICES = {"clock": {"real", "lockstep"}, "when-full": {"refuse", "free"}}
_NUMBERS = {"upload-interval", "cut-after-bytes", "rtc", "taps-a-day"}
_WITHOUT_VALUE = "--json"


def fail(message: str) -> None:
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
        fail("no command " + repr(command) + ": run, inspect, enrol, rotate, retire or journal")
    options: dict[str, str] = {}
    if command == "journal" and _WITHOUT_VALUE in words:
        words = [word for word in words if word != _WITHOUT_VALUE]
        options["json"] = "1"
    for index in range(1, len(words), 2):
        name = words[index][2:]
        if words[index][:2] != "--" or name not in _OPTIONS[command]:
            fail(command + " has no option " + words[index])
        if index + 1 == len(words):
            fail("--" + name + " needs a value")
        value = words[index + 1]
        if name in _CHOICES and value not in _CHOICES[name]:
            fail("--" + name + " is one of " + ", ".join(sorted(_CHOICES[name])))
        if name in _NUMBERS and not value.isdigit():
            fail("--" + name + " is a number")
        options[name] = value
    for name in sorted(_REQUIRED[command]):
        if name not in options:
            fail(command + " needs --" + name)
    if ("neighbours" in options) != ("listen" in options):
        fail("--neighbours and --listen go together")
    for each in (options["neighbours"] + "," + options["listen"]).split(",") if "neighbours" in options else ():
        if not each.rpartition(":")[0] or not each.rpartition(":")[2].isdigit():
            fail("--neighbours and --listen are HOST:PORT")
    for each in options.get("languages", "en").split(","):
        if each not in {"kk", "ru", "en"}:
            fail("--languages are kk, ru, en")
    if "server" not in options:
        return command, options
    if ":" not in options["server"] or not options["server"].split(":")[-1].isdigit():
        fail("--server is HOST:PORT")
    return command, options
