"""Two doors of one vehicle, and whoever else can put a datagram on its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.loop import Loop
from firmware.neighbours import Neighbours
from firmware.recent_taps import RecentTaps
from protocol.compat import hmac_sha256
from protocol.enrolment import KeyBundle
from protocol.qr.ticket import DAY_S, day_key
from protocol.tap import (
    KIND_REFUSED,
    KIND_SINGLE,
    MEDIUM_QR_SCREEN,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
    Tap,
    encode_tap,
)
from tests.firmware.bench_board import NOW_S, BenchBoard, BenchDatagrams, run_for

if TYPE_CHECKING:
    from typing import Any

DAY = NOW_S // DAY_S
SECRET = b"A-101..."
MASTER = b"qr master"
TOKEN = b"token of a rider"


class Keys:
    """Stands for a membership: what the validators of a vehicle have."""

    def __init__(self, secret: bytes = SECRET, day: int = DAY) -> None:
        self.bundle = KeyBundle(bytes(16), bytes(16), bytes(32), {day: day_key(MASTER, day)}, 1, secret)


class Door:
    """One validator, as far as its neighbours see it."""

    def __init__(self, number: int, boot: int = 1, keys: Any = None) -> None:  # noqa: ANN401
        self.board = BenchBoard()
        self.port = BenchDatagrams()
        self.recent = RecentTaps()
        device = bytes((number,)) * 16
        held: Any = keys or Keys()
        self.neighbours = Neighbours(self.board, self.port, held, device, boot, self.recent)
        self.recent.tell = self.neighbours.tell
        self.loop: Loop | None = None

    def hear(self, *datagrams: bytes) -> dict[str, int]:
        """Return why datagrams are refused now."""
        if self.loop is None:
            self.loop = Loop(self.board)
            self.loop.spawn(self.neighbours.listen(self.loop))
        before = dict(self.neighbours.refused)
        for datagram in datagrams:
            self.port.give(datagram)
        run_for(self.board, self.loop, 1000)
        now = self.neighbours.refused
        return {reason: now[reason] - before.get(reason, 0) for reason in now if now[reason] != before.get(reason, 0)}

    def has_passed(self, tap: Tap) -> bool:
        assert tap.token is not None
        assert tap.counter is not None
        return self.recent.has_passed(tap.token, tap.counter)


def make_tap(sequence: int = 1, **changes: Any) -> Tap:  # noqa: ANN401
    fields: dict[str, Any] = {
        "sequence": sequence,
        "tapped_at_s": NOW_S,
        "clock_quality": 3,
        "uptime_ms": 5000,
        "boot": 1,
        "kind": KIND_SINGLE,
        "medium": MEDIUM_QR_TICKET,
        "token_key_version": 1,
        "token": TOKEN,
        "counter": NOW_S // 30,
        "fare_minor": 13_000,
        "decision": 0,
    }
    fields.update(changes)
    return Tap(**fields)


def told(tap: Tap, door: Door | None = None) -> bytes:
    """Return the datagram by which a door tells of a tap."""
    door = door or Door(2)
    door.recent.remember(tap)
    return door.port.sent[-1]


def test_what_one_door_has_let_in_the_other_door_knows() -> None:
    front, back = Door(1), Door(2)
    front.port.others, back.port.others = [back.port], [front.port]
    ticket, receipt = make_tap(), make_tap(2, medium=MEDIUM_QR_SCREEN, token=b"payment of rider", counter=NOW_S // 60)
    card = make_tap(3, medium=MEDIUM_TRANSPORT_CARD, token=b"card of a rider.", counter=None)
    for tap in (ticket, receipt, card):
        front.recent.remember(tap)
    assert back.hear() == {}
    assert back.has_passed(ticket)
    assert back.has_passed(receipt)
    paid = back.recent.paid.newest(b"card of a rider.")
    assert paid is not None
    assert (paid.sequence, paid.fare_minor) == (3, 13_000)
    assert back.port.sent == [], "what was heard is not told on"
    assert not back.has_passed(make_tap(counter=NOW_S // 30 + 1))


def test_what_a_start_reads_from_the_journal_is_not_told_again() -> None:
    door = Door(1)
    door.recent.recall(1, encode_tap(make_tap()))
    assert door.has_passed(make_tap())
    assert door.port.sent == []


def test_a_datagram_counts_once() -> None:
    here, sender = Door(1), Door(2)
    first, second = told(make_tap(), sender), told(make_tap(2, token=b"another's ticket"), sender)
    assert here.hear(second, second, first) == {"replayed": 2}
    assert not here.has_passed(make_tap()), "what comes late is not believed any more"
    assert here.hear(told(make_tap(3), Door(2, boot=2))) == {}
    assert here.hear(told(make_tap(3), Door(2, boot=1))) == {"replayed": 1}


def test_who_has_not_the_vehicles_key_is_not_believed() -> None:
    here = Door(1)
    other_vehicle = told(make_tap(), Door(2, keys=Keys(b"A-102...")))
    assert here.hear(other_vehicle) == {"forged": 1}
    assert here.hear(told(make_tap(), Door(1))) == {"our own": 1}
    genuine = told(make_tap())
    for index in range(len(genuine)):
        changed = bytearray(genuine)
        changed[index] ^= 1
        assert sum(here.hear(bytes(changed)).values()) == 1, index
    for size in (0, 39, 40, 41, len(genuine) - 1):
        assert sum(here.hear(genuine[:size]).values()) == 1, size
    assert here.hear(bytes(4096)) == {"not the size of one": 1}
    assert not here.has_passed(make_tap())
    here.board.unix_ms_at_boot -= here.board.now_ms
    assert here.hear(genuine) == {}
    assert here.has_passed(make_tap())


def test_only_a_fresh_ride_is_believed() -> None:
    here, sender = Door(1), Door(2)
    assert here.hear(told(make_tap(tapped_at_s=NOW_S - 200), sender)) == {"too old": 1}
    assert here.hear(told(make_tap(tapped_at_s=NOW_S + 200), sender)) == {"too old": 1}
    assert here.hear(told(make_tap(kind=KIND_REFUSED, decision=20), sender)) == {"not a ride": 1}
    assert here.hear(told(make_tap(token=None, token_key_version=None), sender)) == {"not a ride": 1}
    key = hmac_sha256(day_key(MASTER, DAY), b"neighbours" + SECRET)
    head = b"JQN1" + b"\x02" * 8 + b"".join([number.to_bytes(4, "big") for number in (DAY, 1, 99)])
    junk = head + b"no record"
    assert here.hear(junk + hmac_sha256(key, junk)[:16]) == {"not a tap": 1}
    assert not here.has_passed(make_tap())


def test_a_flood_is_not_looked_at_and_passes() -> None:
    here = Door(1)
    flood = [bytes(60)] * 1000
    refused = here.hear(*flood)
    assert refused["too many"] > 900
    assert refused["not a neighbour's"] <= 16
    assert len(here.board.logged) == 2, "each reason is logged once"
    assert here.hear(told(make_tap())) == {}
    assert here.has_passed(make_tap())


def test_more_doors_than_a_vehicle_has_are_not_remembered() -> None:
    here = Door(1)
    for number in range(2, 10):
        assert here.hear(told(make_tap(), Door(number))) == {}
    assert here.hear(told(make_tap(), Door(10))) == {"too many doors": 1}


def test_without_keys_of_the_day_nothing_is_told_or_believed() -> None:
    for keys in (Keys(bytes(8)), Keys(day=DAY - 1)):
        door = Door(1, keys=keys)
        door.recent.remember(make_tap())
        assert door.port.sent == []
        assert door.hear(told(make_tap())) == {"of a day without a key": 1}
        assert door.has_passed(make_tap()), "its own are known all the same"
