"""The validator as a program on a desk. What one command alone needs, that command loads: memory is short on a bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.boards.desktop import DesktopBoard
from protocol.compat import MICROPYTHON, forget

if TYPE_CHECKING:
    from firmware.loop import Loop


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
        from firmware.starting import run_and_tell  # noqa: PLC0415

        run_and_tell(lambda: _start(board, command, options))


def _start(board: DesktopBoard, command: str, options: dict[str, str]) -> Loop:
    """Wire what a command asks for."""
    upload_interval_s = int(options.get("upload-interval", "180"))
    if command == "inspect":
        from firmware.inspection import start as start_inspection  # noqa: PLC0415

        return start_inspection(board, upload_interval_s)
    from firmware.app import start  # noqa: PLC0415

    return start(board, upload_interval_s, options.get("when-full", "refuse"), task=command)
