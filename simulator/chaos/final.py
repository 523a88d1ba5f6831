"""What must hold when a schedule has ended and every day is closed: all that was seen, against all that is in the books."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from clearing.fleet.models import Validator
from clearing.fleet.service import QUARANTINED
from clearing.ingest.models import RawBatch, TapConflict, TapException, TapRow
from protocol.decisions import DECISION_COMMITTED
from protocol.tap import KIND_INTENT, KIND_LOST_RANGE, KIND_OUTCOME, KIND_SINGLE
from simulator.chaos.books import check_books, fares_of
from simulator.chaos.invariants import check_stored_was_journalled
from simulator.chaos.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.tap import Tap
    from simulator.chaos.books import Key
    from simulator.chaos.scene import Scene
    from simulator.chaos.unit import Unit


@dataclass(frozen=True)
class Ride:
    """What somebody saw: a green light, or a card that was debited.

    Attributes:
        excuse: why it need not be in the books; empty when it must be.
    """

    unit: Unit
    sequence: int
    tap: Tap
    excuse: str

    @property
    def key(self) -> Key:
        return self.unit.device, self.unit.epoch, self.sequence

    def __str__(self) -> str:
        return f"{self.unit.name} {self.sequence}"


def rides_seen(scene: Scene) -> list[Ride]:
    """Every ride that was seen, once each: a twin's copy of the past is the original's."""
    stored = scene.stored.chains
    rides: dict[tuple[Key, bytes], Ride] = {}
    for unit in scene.units:
        chain = stored[unit.life].records if unit.life in stored else {}
        for sequence, tap in unit.flash.taps.items():
            is_single = tap.kind == KIND_SINGLE and sequence in unit.accepted
            if is_single or (tap.kind == KIND_INTENT and sequence in unit.debited):
                record = unit.flash.records[sequence]
                excuse = "" if chain.get(sequence) == record else _excuse(scene, unit, sequence)
                ride = Ride(unit, sequence, tap, excuse)
                rides.setdefault((ride.key, record), ride)
    return _without_second_uses(scene, list(rides.values()))


def _without_second_uses(scene: Scene, rides: list[Ride]) -> list[Ride]:
    """Of a code that passed on several validators only one ride counts: the others are excused, if the service says so."""
    with scene.office.database.reading() as session:
        rows = session.scalars(select(TapException).where(TapException.reason == "code_twice"))
        listed = {(row.device_id, row.epoch, row.sequence) for row in rows}
    counting = {_code(ride) for ride in rides if ride.key not in listed and not ride.excuse}
    return [
        replace(ride, excuse="code twice")
        if ride.key in listed and not ride.excuse and ride.tap.kind == KIND_SINGLE and _code(ride) in counting
        else ride
        for ride in rides
    ]


def _code(ride: Ride) -> tuple[bytes | None, int | None]:
    return ride.tap.token, ride.tap.counter


def _excuse(scene: Scene, unit: Unit, sequence: int) -> str:
    if sequence in unit.flash.rotten:
        return "rotten"
    if (unit.life, sequence) in scene.unrefillable:
        return "restored away"
    return "copied" if scene.is_cloned else ""


def check_every_ride_is_cleared(scene: Scene) -> list[str]:
    """Every ride that was seen is cleared, unless its record rotted; a debit may wait for the proof that nobody can give yet."""
    fares = fares_of(scene)
    proof = _Proof(scene)
    return [
        f"{ride} was seen and is not cleared"
        for ride in rides_seen(scene)
        if not ride.excuse and ride.key not in fares and not proof.is_owed(ride)
    ]


class _Proof:
    """What the cards' counters prove, by the debits that are stored."""

    def __init__(self, scene: Scene) -> None:
        self._highest: dict[bytes, int] = {}
        self._devices: dict[tuple[bytes, int], set[bytes]] = {}
        self._ended: set[tuple[str, int]] = set()
        for unit in scene.units:
            stored = scene.stored.chain(unit.life).records
            for sequence, tap in unit.flash.taps.items():
                if stored.get(sequence) != unit.flash.records[sequence]:
                    continue
                if tap.kind == KIND_INTENT:
                    self._add(tap, unit.device)
                elif tap.kind == KIND_OUTCOME and tap.decision == DECISION_COMMITTED and isinstance(tap.reference, int):
                    self._ended.add((unit.name, tap.reference))

    def _add(self, intent: Tap, device: bytes) -> None:
        token, counter = intent.token or b"", intent.counter or 0
        self._highest[token] = max(self._highest.get(token, 0), counter)
        self._devices.setdefault((token, counter), set()).add(device)

    def is_owed(self, ride: Ride) -> bool:
        """Whether nobody can say yet how a debit ended: no later debit of that card is known, or two may be the one."""
        tap = ride.tap
        if tap.kind != KIND_INTENT or tap.token is None or tap.counter is None:
            return False
        if (ride.unit.name, ride.sequence) in self._ended:
            return False
        is_newest = self._highest.get(tap.token, 0) <= tap.counter
        return is_newest or len(self._devices.get((tap.token, tap.counter), ())) > 1


