"""What must hold of a simulated world, one function for each; each returns all faults it finds.

The first part is asked at every event that it speaks of, the second when the schedule has ended: faults have stopped, every
validator has come home, the days are closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import TapError
from protocol.tap import CLOCK_SYNCHRONISED, KIND_INTENT, KIND_LOST_RANGE, decode_tap, last_sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from protocol.ack import Ack
    from protocol.tap import Tap
    from simulator.chaos.scene import Scene
    from simulator.chaos.stored import StoredTap
    from simulator.chaos.unit import Unit

# An ack may be ten seconds old when its time is taken.
_CLOCK_OFF_MS_MAX = 12_000
_KEPT_S = 86_400
# Half a sector: with less left, a journal may make room ahead of need.
_SLOTS_LEFT = 16
TRAILER_BYTES = 48

# At every event.


def check_light_is_durable(unit: Unit, sequence: int) -> list[str]:
    """A green light's record is on flash, or was stored by the back office; so is the outcome of a debit."""
    flash = unit.flash
    record = flash.records.get(sequence)
    if record is None:
        return [f"{unit.name}: green for {sequence}, which was never on flash"]
    if sequence not in flash.present and not unit.was_stored(sequence, record):
        return [f"{unit.name}: green for {sequence}, which is neither on flash nor stored"]
    if flash.taps[sequence].kind == KIND_INTENT and not flash.outcomes.get(sequence):
        return [f"{unit.name}: green for {sequence}, a debit without an outcome"]
    return []


def check_erased_was_stored(unit: Unit, sequences: Iterable[int]) -> list[str]:
    """Nothing is erased that the back office has not stored."""
    lost = [
        sequence
        for sequence in sequences
        if sequence not in unit.flash.rotten and not unit.was_stored(sequence, unit.flash.records[sequence])
    ]
    return [f"{unit.name}: erases {lost[0]} to {lost[-1]}, which nobody has stored"] if lost else []


def check_day_is_kept(unit: Unit, sequences: Sequence[int]) -> list[str]:
    """What was acknowledged stays for a day while there is room: a service restored from its backup gets it again."""
    flash, rtc = unit.flash, unit.rtc
    if not sequences or not flash.is_sound or rtc.jumped or rtc.is_dead or unit.board is None:
        return []
    last = flash.taps[sequences[-1]]
    age_s = unit.board.clock()[0] - last.tapped_at_s
    if last.clock_quality == CLOCK_SYNCHRONISED and age_s < _KEPT_S and flash.slots_left() > _SLOTS_LEFT:
        return [
            f"{unit.name}: erases {sequences[0]} to {sequences[-1]} after {age_s} s, and has {flash.slots_left()} slots"
        ]
    return []


def check_list(scene: Scene, unit: Unit) -> list[str]:
    """A list that a validator puts into force is the one that was issued under its number."""
    data = unit.files.get("deny-list.next", b"")
    tokens, trailer = data[:-TRAILER_BYTES], data[-TRAILER_BYTES:]
    number = int.from_bytes(trailer[5:9], "big")
    issued = scene.changes.lists.get(number)
    return [] if issued is None or tokens in issued else [f"{unit.name}: list {number} is not what was issued"]


def check_may_leave(scene: Scene, unit: Unit) -> list[str]:
    """A validator erases itself only when the service has let it go, and has everything."""
    faults = [] if scene.stored.status_of(unit.device) == "retired" else [f"{unit.name} leaves, and nobody let it go"]
    newest, mark = max(unit.flash.records, default=0), scene.stored.chain(unit.life).mark
    return faults if newest <= mark else [*faults, f"{unit.name} leaves with {newest}, stored is {mark}"]


def check_nothing_is_forgotten(unit: Unit) -> list[str]:
    """After a start the journal goes on behind everything that was ever whole on flash."""
    assert unit.journal is not None
    newest = max(unit.flash.records, default=0)
    if unit.journal.next_sequence <= newest:
        return [f"{unit.name}: starts at {unit.journal.next_sequence}, but {newest} was written"]
    return []


