"""Mutants of the validator's outbox: what it believes, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import Journal
from firmware.uploader import Uploader
from protocol.ack import decode_ack
from protocol.cose import parse
from protocol.errors import ProtocolError
from simulator.chaos.board import ChaosBoard
from simulator.chaos.mutants.mutant import Mutants

if TYPE_CHECKING:
    from collections.abc import Generator

    from firmware.boards.board import Verifier
    from protocol.ack import Ack
    from simulator.chaos.parts import Parts

UPLOADING = Mutants()
_mutant = UPLOADING.needing


@_mutant("forge_answer")
def unauthenticated_ack_accepted(parts: Parts) -> None:
    """An ack is believed whoever made it."""

    class Credulous:
        def verify_digest_steps(self, *_: bytes) -> Generator[None, None, bool]:
            yield
            return True

    class Board(ChaosBoard):
        def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> Verifier:
            del keys
            return Credulous()

    parts.board = Board


def _ack_of(answer: bytes) -> Ack | None:
    """What an answer says, whoever signed it."""
    try:
        return decode_ack(parse(answer).payload)
    except ProtocolError:
        return None


class _AnyNonce(Uploader):
    """Believes every ack of its own that the service has ever signed."""

    async def _ack_in(self, status: int, answer: bytes, nonce: bytes) -> Ack:
        ack = _ack_of(answer)
        return await super()._ack_in(status, answer, nonce if ack is None else ack.nonce)


class _AnyDevice(_AnyNonce):
    """Believes every ack that the service has signed, for whomever."""

    async def _ack_in(self, status: int, answer: bytes, nonce: bytes) -> Ack:
        ack, own = _ack_of(answer), self._identity.device
        self._identity.device = own if ack is None else ack.device
        try:
            return await super()._ack_in(status, answer, nonce)
        finally:
            self._identity.device = own


class _AnyHead(Journal):
    """Takes the service's word without comparing the chain."""

    def join(self, sequence: int, head: bytes) -> bool:
        super().join(sequence, head)
        return True


@_mutant("forge_answer")
def ack_of_another_device_accepted(parts: Parts) -> None:
    """A true ack is believed though it speaks of another validator."""
    parts.validator.uploader = _AnyDevice
    parts.validator.journal = _AnyHead


@_mutant("replay_answer")
def nonce_not_checked(parts: Parts) -> None:
    """An old ack, sent again, is taken for the answer to this batch, and its time for the time."""
    parts.validator.uploader = _AnyNonce


@_mutant("clone", sectors=3, buses=1, gap_ms=12_000, taps=200)
def head_not_checked(parts: Parts) -> None:
    """An ack frees flash though the service holds another chain."""
    parts.validator.journal = _AnyHead


@_mutant("lose_answer")
def unbounded_retry(parts: Parts) -> None:
    """What fails is tried again at once, by every bus of the city."""

    class Broken(Uploader):
        def _back_off_ms(self, failures: int) -> int:
            del failures
            return 0

    parts.validator.uploader = Broken


@_mutant("overloaded")
def unsigned_refusal_obeyed(parts: Parts) -> None:
    """Somebody says, unsigned, that the service is closed, and the validator never asks again."""

    class Broken(Uploader):
        async def _ack_in(self, status: int, answer: bytes, nonce: bytes) -> Ack:
            if status != 200:
                while True:
                    await self._loop.sleep_ms(3_600_000)
            return await super()._ack_in(status, answer, nonce)

    parts.validator.uploader = Broken


@_mutant("lose_answer", "lose_request")
def gives_up_after_three_tries(parts: Parts) -> None:
    """What could not be sent three times is dropped, so that the queue moves on."""

    class Broken(Uploader):
        def _back_off_ms(self, failures: int) -> int:
            if failures == 3:
                self._journal.acknowledge(self._journal.next_sequence - 1)
                self._next_sequence = self._journal.next_sequence
            return super()._back_off_ms(failures)

    parts.validator.uploader = Broken


@_mutant("restore")
def never_goes_back(parts: Parts) -> None:
    """A validator that was told of a lower mark goes on where it was: a restored service is never refilled."""

    class Broken(Uploader):
        def _take_ack(self, ack: Ack) -> None:
            before = self._next_sequence
            super()._take_ack(ack)
            self._next_sequence = max(self._next_sequence, before)

    parts.validator.uploader = Broken
