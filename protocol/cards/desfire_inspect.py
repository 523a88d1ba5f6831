"""What an inspector reads of a transport card, under the read key: with it nothing on a card can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.desfire import authenticate, read_events, read_file

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cards.card_layout import CardEvent, Environment
    from protocol.cards.desfire import KeyHolder
    from protocol.cmac import Aes


def inspect_card(aes: Aes, holder: KeyHolder) -> Generator[bytes, bytes, tuple[Environment, list[CardEvent]]]:
    """Read a selected card: who it is, and its events, newest first; a card of layout 1 has none.

    Raises:
        AuthenticationFailed: a foreign or forged card.
        LayoutUnknown: a card that is newer than this program.
        CardError: anything else that a card of ours does not say.
    """
    session = yield from authenticate(aes, layout.KEY_READ, holder)
    environment = layout.decode_environment((yield from read_file(session, layout.FILE_ENVIRONMENT, "environment")))
    if environment.layout == layout.LAYOUT_VERSION_1:
        return environment, []
    return environment, (yield from read_events(session, 0))
