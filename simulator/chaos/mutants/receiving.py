"""Mutants of the service's way from a message to its ack."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from clearing.fleet.keys import OneKeyVerifier
from clearing.fleet.models import Validator, ValidatorKey
from clearing.ingest.models import TapRow
from clearing.ingest.receiver import Answer, Receiver
from clearing.ingest.run import Run, place_records
from clearing.ingest.store import Receipt, store_batch
from protocol import cose
from protocol.ack import STATUS_OK
from protocol.batch import decode_batch, next_head
from protocol.cose import TYP_BATCH, verify1
from protocol.decisions import DECISION_COMMITTED, DECISION_NOT_COMMITTED, DECISION_OUTCOME_UNKNOWN
from protocol.errors import ProtocolError
from protocol.tap import CLOCK_UNKNOWN
from simulator.chaos.mutants.mutant import Mutants
from simulator.chaos.office import ServerCrash

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from simulator.chaos.parts import Parts

    Before = Callable[[Session, Run, Validator], Run]
    After = Callable[[Session, Run, Receipt], Receipt]

RECEIVING = Mutants()
_mutant = RECEIVING.needing
_AHEAD_S = 300


def _unchanged_run(_session: Session, run: Run, _validator: Validator) -> Run:
    return run


def _unchanged_receipt(_session: Session, _run: Run, receipt: Receipt) -> Receipt:
    return receipt


def _edit(parts: Parts, before: Before = _unchanged_run, after: After = _unchanged_receipt) -> None:
    """Hand in a receiver that does something of its own in the transaction, before or after the right thing."""

    class Edited(Receiver):
        def store(self, message: bytes, run: Run) -> Receipt:
            with self._database.writing() as session:
                run = before(session, run, session.get_one(Validator, run.batch.device))
                return after(session, run, store_batch(session, message, run, self._clock.now_ms()))

    parts.office.receiver = Edited


def _refuse() -> None:
    raise OperationalError("refused", None, Exception())


def _promise(run: Run) -> Receipt:
    """An ack for the whole batch, whatever became of it."""
    batch = run.batch
    last = run.placed[-1].last if run.placed else batch.first_sequence - 1
    return Receipt(batch.device, "almaty", batch.epoch, last, batch.head_after, STATUS_OK, batch.nonce)


# Acks that promise too much.


@_mutant("crash")
def ack_before_commit(parts: Parts) -> None:
    """The ack leaves while the transaction is still open: a crash in between, and only the validator believes in the taps."""

    class Broken(Receiver):
        def store(self, message: bytes, run: Run) -> Receipt:
            try:
                return super().store(message, run)
            except ServerCrash:
                return _promise(run)

    parts.office.receiver = Broken


@_mutant("busy")
def ack_for_what_was_rolled_back(parts: Parts) -> None:
    """Success is answered and nothing stored, since an error of the database was swallowed (steve 1294)."""

    class Broken(Receiver):
        def store(self, message: bytes, run: Run) -> Receipt:
            try:
                return super().store(message, run)
            except OperationalError:
                return _promise(run)

    parts.office.receiver = Broken


@_mutant("restore")
def mark_kept_in_memory(parts: Parts) -> None:
    """The mark is acknowledged from a cache beside the database, which knows nothing of a restored backup."""
    highest: dict[bytes, Receipt] = {}

    def after(_session: Session, _run: Run, receipt: Receipt) -> Receipt:
        known = highest.get(receipt.device)
        if known is not None and known.sequence > receipt.sequence:
            return replace(receipt, sequence=known.sequence, head=known.head)
        highest[receipt.device] = receipt
        return receipt

    _edit(parts, after=after)


@_mutant()
def ack_one_too_high(parts: Parts) -> None:
    """The ack names the next sequence instead of the last one."""
    _edit(parts, after=lambda _session, _run, receipt: replace(receipt, sequence=receipt.sequence + 1))


@_mutant()
def ack_one_too_low(parts: Parts) -> None:
    """The last record of a batch is never acknowledged, and sent for ever."""

    def after(_session: Session, run: Run, receipt: Receipt) -> Receipt:
        if not run.placed or run.placed[-1].last != receipt.sequence:
            return receipt
        head = run.placed[-2].head if len(run.placed) > 1 else run.batch.head_before
        return replace(receipt, sequence=receipt.sequence - 1, head=head)

    _edit(parts, after=after)


# Who may speak.


@_mutant("forge_request")
def signature_not_checked(parts: Parts) -> None:
    """Whatever names a known validator is believed."""

    class Broken(Receiver):
        def receive(self, message: bytes) -> Answer:
            answer = super().receive(message)
            try:
                batch = decode_batch(cose.parse(message).payload)
            except ProtocolError:
                return answer
            return answer if answer.is_ack else self.acknowledge(self.store(message, place_records(batch)))

    parts.office.receiver = Broken


@_mutant("forge_request")
def audience_not_checked(parts: Parts) -> None:
    """A message signed for another city is taken here, too."""

    class Broken(Receiver):
        def receive(self, message: bytes) -> Answer:
            answer = super().receive(message)
            try:
                kid = cose.parse(message).kid
                with self._database.reading() as session:
                    key = session.get(ValidatorKey, kid)
                if answer.is_ack or key is None or key.x is None or key.y is None:
                    return answer
                payload = verify1(message, TYP_BATCH, "astana", OneKeyVerifier(kid, key.x, key.y))
            except ProtocolError:
                return answer
            return self.acknowledge(self.store(message, place_records(decode_batch(payload))))

    parts.office.receiver = Broken


# What joins the chain.


@_mutant("repeat_request")
def repeated_batch_stored_twice(parts: Parts) -> None:
    """The server gives the numbers, so a batch that comes twice is two (libocpp 495)."""

    def before(_session: Session, run: Run, validator: Validator) -> Run:
        if not run.placed or run.placed[0].sequence > validator.acked_sequence:
            return run
        batch, head, placed = copy.copy(run.batch), validator.head, []
        batch.head_before, batch.first_sequence = head, validator.acked_sequence + 1
        for sequence, each in enumerate(run.placed, batch.first_sequence):
            head = next_head(head, each.record)
            placed.append(replace(each, sequence=sequence, last=sequence, head=head))
        return Run(batch, placed, STATUS_OK)

    _edit(parts, before)


@_mutant("restore", "lose_answer")
def gap_accepted(parts: Parts) -> None:
    """The sequence is received and ignored: a batch from beyond the mark is taken, and the mark jumps (lbbrhzn/ocpp 2135)."""

    def before(_session: Session, run: Run, validator: Validator) -> Run:
        if run.batch.first_sequence > validator.acked_sequence + 1:
            validator.acked_sequence, validator.head = run.batch.first_sequence - 1, run.batch.head_before
        return run

    _edit(parts, before)


@_mutant("clone")
def fork_overwrites(parts: Parts) -> None:
    """The later one of two contradicting chains wins, and what the first one said is gone."""

    def before(session: Session, run: Run, validator: Validator) -> Run:
        if not run.placed or run.batch.first_sequence > validator.acked_sequence:
            return run
        session.execute(
            delete(TapRow).where(
                TapRow.device_id == validator.device_id,
                TapRow.epoch == validator.epoch,
                TapRow.sequence >= run.batch.first_sequence,
            )
        )
        validator.acked_sequence, validator.head = run.batch.first_sequence - 1, run.batch.head_before
        return run

    _edit(parts, before)


@_mutant("clone")
def upsert_instead_of_check(parts: Parts) -> None:
    """INSERT … ON CONFLICT UPDATE: a record with a known key replaces the one that is there."""

    def before(session: Session, run: Run, validator: Validator) -> Run:
        for each in run.placed:
            key = (validator.device_id, validator.epoch, each.sequence)
            row = session.get(TapRow, key)
            if row is not None and row.record != each.record:
                row.record = each.record
        session.flush()
        return run

    _edit(parts, before)


@_mutant("re_enrol", "replay_request")
def epoch_ignored_by_the_service(parts: Parts) -> None:
    """Records of a validator's earlier life are held against its present one."""

    def before(_session: Session, run: Run, validator: Validator) -> Run:
        run.batch.epoch = validator.epoch
        return run

    _edit(parts, before)


