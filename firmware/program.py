"""The validator as a program on a desk. What one command alone needs, that command loads: memory is short on a bus."""

from __future__ import annotations

from firmware.boards.desktop import DesktopBoard
from protocol.compat import MICROPYTHON, forget


def _arguments(words: list[str]) -> tuple[str, dict[str, str]]:
    """Read the command line, and give back the memory that this took."""
    from firmware.arguments import read_arguments  # noqa: PLC0415

    arguments = read_arguments(words)
    forget("firmware.arguments")
    return arguments


def main(words: list[str]) -> None:
    command, options = _arguments(words)
    if not MICROPYTHON and command == "journal":
        from firmware.flash_report import tell  # noqa: PLC0415

        tell(options)
        return
    try:
        board = DesktopBoard(options)
    except OSError as error:
        from firmware.arguments import fail  # noqa: PLC0415

        fail("cannot open the folder or a terminal: " + str(error))
    if command == "enrol":
        from firmware.enrol import enrol_and_tell  # noqa: PLC0415
        from firmware.loop import Loop  # noqa: PLC0415

        loop = Loop(board)
        loop.spawn(enrol_and_tell(board, loop, options["code"]))
        loop.run()
    else:
        from firmware.app import run_and_tell  # noqa: PLC0415

        run_and_tell(board, int(options.get("upload-interval", "180")), options.get("when-full", "refuse"), command)
