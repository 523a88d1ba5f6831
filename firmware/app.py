"""The only place that wires the validator's parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.feedback import Feedback
from firmware.journal import Journal
from firmware.keys import load_identity, load_membership
from firmware.loop import Loop
from firmware.readers.pn532 import Pn532
from firmware.recent_taps import RecentTaps
from firmware.recorder import Place, Recorder
from firmware.rules import Rules
from firmware.uploader import Uploader
from firmware.validator import FULL_REFUSE, Validator

if TYPE_CHECKING:
    from firmware.boards.board import Board

UPLOAD_INTERVAL_S = 180


class NotEnrolled(Exception):  # noqa: N818 - a state, told to a technician
    """The device has no place yet."""


def run(board: Board, upload_interval_s: int = UPLOAD_INTERVAL_S, policy_when_full: str = FULL_REFUSE) -> None:
    """Run the validator until the power fails.

    Raises:
        NotEnrolled: `enrol` must come first.
        JournalError: the flash cannot be used.
    """
    identity = load_identity(board)
    membership = load_membership(board, identity) if identity else None
    if identity is None or membership is None:
        raise NotEnrolled("this validator is not enrolled: run `enrol` with an invitation first")
    loop = Loop(board)
    journal = Journal(board.flash, identity.derived_key(b"journal"), identity.device, membership.enrolled.epoch)
    recent = RecentTaps()
    journal.recover(recent.recall)
    recorder = Recorder(board, journal, Place(membership.enrolled.line))
    recorder.started(recent.take_dangling())
    rules = Rules(board, loop, membership, recorder)
    validator = Validator(board, loop, membership, rules, recorder, recent, Feedback(board), policy_when_full)
    uploader = Uploader(board, loop, identity, membership, journal, recorder, rules, upload_interval_s * 1000)
    loop.spawn(_start(rules, loop, validator, uploader, board))
    loop.run()


async def _start(rules: Rules, loop: Loop, validator: Validator, uploader: Uploader, board: Board) -> None:
    await rules.load()
    loop.spawn(validator.serve_cards(Pn532(board.nfc, loop)))
    loop.spawn(validator.serve_codes())
    loop.spawn(validator.serve_driver())
    loop.spawn(uploader.run())
