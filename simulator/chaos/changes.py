"""What people change at the back office while buses drive: the deny list, and the service's own keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from clearing.access.roles import Caller
from clearing.access.service import LOCAL
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.kept_lists import NUMBERS_KEPT
from clearing.fleet.key_sets import rotate
from clearing.fleet.keys import ACK, DOCUMENTS
from clearing.fleet.lists import issue_list
from protocol.limits import LIST_ENTRY_BYTES
from protocol.tokens import TOKEN_BYTES

if TYPE_CHECKING:
    import random

    from simulator.chaos.office import Office

# Sometimes so many at once that no change leads on from what buses hold.
_NUMBERS_AT_ONCE = (1, 1, 2, 3, NUMBERS_KEPT + 2)
_TOKENS = 120
_CHANGED_AT_ONCE_MAX = 12


class Changes:
    """The people.

    Attributes:
        lists: the entries of each deny list that was ever issued here, by number; several of one that a backup
            had not.
        newest_list: entries of the last one.
    """

    def __init__(self, office: Office, city: str) -> None:
        self._office = office
        self._city = city
        self._listed: set[bytes] = set()
        self.lists: dict[int, set[bytes]] = {}
        self.newest_list = b""
        self._key_set = 0

    def change_list(self, chance: random.Random) -> None:
        """Put media on the deny list and take others off it, once or several times in a row."""
        for _ in range(chance.choice(_NUMBERS_AT_ONCE)):
            self._change_once(chance)

    def _change_once(self, chance: random.Random) -> int:
        for _ in range(chance.randrange(1, _CHANGED_AT_ONCE_MAX)):
            digest = hashlib.sha256(f"listed {chance.randrange(_TOKENS)}".encode()).digest()
            self._listed ^= {digest[:TOKEN_BYTES]}
        tokens, office = sorted(self._listed), self._office
        with office.database.writing() as session:
            number = issue_list(session, office.keys, DENY_LIST, self._city, tokens, office.clock.now_ms())
        self.newest_list = b"".join(token[:LIST_ENTRY_BYTES] for token in tokens)
        self.lists.setdefault(number, set()).add(self.newest_list)
        return number

    def rotate_key(self, chance: random.Random) -> None:
        """Announce a new key of the service by a new key set; now and then the one before is in wrong hands, and gone."""
        purpose = chance.choice((ACK, ACK, DOCUMENTS))
        self._key_set = self.rotate(purpose, forget=purpose == ACK and chance.random() < 0.5)

    def rotate(self, purpose: str, *, forget: bool) -> int:
        """Make a new key and return the number of the key set that names it."""
        office, somebody = self._office, Caller(LOCAL, LOCAL, ())
        with office.database.writing() as session:
            now_ms = office.clock.now_ms()
            return rotate(session, office.keys, somebody, now_ms, purpose, [self._city], forget=forget)[self._city]

    def lift_numbers(self, chance: random.Random) -> None:
        """The database was restored: go on until every number is above those that are on buses (SPEC.md "Refill")."""
        highest = max(self.lists, default=0)
        while highest and self._change_once(chance) <= highest:
            pass
        highest, number = self._key_set, 0
        while number <= highest != 0:
            number = self.rotate(ACK, forget=False)
        self._key_set = number