def check_debit_has_intent(unit: Unit, intent: int | None) -> list[str]:
    """A card is told to commit only after the intent is durable, each intent once."""
    if intent is None or intent in unit.debited or intent in unit.flash.outcomes:
        return [f"{unit.name}: a card was debited without an intent of its own on flash"]
    return []


def check_clock(unit: Unit, tap: Tap, now_ms: int) -> list[str]:
    """A clock that a record calls synchronised is right, unless somebody moved it since."""
    off_ms = abs(tap.tapped_at_s * 1000 - now_ms)
    if tap.clock_quality == CLOCK_SYNCHRONISED and not unit.rtc.jumped and off_ms > _CLOCK_OFF_MS_MAX:
        return [
            f"{unit.name}: the clock of record {tap.sequence} is {off_ms // 1000} s off, and calls itself synchronised"
        ]
    return []


def check_marks(scene: Scene) -> list[str]:
    """No validator holds more for acknowledged than was ever durable."""
    faults = []
    for unit in scene.units:
        if unit.board is None or unit.journal is None:
            continue
        acked = unit.journal.acked
        if acked > scene.stored.highest(unit.life):
            faults.append(f"{unit.name}: holds {acked} for acknowledged, {scene.stored.highest(unit.life)} is durable")
    return faults


def check_ack_is_durable(scene: Scene, ack: Ack) -> list[str]:
    """Everything up to the sequence of a signed ack is stored, and its head is the chain over that."""
    chain = scene.stored.chain((ack.device, ack.epoch))
    if ack.sequence > chain.mark or not chain.is_whole:
        return [f"an ack for {ack.sequence}, but {chain.mark} is durable"]
    if ack.sequence == chain.mark and ack.head != chain.head:
        return [f"an ack for {ack.sequence} whose head is not the chain over what is stored"]
    return []


def check_stored_was_journalled(scene: Scene, fresh: Iterable[StoredTap]) -> list[str]:
    """What is stored is what some validator of that name wrote, in its place; and only what rotted is lost."""
    faults = []
    for tap in fresh:
        units = [unit for unit in scene.units if unit.life == tap.life]
        if not units and tap.sequence <= scene.stage.stolen.mark:
            continue  # it lay on the stage
        if any(unit.flash.records.get(tap.sequence) == tap.record for unit in units):
            continue
        lost = _lost_range(tap.record)
        if lost is None:
            faults.append(f"record {tap.sequence} was stored, but never journalled")
            continue
        healthy = [each for each in lost if not any(_may_be_lost(scene, unit, each) for unit in units)]
        if healthy:
            faults.append(f"records {healthy} were given up for lost, and are not")
    return faults


def _lost_range(record: bytes) -> range | None:
    try:
        tap = decode_tap(record)
    except TapError:
        return None
    return range(tap.sequence, last_sequence(tap) + 1) if tap.kind == KIND_LOST_RANGE else None


def _may_be_lost(scene: Scene, unit: Unit, sequence: int) -> bool:
    flash = unit.flash
    return (
        sequence in flash.rotten
        or sequence not in flash.records
        or (sequence not in flash.present and (unit.life, sequence) in scene.unrefillable)
    )


def is_drained(scene: Scene, unit: Unit) -> bool:
    """Whether all that a validator recorded is stored, or what its twin recorded in its place."""
    if unit.board is None or unit.journal is None:
        return False
    chain = scene.stored.chain(unit.life)
    if unit.journal.acked == unit.journal.next_sequence - 1 == chain.mark:
        return True
    twins = [twin for twin in scene.units if twin is not unit and twin.life == unit.life and twin.journal is not None]
    return any(twin.journal is not None and twin.journal.acked == chain.mark for twin in twins)


def check_drained(scene: Scene, units: Iterable[Unit]) -> list[str]:
    """When faults have stopped, everything that was recorded is stored within a bounded time."""
    return [
        f"{unit.name} has {unit.journal.next_sequence - 1 if unit.journal else 0}, "
        f"stored is {scene.stored.chain(unit.life).mark}"
        for unit in units
        if not is_drained(scene, unit)
    ]
