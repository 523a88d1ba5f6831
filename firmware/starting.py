"""What every program of an enrolled device begins with: who it is, its card reader, and what is told when it cannot start."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from firmware.journal import JournalError
from firmware.keys import load_identity, load_membership
from firmware.readers.pn532 import Pn532

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.boards.board import Board
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop


class NotEnrolled(Exception):  # noqa: N818 - a state, told to a technician
    """The device has no place yet."""


def who_we_are(board: Board) -> tuple[Identity, Membership]:
    """Return the device's identity, and where it belongs.

    Raises:
        NotEnrolled: `enrol` must come first.
    """
    identity = None if board.store.read("retired") else load_identity(board)
    membership = load_membership(board, identity) if identity else None
    if identity is None or membership is None:
        raise NotEnrolled("this validator is not enrolled: run `enrol` with an invitation first")
    return identity, membership


def card_reader(board: Board, loop: Loop) -> Pn532:
    """Return the driver of the reader that this device has."""
    if board.store.size("certified-reader") is None:
        return Pn532(board.nfc, loop)
    from firmware.readers.certified import CertifiedReader  # noqa: PLC0415

    return CertifiedReader(board.nfc, loop)


def run_and_tell(start: Callable[[], Loop]) -> None:
    """Run a program until the power fails; where that is not possible say why, and end it with exit code 1."""
    try:
        start().run()
    except (NotEnrolled, JournalError) as error:
        sys.stderr.write("firmware: " + str(error) + "\n")
        sys.exit(1)