@_mutant("clock_jump")
def service_orders_by_clock(parts: Parts) -> None:
    """The records of a batch are put in the order of their clocks."""

    def before(_session: Session, run: Run, _validator: Validator) -> Run:
        placed = sorted(run.placed, key=lambda each: each.tap.tapped_at_s if each.tap is not None else 0)
        return Run(run.batch, placed, run.status)

    _edit(parts, before)


# Bad records.


@_mutant("clock_jump")
def future_dated_tap_blocks(parts: Parts) -> None:
    """One event from the future is refused until its time has come, and all others wait behind it (EVerest/libocpp 420)."""

    def before(_session: Session, run: Run, validator: Validator) -> Run:
        now_s = (validator.last_seen_ms or 0) // 1000
        ahead = [each for each in run.placed if each.tap is not None and each.tap.tapped_at_s > now_s + _AHEAD_S]
        if ahead and now_s:
            _refuse()
        return run

    _edit(parts, before)


@_mutant("clock_dead")
def bad_tap_blocks_the_chain(parts: Parts) -> None:
    """A record that does not please is refused with its batch, for ever (steve 134)."""

    def before(_session: Session, run: Run, _validator: Validator) -> Run:
        if any(each.tap is not None and each.tap.clock_quality == CLOCK_UNKNOWN for each in run.placed):
            _refuse()
        return run

    _edit(parts, before)


@_mutant("clock_dead")
def exception_drops_the_tap(parts: Parts) -> None:
    """What is on the exceptions list is not among the taps: time regressions are dropped silently (steve 1963)."""

    def after(session: Session, run: Run, receipt: Receipt) -> Receipt:
        session.execute(
            delete(TapRow).where(TapRow.device_id == run.batch.device, TapRow.clock_quality == CLOCK_UNKNOWN)
        )
        return receipt

    _edit(parts, after=after)


@_mutant()
def raw_batch_not_stored(parts: Parts) -> None:
    """The taps are stored, and the signed message that proves them is not."""

    class Broken(Receiver):
        def store(self, message: bytes, run: Run) -> Receipt:
            del message
            return super().store(b"", run)

    parts.office.receiver = Broken


@_mutant("torn", "cut_in_tap", "walks_away")
def unknown_outcome_is_no_ride(parts: Parts) -> None:
    """Whoever does not hear "committed" takes the debit for not made: the card has paid, and nobody rode."""
    _edit(parts, after=_decide_unknown(DECISION_NOT_COMMITTED))


@_mutant("torn", "cut_in_tap")
def unknown_outcome_is_a_ride(parts: Parts) -> None:
    """Whoever does not hear "not committed" takes the debit for made: nobody has paid, and a ride is cleared."""
    _edit(parts, after=_decide_unknown(DECISION_COMMITTED))


def _decide_unknown(decision: int) -> After:
    def after(session: Session, run: Run, receipt: Receipt) -> Receipt:
        unknown = select(TapRow.sequence).where(
            TapRow.device_id == run.batch.device, TapRow.decision == DECISION_OUTCOME_UNKNOWN
        )
        session.execute(
            update(TapRow)
            .where(TapRow.device_id == run.batch.device, TapRow.sequence.in_(unknown))
            .values(decision=decision)
        )
        return receipt

    return after
