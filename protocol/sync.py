"""The state table of TAP-SYNC/1, for both sides (SPEC.md "Exchange").

Two tables, each by state and event: what comes next, and what is done. Whoever speaks the protocol looks up here what to do, and
does nothing else; so what is not in a table cannot happen, and what is in it can be drawn and tested. Nothing here sends,
waits, reads a clock or keeps anything.

The device. It has one request in flight at most. In three states it rests: IDLE (all is well), BACKING_OFF (it is not, try
again later, never in step with other buses) and MUST_ENROL (the service does not know its key any more: a person must come). When
the time has come, what it does depends on what it knows:

- its key set has expired: nobody's ack could be believed, so the next key set comes first (STALE_KEYS);
- a new key waits to be registered: nothing else is sent before that is answered (ROTATING);
- it is taken out of service and has sent everything: its last word (RETIRING);
- its journal has lost something: it asks how far the service's chain goes (ASKING), since a guess would look like a fork;
- otherwise a batch (WAITING).

The answer becomes one event. An ack counts only if its signature holds, by a key that may sign acks, and if it is for this
device, this epoch and this request; then its status says which event it is. An ack by a key that the key set does not name is
no ack, but a reason to ask for the next key set. Anything else (nothing, garbage, an error answer) is not signed: it never
changes what the device holds, only when it tries again.

MUST_ENROL is no more than a long back-off, and the driver is told: who can put an error answer on the line could otherwise
silence a bus. Taps go on being recorded in every state but RETIRED.

The service, for each device. ACTIVE is the rule. A batch that begins beyond what is stored shows that the device has more than
the service: a backup was restored, or the device asks after a loss; until its records join again the service is BEHIND. Two
different records for one place: the device was copied, or is damaged. It is QUARANTINED: what fits goes on being stored and
acknowledged, flagged, and it gets no secret keys, until two persons have released it; then it must enrol again. What is RETIRED
or REVOKED is heard no more, but for a last word whose answer was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_BUSY,
    STATUS_CLOCK_SUSPECT,
    STATUS_DUP,
    STATUS_EPOCH,
    STATUS_FORK,
    STATUS_GAP,
    STATUS_KEY_EXPIRED,
    STATUS_KID_UNKNOWN,
    STATUS_MAINTENANCE,
    STATUS_OK,
    STATUS_OK_FLAGGED,
    STATUS_RATE,
    STATUS_REVOKED,
    STATUS_TOO_LARGE,
    STATUS_UPGRADE,
    STATUS_WRONG_AUDIENCE,
)
from protocol.compat import const

if TYPE_CHECKING:
    Rows = dict[int, tuple[int, str]]
    Table = dict[int, Rows]

# States of a device.
IDLE = const(0)
BACKING_OFF = const(1)
MUST_ENROL = const(2)
WAITING = const(3)
ASKING = const(4)
STALE_KEYS = const(5)
ROTATING = const(6)
RETIRING = const(7)
RETIRED = const(8)

# It is time to do something: a batch is due; the same where something is lost, where the key set has expired, where a new key
# waits, where the device leaves and has sent everything. Or a technician has enrolled it.
DUE = const(0)
DOUBT = const(1)
EXPIRED = const(2)
NEW_KEY = const(3)
LAST_WORD = const(4)
ENROLLED = const(5)
# An answer has come, or none. The service has less; it is busy; the batch is too large; another version is spoken; the key
# is refused, or again and again; nothing that counts; signed with a key that the set does not name.
TAKEN = const(6)
NOT_TAKEN = const(7)
BEHIND_US = const(8)
LATER = const(9)
SMALLER = const(10)
UPGRADE = const(11)
REFUSED = const(12)
REFUSED_OFTEN = const(13)
NO_ANSWER = const(14)
UNKNOWN_KEY = const(15)
KEYS_TAKEN = const(16)
KEYS_MISSING = const(17)
KEY_REFUSED = const(18)

# What a device does: methods of the firmware's uploader, but for the last one, which is a technician's.
SEND = "send"
ASK = "ask"
FETCH_KEYS = "fetch_keys"
ROTATE = "rotate"
SAY_LAST_WORD = "say_last_word"
GO_ON = "go_on"
GO_BACK = "go_back"
BACK_OFF = "back_off"
WAIT = "wait"
SHRINK = "shrink"
CALL_FOR_HELP = "call_for_help"
ADOPT_KEY = "adopt_key"
DROP_KEY = "drop_key"
ERASE = "erase"
BEGIN = "begin"

_AT_REST: Rows = {
    DUE: (WAITING, SEND),
    DOUBT: (ASKING, ASK),
    EXPIRED: (STALE_KEYS, FETCH_KEYS),
    NEW_KEY: (ROTATING, ROTATE),
    LAST_WORD: (RETIRING, SAY_LAST_WORD),
    ENROLLED: (IDLE, BEGIN),
}
_UNSIGNED: Rows = {
    REFUSED: (BACKING_OFF, BACK_OFF),
    REFUSED_OFTEN: (MUST_ENROL, CALL_FOR_HELP),
    UPGRADE: (BACKING_OFF, CALL_FOR_HELP),
    LATER: (BACKING_OFF, WAIT),
    SMALLER: (BACKING_OFF, SHRINK),
    NO_ANSWER: (BACKING_OFF, BACK_OFF),
    UNKNOWN_KEY: (STALE_KEYS, FETCH_KEYS),
}


def _with(rows: Rows, more: Rows) -> Rows:
    both = dict(rows)
    both.update(more)
    return both


_ANSWERS = _with(_UNSIGNED, {TAKEN: (IDLE, GO_ON), BEHIND_US: (IDLE, GO_BACK), NOT_TAKEN: (BACKING_OFF, BACK_OFF)})

DEVICE: Table = {
    IDLE: _AT_REST,
    BACKING_OFF: _AT_REST,
    MUST_ENROL: _AT_REST,
    # A loss may be noticed only when records are read to be sent.
    WAITING: _with(_ANSWERS, {DOUBT: (ASKING, ASK)}),
    ASKING: _ANSWERS,
    STALE_KEYS: {KEYS_TAKEN: (IDLE, GO_ON), KEYS_MISSING: (BACKING_OFF, BACK_OFF)},
    ROTATING: _with(_UNSIGNED, {TAKEN: (IDLE, ADOPT_KEY), KEY_REFUSED: (BACKING_OFF, DROP_KEY)}),
    RETIRING: _with(_ANSWERS, {TAKEN: (RETIRED, ERASE)}),
    RETIRED: {ENROLLED: (IDLE, BEGIN)},
}

# Status: the event that it is when signed, and when not.
STATUS_EVENTS: dict[int, tuple[int, int]] = {
    STATUS_OK: (TAKEN, NO_ANSWER),
    STATUS_DUP: (TAKEN, NO_ANSWER),
    STATUS_OK_FLAGGED: (TAKEN, NO_ANSWER),
    STATUS_GAP: (BEHIND_US, NO_ANSWER),
    STATUS_FORK: (NOT_TAKEN, NO_ANSWER),
    STATUS_EPOCH: (REFUSED, NO_ANSWER),
    STATUS_BAD_COSE: (NO_ANSWER, NO_ANSWER),
    STATUS_BAD_SIG: (NO_ANSWER, NO_ANSWER),
    STATUS_KID_UNKNOWN: (REFUSED, REFUSED),
    STATUS_REVOKED: (REFUSED, REFUSED),
    STATUS_KEY_EXPIRED: (REFUSED, REFUSED),
    STATUS_WRONG_AUDIENCE: (NO_ANSWER, NO_ANSWER),
    STATUS_BAD_CBOR: (NOT_TAKEN, NO_ANSWER),
    STATUS_TOO_LARGE: (SMALLER, SMALLER),
    STATUS_CLOCK_SUSPECT: (TAKEN, NO_ANSWER),
    STATUS_BUSY: (LATER, NO_ANSWER),
    STATUS_RATE: (LATER, NO_ANSWER),
    STATUS_MAINTENANCE: (LATER, NO_ANSWER),
    STATUS_UPGRADE: (UPGRADE, UPGRADE),
}

# States of a device in the service; RETIRED is one of them, too.
ACTIVE = const(9)
BEHIND = const(10)
QUARANTINED = const(11)
REVOKED = const(12)

# What comes from a device, as the service judges it, or what a person does. ENROLLED is one of these, too.
FITS = const(19)
SIGN_OF_LIFE = const(20)
BEYOND = const(21)
DIFFERS = const(22)
OTHER_EPOCH = const(23)
UNREADABLE = const(24)
SAYS_NEW_KEY = const(25)
SAYS_LAST_WORD = const(26)
IS_REVOKED = const(27)
IS_RELEASED = const(28)

# What the service does, and the status of its answer.
STORE = "store: OK, DUP or OK_FLAGGED"
GREET = "OK"
ASK_FOR_MORE = "GAP"
KEEP_EVIDENCE = "keep as evidence: FORK"
TELL_EPOCH = "EPOCH"
TELL_UNREADABLE = "BAD_CBOR"
TAKE_KEY = "take the key: OK"
LET_GO = "the device may erase itself: OK"
REFUSE = "unsigned: REVOKED"
NOTE = "nothing is sent"

_HEARD: Rows = {
    FITS: (ACTIVE, STORE),
    SIGN_OF_LIFE: (ACTIVE, GREET),
    BEYOND: (BEHIND, ASK_FOR_MORE),
    DIFFERS: (QUARANTINED, KEEP_EVIDENCE),
    OTHER_EPOCH: (ACTIVE, TELL_EPOCH),
    UNREADABLE: (ACTIVE, TELL_UNREADABLE),
    SAYS_NEW_KEY: (ACTIVE, TAKE_KEY),
    SAYS_LAST_WORD: (RETIRED, LET_GO),
    IS_REVOKED: (REVOKED, NOTE),
}
_GONE: Rows = dict.fromkeys(
    (FITS, SIGN_OF_LIFE, BEYOND, DIFFERS, OTHER_EPOCH, UNREADABLE, SAYS_NEW_KEY, SAYS_LAST_WORD), (REVOKED, REFUSE)
)


def _staying(rows: Rows, state: int, events: tuple[int, ...]) -> Rows:
    return _with(rows, {event: (state, rows[event][1]) for event in events})


SERVICE: Table = {
    ACTIVE: _with(_HEARD, {ENROLLED: (ACTIVE, NOTE)}),
    BEHIND: _with(
        _staying(_HEARD, BEHIND, (SIGN_OF_LIFE, BEYOND, OTHER_EPOCH, UNREADABLE, SAYS_NEW_KEY)),
        {ENROLLED: (ACTIVE, NOTE)},
    ),
    # It cannot enrol before it is released.
    QUARANTINED: _with(
        _staying(_HEARD, QUARANTINED, (FITS, SIGN_OF_LIFE, BEYOND, DIFFERS, OTHER_EPOCH, UNREADABLE, SAYS_NEW_KEY)),
        {IS_RELEASED: (REVOKED, NOTE)},
    ),
    RETIRED: _with(
        _staying(_GONE, RETIRED, tuple(_GONE)),
        {
            SAYS_LAST_WORD: (RETIRED, LET_GO),
            IS_REVOKED: (REVOKED, NOTE),
            IS_RELEASED: (REVOKED, NOTE),
            ENROLLED: (ACTIVE, NOTE),
        },
    ),
    REVOKED: _with(_GONE, {IS_RELEASED: (REVOKED, NOTE), ENROLLED: (ACTIVE, NOTE)}),
}

# What the service's judgement of a batch is, by its status.
VERDICT_EVENTS = {
    STATUS_OK: FITS,
    STATUS_DUP: FITS,
    STATUS_GAP: BEYOND,
    STATUS_FORK: DIFFERS,
    STATUS_EPOCH: OTHER_EPOCH,
}


def event_of(status: int, is_signed: bool) -> int:
    """Return the event that an answer with this status is to a device; one that it does not know is no answer."""
    signed, unsigned = STATUS_EVENTS.get(status, (NO_ANSWER, NO_ANSWER))
    return signed if is_signed else unsigned


def next_state(table: Table, state: int, event: int) -> tuple[int, str]:
    """Return the state that follows, and what is done on the way."""
    return table[state][event]
