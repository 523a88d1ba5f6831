"""What people change at the back office while buses drive: the deny list, and the service's own keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from clearing.access.roles import Caller
from clearing.access.service import LOCAL
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.key_sets import rotate
from clearing.fleet.keys import ACK, DOCUMENTS
from clearing.fleet.lists import NUMBERS_KEPT, issue_list
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
        lists: the entries of each deny list that was ever issued here, by number.
    """

    def __init__(self, office: Office, city: str) -> None:
        self._office = office
        self._city = city
        self._listed: set[bytes] = set()
        self.lists: dict[int, bytes] = {}

    def change_list(self, chance: random.Random) -> None:
        """Put media on the deny list and take others off it, once or several times in a row."""
        for _ in range(chance.choice(_NUMBERS_AT_ONCE)):
            for _ in range(chance.randrange(1, _CHANGED_AT_ONCE_MAX)):
                digest = hashlib.sha256(f"listed {chance.randrange(_TOKENS)}".encode()).digest()
                self._listed ^= {digest[:TOKEN_BYTES]}
            tokens, office = sorted(self._listed), self._office
            with office.database.writing() as session:
                number = issue_list(session, office.keys, DENY_LIST, self._city, tokens, office.clock.now_ms())
            self.lists[number] = b"".join(token[:LIST_ENTRY_BYTES] for token in tokens)

    def rotate_key(self, chance: random.Random) -> None:
        """Announce a new key of the service by a new key set; now and then the one before is in wrong hands, and gone."""
        office, purpose = self._office, chance.choice((ACK, ACK, DOCUMENTS))
        somebody = Caller(LOCAL, LOCAL, ())
        with office.database.writing() as session:
            forget = purpose == ACK and chance.random() < 0.5
            rotate(session, office.keys, somebody, office.clock.now_ms(), purpose, [self._city], forget=forget)