def check_nothing_is_cleared_that_nobody_saw(scene: Scene) -> list[str]:
    """No phantom rides."""
    seen = {ride.key for ride in rides_seen(scene)}
    return [f"{key[1]}/{key[2]} is cleared, and nobody saw it" for key in fares_of(scene) if key not in seen]


def check_purses(scene: Scene) -> list[str]:
    """What a card has paid is what is cleared for it: each card is a witness."""
    fares = fares_of(scene)
    cleared: dict[bytes, int] = {}
    for fare in fares.values():
        if fare.token is not None:
            cleared[fare.token] = cleared.get(fare.token, 0) + fare.charged_minor + fare.correction_minor
    open_minor: dict[bytes, int] = {}
    for ride in rides_seen(scene):
        if ride.tap.token is not None and (ride.excuse or ride.key not in fares):
            open_minor[ride.tap.token] = open_minor.get(ride.tap.token, 0) + (ride.tap.fare_minor or 0)
    faults = []
    for number, holder in enumerate(scene.holders):
        paid = holder.purse_minor - holder.card.balance_minor
        accounted = cleared.get(holder.token, 0) + open_minor.get(holder.token, 0)
        if paid != accounted or paid != sum(holder.card.committed_debits_minor):
            faults.append(f"card {number} has paid {paid}, cleared is {accounted}")
    return faults


def check_fares_are_what_was_shown(scene: Scene) -> list[str]:
    """A rider is charged what the display said."""
    fares = fares_of(scene)
    return [
        f"{ride}: {ride.tap.fare_minor} was taken, {fare.charged_minor} + {fare.correction_minor} is booked"
        for ride in rides_seen(scene)
        if (fare := fares.get(ride.key)) is not None
        and not ride.excuse
        and fare.charged_minor + fare.correction_minor != ride.tap.fare_minor
    ]


def check_everything_stored_was_journalled(scene: Scene) -> list[str]:
    """The same as at every event, over the whole database as it is now."""
    everything = Stored(scene.office.path)
    try:
        taps = everything.catch_up()
        faults = check_stored_was_journalled(scene, taps)
        known = {(tap.life, tap.sequence, tap.record) for tap in taps}
        if not all(
            (life, sequence, record) in known
            for life, chain in scene.stored.chains.items()
            for sequence, record in chain.records.items()
        ):
            faults.append("records that were committed have vanished or changed")
        broken = [life for life, chain in everything.chains.items() if not chain.is_whole]
    finally:
        everything.close()
    return faults + [f"the chain of {device.hex()[:8]} has a hole" for device, _ in broken]


def check_evidence(scene: Scene) -> list[str]:
    """Every tap lies in a raw batch that was kept as it came, and what was lost is on the exceptions list."""
    faults = []
    with scene.office.database.reading() as session:
        raw = {batch.id: batch for batch in session.scalars(select(RawBatch))}
        faults += [
            f"raw batch {batch.id} was changed"
            for batch in raw.values()
            if hashlib.sha256(batch.body).digest() != batch.sha256
        ]
        listed = {
            (row.device_id, row.epoch, row.sequence)
            for row in session.scalars(select(TapException).where(TapException.reason == "lost_range"))
        }
        for tap in session.scalars(select(TapRow)):
            if tap.batch_id not in raw or tap.record not in raw[tap.batch_id].body:
                faults.append(f"record {tap.sequence} is in no raw batch")
            if tap.kind == KIND_LOST_RANGE and (tap.device_id, tap.epoch, tap.sequence) not in listed:
                faults.append(f"records from {tap.sequence} on were lost, and are not on the exceptions list")
    return faults


def check_nobody_is_suspected(scene: Scene) -> list[str]:
    """Only a copied validator is quarantined: whatever else goes wrong is no reason to suspect anybody."""
    if scene.is_cloned:
        return []
    with scene.office.database.reading() as session:
        suspected = session.scalars(select(Validator.vehicle).where(Validator.status == QUARANTINED))
        return [f"{vehicle} is quarantined, and was never copied" for vehicle in suspected]


def check_copies_are_evidence(scene: Scene) -> list[str]:
    """What a copy of a validator recorded is not cleared, but not lost: it is among the conflicts, or still on its flash."""
    with scene.office.database.reading() as session:
        kept = {(row.device_id, row.epoch, row.sequence, row.record) for row in session.scalars(select(TapConflict))}
    return [
        f"{ride} is neither among the conflicts nor on flash"
        for ride in rides_seen(scene)
        if ride.excuse == "copied"
        and not ride.unit.flash.has_rotted
        and ride.sequence not in ride.unit.flash.present
        and (*ride.key, ride.unit.flash.records[ride.sequence]) not in kept
    ]


FINAL: tuple[tuple[str, Callable[[Scene], list[str]]], ...] = (
    ("what is stored was journalled", check_everything_stored_was_journalled),
    ("every accepted tap is cleared", check_every_ride_is_cleared),
    ("no phantom rides", check_nothing_is_cleared_that_nobody_saw),
    ("each card is a witness", check_purses),
    ("charged as shown", check_fares_are_what_was_shown),
    ("the books are right", check_books),
    ("evidence is kept", check_evidence),
    ("nobody is suspected without reason", check_nobody_is_suspected),
    ("copies are evidence", check_copies_are_evidence),
)
