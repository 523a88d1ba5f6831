"""Loads money that waits for the card in the field. Its ride is paid by then, or waits for this. Loaded when one is there.

The device asks, and is given the card's own key for this one time; command and key live no longer than this conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.journal import JournalFull
from firmware.links.http import HttpError, fetch
from firmware.readers.reader import MediumGone, ReaderFault, converse
from firmware.signing import finish, sign, verify_by
from protocol.cards import card_layout as layout
from protocol.cards.desfire import KeyInMemory
from protocol.cards.desfire_credit import authenticate_again, credit
from protocol.cards.ride_event import ride_event
from protocol.compat import const, wipe_free_memory
from protocol.cose import TYP_TOP_UP_COMMAND, TYP_TOP_UP_REQUEST, ec2_point
from protocol.decisions import DECISION_TOP_UP_COMING, DECISION_TOPPED_UP
from protocol.errors import ProtocolError, TopUpError
from protocol.keyset import ROLE_TOP_UP
from protocol.keywrap import unwrap
from protocol.tap import CLOCK_SYNCHRONISED, KIND_TOP_UP
from protocol.top_up import TopUpRequest, decode_top_up_command, encode_top_up_request

if TYPE_CHECKING:
    from firmware.card_rides import Held
    from firmware.farebox import Farebox
    from firmware.keys import Identity
    from firmware.loop import Loop
    from firmware.transit_cards import TransitCards
    from protocol.top_up import TopUpCommand

_PATH = "/v1/top-up-commands"
# A rider stands at the door meanwhile.
_TIMEOUT_MS = const(3_000)
_NOTHING_WAITS = const(404)
_NUMBER = const(0)


class TopUp:
    """One top-up of one card."""

    def __init__(self, farebox: Farebox, loop: Loop, identity: Identity, held: Held) -> None:
        self._farebox = farebox
        self._loop = loop
        self._identity = identity
        self._held = held

    async def load(self, cards: TransitCards) -> bool:
        """Ask for the money and put it onto the card; return whether it is there, and tell the rider."""
        feedback = self._farebox.feedback
        feedback.hold_on()
        try:
            answer = await self._ask()
            if answer is None:
                return False  # it has come onto the card somewhere else meanwhile
            is_loaded = await self._put(cards, answer[0], answer[1])
        except (HttpError, ProtocolError, JournalFull, MediumGone, ReaderFault) as error:
            self._farebox.board.log("top-up: " + str(error))
            is_loaded = False
        finally:
            wipe_free_memory()
        if not is_loaded:
            feedback.top_up_later()
        return is_loaded

    async def _ask(self) -> tuple[TopUpCommand, bytes] | None:
        """Return a command for this card and moment, and the card's own credit key; None where nothing waits."""
        board, loop, membership = self._farebox.board, self._loop, self._farebox.membership
        held, signer = self._held, self._identity.signer()
        asked = TopUpRequest(
            self._identity.device,
            membership.enrolled.epoch,
            held.facts.token or b"",
            held.masked_uid(),
            held.card.counter,
            board.random_bytes(8),
            held.key_version,
        )
        message = await sign(
            loop, signer, [encode_top_up_request(asked)], TYP_TOP_UP_REQUEST, membership.enrolled.audience
        )
        status, answer = await fetch(board, loop, "POST", _PATH, message, _TIMEOUT_MS)
        if status == _NOTHING_WAITS:
            return None
        if status != 200:
            raise TopUpError("not now: HTTP " + str(status))
        command = decode_top_up_command(await verify_by(loop, membership, answer, TYP_TOP_UP_COMMAND, ROLE_TOP_UP))
        unix_s, quality = read_clock(board)
        if not command.answers(asked) or (quality == CLOCK_SYNCHRONISED and unix_s >= command.expires_s):
            raise TopUpError("a command for another card or moment")
        agreed = await finish(loop, signer.agree_steps(*ec2_point(command.ephemeral)))
        return command, unwrap(board.aes, command.agreed_key(agreed), command.wrapped)

    async def _put(self, cards: TransitCards, command: TopUpCommand, key: bytes) -> bool:
        """Put it onto the card: key, credit, record, event, commit, outcome; return whether it is there."""
        farebox, held = self._farebox, self._held
        card = held.card
        holder = KeyInMemory(farebox.board.aes, key, farebox.board.random_bytes(16))
        await converse(held.reader, authenticate_again(card.session, layout.KEY_CREDIT, holder, held.is_clean))
        await converse(held.reader, credit(card.session, command.amount_minor))
        fields = farebox.fields(held.facts, command.amount_minor)
        fields["product"], fields["extensions"] = None, {_NUMBER: command.number}
        intent = farebox.recorder.intent(KIND_TOP_UP, **fields, counter=card.counter, decision=DECISION_TOP_UP_COMING)
        balance_minor = card.balance_minor + command.amount_minor
        event = ride_event(intent, self._identity.device, layout.EVENT_TOP_UP, 0, 0, balance_minor)
        if await cards.commit(held, intent, event, balance_minor) != DECISION_TOPPED_UP:
            return False
        farebox.feedback.topped_up(intent.sequence, command.amount_minor, balance_minor)
        return True
