"""The acceptance test of a mounted validator: a technician's reader plays a test card to it, and notes how it went.

The reader sees the air only: how long the validator held the card, how many commands it gave, and whether it went to the end. The
validator's light is for the technician's eyes; what it wrote down is in its journal and at clearing.
"""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hardware.problem import Problem
from simulator.desfire_card import DesfireCard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from simulator.virtual_card import VirtualCard

COMPLETE, READ, CUT_OFF, NOT_NOTICED = "complete", "read", "cut off", "not noticed"
_FIELDS = ("number", "outcome", "commands", "ms")
_COMMIT = b"\x90\xc7"
_GENERATE_AC = b"\x80\xae"
_PROCESSING_OPTIONS = b"\x80\xa8"
_READ_RECORD = b"\x00\xb2"


@dataclass(frozen=True)
class PlayedTap:
    """One time the card was held to the validator.

    Attributes:
        number: from 1.
        outcome: `complete` (a transport card committed a debit, a bank card gave cryptogram and records), `read` (it was read and
            nothing was taken), `cut off` (it was asked for less than any decision needs), `not noticed`.
        commands: how many it was given.
        ms: from its activation until the validator let go of it.
    """

    number: int
    outcome: str
    commands: int
    ms: int


class PlayedCard:
    """The test card, and a note of what it was asked in one tap.

    Attributes:
        uid, ats: the card's.
        asked: commands by class and instruction, in order.
    """

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self.uid = card.uid
        self.ats = card.ats
        self.asked: list[bytes] = []
        self._debits = self._committed()

    def _committed(self) -> int:
        return len(self._card.committed_debits_minor) if isinstance(self._card, DesfireCard) else 0

    def process(self, apdu: bytes) -> bytes:
        self.asked.append(apdu[:2])
        return self._card.process(apdu)

    def reset(self) -> None:
        self._card.reset()

    def begin(self) -> None:
        """A new tap begins."""
        self.asked = []
        self._debits = self._committed()

    def outcome(self) -> str:
        """Return how the tap went."""
        if isinstance(self._card, DesfireCard):
            if self._committed() > self._debits:
                return COMPLETE
            return READ if b"\x90\xbd" in self.asked or b"\x90\xad" in self.asked else CUT_OFF
        if _READ_RECORD not in self.asked:
            return CUT_OFF
        return COMPLETE if _PROCESSING_OPTIONS in self.asked or _GENERATE_AC in self.asked else READ


def summary(taps: Sequence[PlayedTap]) -> dict[str, Any]:
    """Return counts by outcome, and times of the taps that were noticed."""
    counts = {
        outcome: sum(tap.outcome == outcome for tap in taps) for outcome in (COMPLETE, READ, CUT_OFF, NOT_NOTICED)
    }
    times = sorted(tap.ms for tap in taps if tap.outcome != NOT_NOTICED)
    told: dict[str, Any] = {"taps": len(taps), **{name.replace(" ", "_"): count for name, count in counts.items()}}
    if times:
        told |= {"median_ms": round(statistics.median(times)), "slowest_ms": times[-1]}
    return told


def write_sheet(path: Path, taps: Sequence[PlayedTap]) -> None:
    """Write the result sheet as CSV, or as JSON if the file is named so.

    Raises:
        Problem: it cannot be written.
    """
    rows = [asdict(tap) for tap in taps]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".json":
                json.dump({"taps": rows, "summary": summary(taps)}, file, indent=2)
            else:
                table = csv.DictWriter(file, _FIELDS)
                table.writeheader()
                table.writerows(rows)
    except OSError as error:
        raise Problem(
            f"the sheet {path} cannot be written: {error.strerror}", "name another file: --sheet FILE"
        ) from None
