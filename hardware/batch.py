"""A batch of cards that are issued one after the other: what was done so far, in a file that a power cut does not hurt.

One line of JSON a step, each on disk before the next one begins: `begun` before a card is written, `issued` after, `registered`
when clearing has it, `rejected` when it was put aside. Chips stand there by keyed names and cards by tokens: no UID, no number.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hardware.problem import EXIT_CONFLICT, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.card_desk import Order

BEGUN, ISSUED, REGISTERED, REJECTED = "begun", "issued", "registered", "rejected"
_FIELDS = ("index", "chip", "state", "token", "at_s", "seconds", "reason")


@dataclass
class Entry:
    """One card of a batch.

    Attributes:
        chip: name by which the desk knows it again.
        state: the last step.
        token, masked_uid: in hexadecimal, once it is issued.
        at_s: when the last step was taken, unix seconds.
        seconds: how long it took to write.
        reason: why it was put aside.
    """

    chip: str
    state: str
    at_s: int
    token: str = ""
    masked_uid: str = ""
    seconds: float = 0.0
    reason: str = ""


class Batch:
    """One batch and its file.

    Attributes:
        name: of the batch; with the chip's it is the reference by which clearing takes a card once.
        order: what the cards shall be.
        entries: by chip.
    """

    def __init__(self, path: Path, name: str, order: Order) -> None:
        """Begin a batch, or go on with the one in the file.

        Raises:
            Problem: the file is of another batch, or damaged, or cannot be written.
        """
        self.name = name
        self.order = order
        self.entries: dict[str, Entry] = {}
        head = {"batch": name, **asdict(order)}
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise Problem(
                f"the batch file {path} cannot be written: {error.strerror}", "name another one: --batch FILE"
            ) from None
        self._file = os.fdopen(descriptor, "r+", encoding="utf-8")
        lines = self._read(path)
        if not lines:
            self._write(head)
        elif lines[0] != head:
            self._file.close()
            raise Problem(
                f"{path} is a batch of other cards than these",
                "go on with the same options as before, or name another file",
                EXIT_CONFLICT,
            )
        for line in lines[1:]:
            entry = Entry(**line)
            self.entries[entry.chip] = entry

    def _read(self, path: Path) -> list[dict[str, Any]]:
        """Return the whole lines; a last one that a power cut left in half is cut off."""
        text = self._file.read()
        whole = text.rfind("\n") + 1
        if whole < len(text):
            self._file.truncate(len(text[:whole].encode()))
        try:
            return [json.loads(line) for line in text[:whole].splitlines()]
        except ValueError:
            self._file.close()
            raise Problem(
                f"the batch file {path} is damaged", "name another one; what is issued says so itself"
            ) from None

    def note(self, entry: Entry) -> None:
        """Put a step on disk."""
        self._write(asdict(entry))
        self.entries[entry.chip] = entry

    def _write(self, content: dict[str, Any]) -> None:
        self._file.write(json.dumps(content) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def was_begun(self, chip: str) -> bool:
        return chip in self.entries and self.entries[chip].state == BEGUN

    @property
    def issued(self) -> list[Entry]:
        """The cards that are made, registered or not."""
        return [entry for entry in self.entries.values() if entry.state in {ISSUED, REGISTERED}]

    @property
    def unregistered(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.state == ISSUED]

    def close(self) -> None:
        self._file.close()

    # The report.

    def rows(self) -> list[dict[str, Any]]:
        """Return what became of each card."""
        rows = []
        for index, entry in enumerate(self.entries.values(), 1):
            told = {"index": index, **asdict(entry)}
            rows.append({name: told[name] for name in _FIELDS})
        return rows

    def write_report(self, path: Path) -> None:
        """Write the rows as CSV, or as JSON if the file is named so.

        Raises:
            Problem: it cannot be written.
        """
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                if path.suffix == ".json":
                    json.dump(self.rows(), file, indent=2)
                else:
                    table = csv.DictWriter(file, _FIELDS)
                    table.writeheader()
                    table.writerows(self.rows())
        except OSError as error:
            raise Problem(
                f"the report {path} cannot be written: {error.strerror}", "the cards are issued; name another file"
            ) from None
