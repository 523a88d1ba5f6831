"""The only place that wires the validator's parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.farebox import FULL_REFUSE
from firmware.feedback import Feedback
from firmware.journal import Journal
from firmware.loop import Loop
from firmware.place import Place
from firmware.recent_taps import RecentTaps
from firmware.recorder import Recorder
from firmware.rules import Rules
from firmware.starting import card_reader, who_we_are
from firmware.uploader import Uploader
from firmware.validator import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.boards.board import Board
    from firmware.keys import Identity

UPLOAD_INTERVAL_S = 180


class Parts:
    """What makes the parts of a validator. A simulation hands in its own: parts that it watches, or broke on purpose."""

    def __init__(self) -> None:
        self.loop: Callable[..., Loop] = Loop
        self.journal: Callable[..., Journal] = Journal
        self.recent: Callable[..., RecentTaps] = RecentTaps
        self.recorder: Callable[..., Recorder] = Recorder
        self.validator: Callable[..., Validator] = Validator
        self.uploader: Callable[..., Uploader] = Uploader
        # The uploader of a device that changes its key or leaves; None for the real one, which is loaded only then.
        self.leaving: Callable[..., Uploader] | None = None


def start(
    board: Board,
    upload_interval_s: int = UPLOAD_INTERVAL_S,
    policy_when_full: str = FULL_REFUSE,
    parts: Parts | None = None,
    task: str = "run",
) -> Loop:
    """Wire the validator and return its loop, ready to be run.

    Args:
        board: what it runs on.
        upload_interval_s: how long a tap may wait before it is sent.
        policy_when_full: what is done with riders while the journal is full.
        parts: of which it is made.
        task: `run`, `rotate` or `retire`; on the latter two no rider is served.

    Raises:
        NotEnrolled: `enrol` must come first.
        JournalError: the flash cannot be used.
    """
    identity, membership = who_we_are(board)
    parts = parts or Parts()
    loop = parts.loop(board)
    journal = parts.journal(board.flash, identity.derived_key(b"journal"), identity.device, membership.enrolled.epoch)
    recent = parts.recent()
    journal.recover(recent.recall)
    recorder = parts.recorder(board, journal, Place(membership.enrolled.line, recent.trip))
    recorder.started(recent.take_dangling())
    rules = Rules(board, loop, membership, recorder)
    validator = parts.validator(board, loop, membership, rules, recorder, recent, Feedback(board), policy_when_full)
    validator.load_money_as(identity)
    make_uploader = parts.uploader
    if task != "run" or board.store.read("rotation"):
        from firmware.leaving import LeavingUploader  # noqa: PLC0415

        make_uploader = parts.leaving or LeavingUploader
    uploader = make_uploader(board, loop, identity, membership, journal, recorder, rules, upload_interval_s * 1000)
    if task == "run":
        loop.spawn(_serve(rules, loop, validator, uploader, board))
        if board.has_code_screen:
            loop.spawn(validator.show_codes(identity.device))
        if board.neighbours is not None:
            from firmware.neighbours import Neighbours  # noqa: PLC0415 - most vehicles have one door

            port, boot = board.neighbours, recorder.boot
            neighbours = Neighbours(board, port, membership, identity.device, boot, recent)
            recent.tell = neighbours.tell
            loop.spawn(neighbours.listen(loop))
    else:
        _spawn(task, board, loop, identity, uploader)
    return loop


def _spawn(task: str, board: Board, loop: Loop, identity: Identity, uploader: Uploader) -> None:
    """Start what a technician wants instead of serving riders."""
    from firmware.leaving import LeavingUploader, rotate_and_tell  # noqa: PLC0415

    assert isinstance(uploader, LeavingUploader)
    if task == "rotate":
        loop.spawn(rotate_and_tell(board, loop, identity, uploader))
    else:
        uploader.is_leaving = True
        loop.spawn(uploader.run())


async def _serve(rules: Rules, loop: Loop, validator: Validator, uploader: Uploader, board: Board) -> None:
    await rules.load()
    loop.spawn(validator.serve_cards(card_reader(board, loop)))
    loop.spawn(validator.serve_codes())
    loop.spawn(validator.serve_driver())
    loop.spawn(uploader.run())
