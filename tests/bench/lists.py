"""A deny list of a million: how long a look-up takes on a device, what is sent and kept, and what the office spends to issue one.

The look-ups run in a file on a disk that the system holds in memory: the processor's share, not that of a flash chip. Each asks
for one that is listed, one that is not, one that was added since and one that was taken off.
"""

from __future__ import annotations

import hashlib
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from clearing.access.roles import Caller
from clearing.clock import FixedClock
from clearing.commands import prepare
from clearing.database import Database
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.kept_lists import find_delta, find_part
from clearing.fleet.keys import open_keys
from clearing.fleet.lists import issue_list, sign_whole
from clearing.media.service import add_to_list, listed_tokens
from protocol.limits import LIST_DELTA_ENTRIES_MAX
from protocol.medium_list import LIST_DENY, make_list
from tests.bench.child import RUNTIMES, run_in
from tests.bench.machine import DISK
from tests.bench.table import Table
from tests.builders import CITY, NOW_MS

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from clearing.fleet.keys import KeyStore
    from tests.bench.table import Tell

_MEDIA = 1_000_000
_CHANGES = 1000
_ROUNDS = 500
_PUT_AT_ONCE = 10_000
_LIMIT_MS = 5
_DENIALS = 13
_SOURCE = """
import hashlib
from firmware.boards.desktop import FileStore
from firmware.token_list import ChangedList, StoredList

def token(number):
    return hashlib.sha256(number.to_bytes(4, "big")).digest()[:16]

store = FileStore("{folder}")
base = StoredList(store, "base", 1, 1, 0, {media})
added = StoredList(store, "changes", 1, 0, 0, {changes})
removed = StoredList(store, "changes", 1, 0, 0, {changes}, {changes} * 8)
held = ChangedList(base, 2, added, removed)
spans = []
for number in range({rounds}):
    asked = ((number * 1999 + {changes}, True), (number + 3 * {media}, False), ({media} + number, True), (number, False))
    for each, expected in asked:
        wanted = token(each)
        begun = ticks()
        found = held.holds(wanted)
        spans.append(ticks() - begun)
        assert found == expected, each
spans.sort()
print(spans[len(spans) // 2], spans[len(spans) * 99 // 100], spans[-1])
"""


def measure(tell: Tell) -> Table:
    """Measure look-ups, bytes and the issue."""
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        folder = Path(name)
        issued = _issue(folder, tell)  # first: what a list is made from in one piece would hide what the issue needs
        rows = [*_look_ups(folder, tell), *issued]
    note = (
        f"{_MEDIA} entries in a file, {_CHANGES} added and {_CHANGES} removed beside it; the limit of a look-up is "
        f"{_LIMIT_MS} ms. No flash chip was measured: a look-up reads some four times 256 bytes of the list, and some of "
        "the changes; at 40 MHz each takes 60 µs more. Issue: SQLite on a disk; tokens are read from the table, the list "
        "is signed in parts, and the change from the number before; memory is what it needed beyond the most that the "
        "process had before. A denial signs its change alone; the list is signed whole after a dozen of them."
    )
    return Table("A deny list of a million", ("measure", "p50", "p99", "most", "unit"), rows, note)


def _token(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4, "big")).digest()[:16]


def _look_ups(folder: Path, tell: Tell) -> list[tuple[str | float | None, ...]]:
    entries = make_list(LIST_DENY, 1, 0, map(_token, range(_MEDIA))).entries
    (folder / "base").write_bytes(entries)
    changes = [make_list(LIST_DENY, 0, 0, map(_token, range(first, first + _CHANGES))) for first in (_MEDIA, 0)]
    (folder / "changes").write_bytes(b"".join(bytes(each.entries) for each in changes))
    rows: list[tuple[str | float | None, ...]] = [("limit: a look-up", _LIMIT_MS, _LIMIT_MS, _LIMIT_MS, "ms")]
    for runtime in RUNTIMES:
        tell(f"look-ups on {runtime}")
        source = _SOURCE.format(folder=folder, media=_MEDIA, changes=_CHANGES, rounds=_ROUNDS)
        spans = run_in(runtime, source)
        rows.append((f"look-up on {runtime}", *(each / 1000 for each in spans), "ms"))
    rows.append(("flash: list, changes at most", len(entries) + 48, None, 3 * _CHANGES * 8 + 48, "bytes"))
    return rows


