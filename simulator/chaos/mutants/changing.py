"""Mutants of what changes seldom on a validator: whose word counts, its own key, and its last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.documents import Documents
from firmware.held_list import HeldList
from firmware.key_sets import take_next
from firmware.leaving import LeavingUploader
from firmware.list_changing import ListChanger
from firmware.list_fetching import ListFetcher
from firmware.uploader import Uploader
from protocol import sync
from protocol.ack import WANTED_DENY_LIST
from protocol.errors import ProtocolError
from protocol.medium_list import LIST_DENY
from simulator.chaos.mutants.mutant import Mutants

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from firmware.list_messages import Change
    from firmware.token_list import ChangedList
    from protocol.medium_list import MediumList
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


@_mutant("restore", "list_change")
def list_change_onto_another_list(parts: Parts) -> None:
    """What has changed since a number is put onto whatever is held under it: after a restore, somebody rides who must not."""

    class Believing(ListChanger):
        async def _require_fits(self, held: MediumList, change: Change) -> None:
            del held
            self._claimed = change.sha256

        async def _write_list(self, changes: ChangedList) -> bytes:
            await super()._write_list(changes)
            return self._claimed

    class Fetcher(ListFetcher):
        async def change(self, held: MediumList, number: int) -> MediumList | None:
            if not await self._receive(self._path + str(number) + "/from/" + str(held.number)):
                return None
            changer = Believing(self._board, self._loop, self._membership, self._name, self._kind)
            await changer.take(held, self._message)
            return self._in_force(changer)

    class Held(HeldList):
        def _fetcher(self) -> ListFetcher:
            return Fetcher(self._board, self._loop, self._membership, "/v1/lists/deny/", self._name, self._kind)

    class Broken(Uploader):
        def __init__(self, *parts: Any) -> None:  # noqa: ANN401 - those of an uploader
            super().__init__(*parts)
            held = Held(self._board, self._loop, self._membership, "deny-list", LIST_DENY)
            parts[6]._lists[WANTED_DENY_LIST] = held  # noqa: SLF001 - a bug sits where it sits

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
