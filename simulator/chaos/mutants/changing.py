"""Mutants of what changes seldom on a validator: whose word counts, its own key, and its last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.documents import Documents
from firmware.key_sets import take_next
from firmware.leaving import LeavingUploader
from firmware.uploader import Uploader
from protocol import sync
from protocol.errors import ProtocolError
from simulator.chaos.mutants.mutant import Mutants

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from simulator.chaos.parts import Parts

CHANGING = Mutants()
_mutant = CHANGING.needing


@_mutant("forge_key_set", "key_rotation")
def key_set_by_its_own_roots_only(parts: Parts) -> None:
    """A key set is believed when the roots that it names have signed it, whoever made them."""

    class Credulous(Documents):
        async def _has_taken(self, path: str, take: Callable[[bytes], Coroutine[Any, Any, None]]) -> bool:
            if not path.startswith("/v1/key-sets/"):
                return await super()._has_taken(path, take)
            return await super()._has_taken(path, self._take)

        async def _take(self, message: bytes) -> None:
            membership = self._membership
            held, membership.key_set = membership.key_set, None
            try:
                await take_next(self._board, self._loop, membership, message, None)
            except ProtocolError:
                membership.key_set = held
                raise

    class Broken(Uploader):
        def __init__(self, *parts: Any) -> None:  # noqa: ANN401 - those of an uploader
            super().__init__(*parts)
            self._documents = Credulous(self._board, self._loop, self._identity, self._membership, parts[6], self._time)

    parts.validator.uploader = Broken


@_mutant("device_key", "lose_request")
def new_key_adopted_before_the_ack(parts: Parts) -> None:
    """The new key counts as soon as it was sent: when that was lost, nobody knows the validator any more."""

    class Broken(LeavingUploader):
        async def rotate(self) -> int:
            event = await super().rotate()
            return event if event == sync.KEY_REFUSED else sync.TAKEN

    parts.validator.leaving = Broken


@_mutant("retire")
def erased_before_the_last_word_is_answered(parts: Parts) -> None:
    """A validator that leaves erases itself first, and says so then."""

    class Broken(LeavingUploader):
        async def say_last_word(self) -> int:
            await self.erase()
            return await super().say_last_word()

    parts.validator.leaving = Broken
