"""The inspector's program: it says whether a medium has paid on this vehicle, and by construction can charge nothing.

What charges is not loaded: no farebox, no decision on fares, no card's debit, credit or pass, no acquirer's key. The only record
about media that it can write is an inspection, which has no fare. A test walks the imports from here.

It runs on a device that is enrolled for the vehicle, beside its validators: it hears whom they let in, and tells them nothing.
Debits that a power cut left in the dark stay so in the journal, until the validator starts on it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.feedback import Feedback
from firmware.inspector import Inspector
from firmware.journal import Journal, JournalFull
from firmware.loop import Loop
from firmware.place import Place
from firmware.recent_taps import RecentTaps
from firmware.records import Records
from firmware.rules import Rules
from firmware.starting import card_reader, who_we_are
from firmware.uploader import Uploader
from protocol.tap import KIND_INSPECTION

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board


class InspectionRecords(Records):
    """The journal as an inspector uses it."""

    def inspection(self, **fields: Any) -> None:  # noqa: ANN401 - the fields of a tap
        """Record a look at a medium; where the journal is full it is not recorded, and the inspector told all the same."""
        try:
            self._append_here(KIND_INSPECTION, fields)
        except JournalFull:
            self._board.log("journal full: inspection not recorded")


def start(board: Board, upload_interval_s: int) -> Loop:
    """Wire the inspector's device and return its loop, ready to be run.

    Raises:
        NotEnrolled: `enrol` must come first.
        JournalError: the flash cannot be used.
    """
    identity, membership = who_we_are(board)
    loop = Loop(board)
    journal = Journal(board.flash, identity.derived_key(b"journal"), identity.device, membership.enrolled.epoch)
    recent = RecentTaps()
    journal.recover(recent.recall)
    records = InspectionRecords(board, journal, Place(membership.enrolled.line, recent.trip))
    records.note_start()
    rules = Rules(board, loop, membership, records)
    inspector = Inspector(board, membership, rules, records, recent, Feedback(board))
    uploader = Uploader(board, loop, identity, membership, journal, records, rules, upload_interval_s * 1000)
    loop.spawn(_serve(board, loop, rules, inspector, uploader))
    if board.neighbours is not None:
        from firmware.neighbours import Neighbours  # noqa: PLC0415 - most vehicles have one door

        neighbours = Neighbours(board, board.neighbours, membership, identity.device, records.boot, recent)
        loop.spawn(neighbours.listen(loop))
    return loop


async def _serve(board: Board, loop: Loop, rules: Rules, inspector: Inspector, uploader: Uploader) -> None:
    await rules.load()
    loop.spawn(inspector.serve_cards(loop, card_reader(board, loop)))
    loop.spawn(inspector.serve_codes(loop))
    loop.spawn(inspector.serve_console(loop))
    loop.spawn(uploader.run())
