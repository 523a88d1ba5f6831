"""Draws the state tables of `protocol.sync` as text, as SPEC.md "Exchange" has them: `python -m protocol.sync_drawing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import sync

if TYPE_CHECKING:
    from protocol.sync import Rows, Table

STATES = {
    sync.IDLE: "idle",
    sync.BACKING_OFF: "backing off",
    sync.MUST_ENROL: "must enrol",
    sync.WAITING: "waiting",
    sync.ASKING: "asking",
    sync.STALE_KEYS: "stale keys",
    sync.ROTATING: "rotating",
    sync.RETIRING: "retiring",
    sync.RETIRED: "retired",
    sync.ACTIVE: "active",
    sync.BEHIND: "behind",
    sync.QUARANTINED: "quarantined",
    sync.REVOKED: "revoked",
}
EVENTS = {
    sync.DUE: "due",
    sync.DOUBT: "due, and something is lost",
    sync.EXPIRED: "due, and the key set has expired",
    sync.NEW_KEY: "due, and a new key waits",
    sync.LAST_WORD: "due, it leaves and has sent all",
    sync.ENROLLED: "enrolled",
    sync.TAKEN: "taken",
    sync.NOT_TAKEN: "not taken",
    sync.BEHIND_US: "the service has less",
    sync.LATER: "come later",
    sync.SMALLER: "too large",
    sync.UPGRADE: "another version is spoken",
    sync.REFUSED: "refused",
    sync.REFUSED_OFTEN: "refused again and again",
    sync.NO_ANSWER: "no answer that counts",
    sync.UNKNOWN_KEY: "signed with a key not in the set",
    sync.KEYS_TAKEN: "the next key set is there",
    sync.KEYS_MISSING: "no next key set",
    sync.KEY_REFUSED: "the new key is refused",
    sync.FITS: "records that join, or are there",
    sync.SIGN_OF_LIFE: "no records",
    sync.BEYOND: "begins beyond what is stored",
    sync.DIFFERS: "differs from what is stored",
    sync.OTHER_EPOCH: "of another epoch",
    sync.UNREADABLE: "not what it should be",
    sync.SAYS_NEW_KEY: "a new key",
    sync.SAYS_LAST_WORD: "a last word, and all is stored",
    sync.IS_REVOKED: "revoked by a person",
    sync.IS_RELEASED: "released by two persons",
}


def draw() -> str:
    """Return both tables as text."""
    return _draw("DEVICE", sync.DEVICE) + "\n\n" + _draw("SERVICE", sync.SERVICE)


def _draw(title: str, table: Table) -> str:
    """Draw each state once: with those that do the same, and as another one where little differs."""
    lines = [title]
    drawn: list[int] = []
    for state in _ordered(table):
        rows = table[state]
        if [each for each in drawn if table[each] == rows]:
            continue
        like = _most_like(table, rows, drawn)
        head = ", ".join([STATES[each] for each in _ordered(table) if table[each] == rows])
        lines.append("  " + head + ("" if like is None else ", as " + STATES[like] + " but for"))
        lines += [_line(event, rows) for event in sorted(_differing(rows, {} if like is None else table[like]))]
        drawn.append(state)
    return "\n".join(lines)


def _ordered(table: Table) -> list[int]:
    # MicroPython's dictionaries have no order; and what has gone comes last.
    return sorted(table, key=lambda state: (state in {sync.RETIRED, sync.REVOKED}, state))


def _differing(rows: Rows, other: Rows) -> list[int]:
    return [event for event in set(rows) | set(other) if rows.get(event) != other.get(event)]


def _most_like(table: Table, rows: Rows, drawn: list[int]) -> int | None:
    """Return the state that has most in common, or None where too little is."""
    best, least = None, len(rows)
    for state in drawn:
        differing = len(_differing(rows, table[state]))
        if differing < least:
            best, least = state, differing
    return best


def _line(event: int, rows: Rows) -> str:
    start = "    " + _padded(EVENTS[event], 32)
    if event not in rows:
        return start + " ──  never"
    following, does = rows[event]
    return start + " ── " + _padded(does, 31) + " ─► " + STATES[following]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - len(text))


if __name__ == "__main__":
    print(draw())
