"""Putting money onto a transport card: key 3, which a validator has for one card and one moment only, and loads this for.

    session = …                                     of `open_transit_card`
    yield from authenticate_again(session, …)       the same session, now under key 3
    counter, mac = yield from top_up(session, …)    all of it, or nothing

As with a ride, what the card did is unknown only between the yield of the commit and its response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.desfire import native, prove
from protocol.cards.desfire_debit import change_value, commit, take, write_event
from protocol.cards.transaction_mac import CREDIT
from protocol.compat import const

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cards.desfire import KeyHolder, Session

_AUTHENTICATE_EV2_NON_FIRST = const(0x77)
_ANSWER_BYTES = const(16)


def authenticate_again(
    session: Session, key_number: int, holder: KeyHolder, is_clean: bool = False
) -> Generator[bytes, bytes, None]:
    """AuthenticateEV2NonFirst: go on in a session with another key; what was read or written so far is dropped.

    Right after a commit there is nothing to drop, and a card calls that an error: the session `is_clean`.
    """
    if not is_clean:
        yield from take(session, layout.FILE_PURSE, 0)
    request = native(_AUTHENTICATE_EV2_NON_FIRST, bytes((key_number,)))
    encryption_key, mac_key, _ = yield from prove(request, holder, _ANSWER_BYTES)
    session.use_keys(encryption_key, mac_key)


def credit(session: Session, amount_minor: int) -> Generator[bytes, bytes, None]:
    """Put money into the purse; it is there once it is committed."""
    yield from change_value(session, CREDIT, layout.FILE_PURSE, amount_minor)


def top_up(session: Session, amount_minor: int, event: bytes) -> Generator[bytes, bytes, tuple[int, bytes]]:
    """Put money into the purse, write the event that says so, and commit both; return counter and transaction MAC."""
    yield from credit(session, amount_minor)
    yield from write_event(session, event)
    return (yield from commit(session))
