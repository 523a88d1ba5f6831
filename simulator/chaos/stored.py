"""What is durable in the back office: read from the database on a connection of its own, which sees only what was committed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocol.batch import genesis_head, next_head
from protocol.tap import KIND_LOST_RANGE

if TYPE_CHECKING:
    from pathlib import Path

Life = tuple[bytes, int]
_NEW_TAPS = (
    "SELECT rowid, device_id, epoch, sequence, record, kind, reference_last FROM tap WHERE rowid > ? ORDER BY rowid"
)

_CONFLICT = "SELECT 1 FROM tap_conflict WHERE device_id = ? AND epoch = ? AND sequence = ? AND record = ?"


@dataclass(frozen=True)
class StoredTap:
    """A record of a validator that was committed."""

    life: Life
    sequence: int
    last: int
    record: bytes


@dataclass
class Chain:
    """The stored journal of one life (device, epoch) of a validator.

    Attributes:
        mark: every record up to it is stored.
        head: chain head there.
        is_whole: no record is missing below the mark.
    """

    head: bytes
    mark: int = 0
    is_whole: bool = True
    records: dict[int, bytes] = field(default_factory=dict)


class Stored:
    """The account of what is stored.

    Attributes:
        chains: by life.
        ever: (life, sequence, record) of all that was ever committed, restored away since or not.
    """

    def __init__(self, database: Path) -> None:
        self._path = database
        self.ever: set[tuple[Life, int, bytes]] = set()
        self._highest: dict[Life, int] = {}
        self.open()

    def open(self) -> None:
        """Look at the database anew: it is another file."""
        self.connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, isolation_level=None)
        self._last_row = 0
        self.chains: dict[Life, Chain] = {}

    def close(self) -> None:
        self.connection.close()

    def chain(self, life: Life) -> Chain:
        if life not in self.chains:
            self.chains[life] = Chain(genesis_head(*life))
        return self.chains[life]

    def highest(self, life: Life) -> int:
        """The highest mark that was ever durable, restored away since or not."""
        return self._highest.get(life, 0)

    def epoch_of(self, device: bytes) -> int:
        """The epoch in which the service knows a validator."""
        row = self.connection.execute("SELECT epoch FROM validator WHERE device_id = ?", (device,)).fetchone()
        return int(row[0])

    def status_of(self, device: bytes) -> str:
        """How the service stands to a validator."""
        row = self.connection.execute("SELECT status FROM validator WHERE device_id = ?", (device,)).fetchone()
        return str(row[0])

    def is_evidence(self, life: Life, sequence: int, record: bytes) -> bool:
        """Whether a record is kept among the conflicts: another holds its place in the chain."""
        return self.connection.execute(_CONFLICT, (*life, sequence, record)).fetchone() is not None

    def catch_up(self) -> list[StoredTap]:
        """Read what was committed since the last time, and return it."""
        fresh = []
        for row, device, epoch, sequence, record, kind, reference_last in self.connection.execute(
            _NEW_TAPS, (self._last_row,)
        ):
            self._last_row = row
            last = reference_last if kind == KIND_LOST_RANGE else sequence
            fresh.append(StoredTap((device, epoch), sequence, last, record))
            self._add(fresh[-1])
        return fresh

    def _add(self, tap: StoredTap) -> None:
        chain = self.chain(tap.life)
        chain.is_whole = chain.is_whole and tap.sequence == chain.mark + 1
        chain.mark = max(chain.mark, tap.last)
        chain.head = next_head(chain.head, tap.record)
        chain.records[tap.sequence] = tap.record
        self.ever.add((tap.life, tap.sequence, tap.record))
        self._highest[tap.life] = max(self._highest.get(tap.life, 0), chain.mark)