def _issue(folder: Path, tell: Tell) -> list[tuple[str | float | None, ...]]:
    """Issue the list, and again with a few more on it."""
    keys, database = open_keys(folder / "keys.json"), Database(f"sqlite:///{folder / 'jolaqy.db'}")
    clock = FixedClock(NOW_MS)
    prepare(database, keys, clock.now_ms(), [CITY])
    rows: list[tuple[str | float | None, ...]] = []
    for first, last, what in (
        (0, _MEDIA, "list"),
        (_MEDIA, _MEDIA + 10, "change of 10"),
        (_MEDIA + 10, _MEDIA + 10 + LIST_DELTA_ENTRIES_MAX, f"change of {LIST_DELTA_ENTRIES_MAX}"),
    ):
        tell(f"issue: {what}")
        with database.writing() as session:
            _deny(session, range(first, last))
        before_kb, begun = _peak_kb(), time.monotonic()
        number = _issue_once(database, keys, clock.now_ms())
        seconds, grown_mb = time.monotonic() - begun, (_peak_kb() - before_kb) / 1024
        with database.reading() as session:
            rows.append((f"sent: {what}", _sent(session, number, first), None, None, "bytes"))
        rows.append((f"issued: {what}", seconds, None, None, "s"))
        rows.append((f"issued: {what}: memory", grown_mb, None, None, "MB"))
    rows += _denials(database, keys, clock.now_ms(), tell)
    database.close()
    return rows


def _denials(database: Database, keys: KeyStore, now_ms: int, tell: Tell) -> list[tuple[str | float | None, ...]]:
    """Deny one more and one more, as an operator does, and sign the list whole afterwards."""
    tell("one denial")
    caller = Caller("bench", "bench", ())
    spans = []
    for number in range(_DENIALS):
        token = _token(5 * _MEDIA + number)
        begun = time.monotonic()
        with database.writing() as session:
            add_to_list(session, keys, caller, now_ms, DENY_LIST, CITY, [token], "lost")
        spans.append(time.monotonic() - begun)
    tell("signed whole afterwards")
    begun = time.monotonic()
    assert sign_whole(database, keys, DENY_LIST, CITY)
    spans.sort()
    return [
        ("denied: one more, the city locked", spans[len(spans) // 2], None, spans[-1], "s"),
        ("signed whole afterwards, mostly unlocked", time.monotonic() - begun, None, None, "s"),
    ]


def _deny(session: Session, numbers: range) -> None:
    statement = text("INSERT INTO deny_entry (city, token, reason, added_at_ms) VALUES (:city, :token, 'lost', 0)")
    for start in range(numbers.start, numbers.stop, _PUT_AT_ONCE):
        some = range(start, min(start + _PUT_AT_ONCE, numbers.stop))
        session.execute(statement, [{"city": CITY, "token": _token(number)} for number in some])


def _issue_once(database: Database, keys: KeyStore, now_ms: int) -> int:
    with database.writing() as session:
        return issue_list(session, keys, DENY_LIST, CITY, listed_tokens(session, DENY_LIST, CITY), now_ms)


def _sent(session: Session, number: int, first: int) -> int:
    """Bytes of the list whole, or of the change from the number before."""
    if first:
        return len(find_delta(session, DENY_LIST, number, number - 1) or b"")
    size, part = 0, 1
    while body := find_part(session, DENY_LIST, number, part):
        size, part = size + len(body), part + 1
    return size


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
