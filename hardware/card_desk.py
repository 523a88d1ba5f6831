"""What a card desk does with one card: make it ours, read it, load it, block it, end its life (by `desfire_issue`).

A card that left the reader while it was issued is begun again: the desk knows the chip by a keyed name, erases what there is,
if the card still takes the maker's key, and issues it anew. If it has the city's keys already it was finished, and is so noted.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.boards.crypto_cpython import Aes
from hardware.originality import is_original
from hardware.problem import EXIT_CHECK_FAILED, EXIT_CONFLICT, EXIT_NOTHING_FOUND, Problem
from protocol.cards import card_layout as layout
from protocol.cards import desfire_issue as issuing
from protocol.cards.card_layout import Environment
from protocol.cards.desfire import AuthenticationFailed, NotOurCard, read_key_version, select_transit_card
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Protocol, TypeVar

    from hardware.desk_keys import DeskKeys
    from protocol.cards.desfire_issue import CardKeys

    Result = TypeVar("Result")

    class ReaderCard(Protocol):
        """A card on a reader."""

        def read_uid(self) -> bytes: ...

        def hold(self, conversation: Generator[bytes, bytes, Result]) -> Result: ...


BLANK_KEY = bytes(16)
_NUMBER_HEAD = b"JQ"
_NUMBER_RANDOM_BYTES = 6


@dataclass(frozen=True)
class Order:
    """What the cards of a batch shall be.

    Attributes:
        city, category: numbers.
        expires_s: unix seconds.
        balance_minor: first purse, tiyn.
    """

    city: int
    category: int
    expires_s: int
    balance_minor: int


@dataclass(frozen=True)
class Issued:
    """A card that was made.

    Attributes:
        token: 16 bytes; stands for the card outside of it.
        masked_uid: its UID, which only clearing can read.
    """

    token: bytes
    masked_uid: bytes


class CardDesk:
    """A desk with its keys.

    Args:
        keys: the city's.
        terminal: names the desk on cards, 4 bytes.
        now_s: tells the time, unix seconds.
        maker_key: with which the maker signs its chips, a point of 57 bytes; without it nobody asks whose chip it is.
    """

    def __init__(
        self, keys: DeskKeys, terminal: bytes, now_s: Callable[[], int], maker_key: bytes | None = None
    ) -> None:
        self._keys = keys
        self._maker_key = maker_key
        self._terminal = terminal
        self._now_s = now_s

    def chip_name(self, card: ReaderCard) -> str:
        """Return the name by which this desk knows a chip again."""
        return self._keys.chip_name(_uid_of(card))

    def issue(self, card: ReaderCard, order: Order, *, was_begun: bool) -> Issued:
        """Make a blank card ours; one that was begun before is begun again.

        Raises:
            Problem: it is not blank.
        """
        uid = _uid_of(card)
        try:
            card.hold(select_transit_card())
        except NotOurCard:
            pass
        else:
            finished = self._finish_or_erase(card, uid, was_begun=was_begun)
            if finished is not None:
                return finished
        self._require_original(card, uid)
        number = _NUMBER_HEAD + secrets.token_bytes(_NUMBER_RANDOM_BYTES)
        environment = Environment(number, order.city, order.category, order.expires_s)
        try:
            card.hold(
                issuing.issue_card(self._desk(), BLANK_KEY, self._keys.of_card(uid), environment, order.balance_minor)
            )
        except AuthenticationFailed:
            raise _not_blank() from None
        except CardError as error:
            raise Problem(
                f"the card cannot be made ours: {error}", "it is of another kind: put it aside", EXIT_CHECK_FAILED
            ) from None
        return self._issued(number, uid)

    def _finish_or_erase(self, card: ReaderCard, uid: bytes, *, was_begun: bool) -> Issued | None:
        """Return a card of ours that is whole; erase one that is not, if it was begun here."""
        try:
            opened = card.hold(issuing.open_at_desk(self._desk(), self._keys.of_card(uid)))
        except CardError:
            if not was_begun:
                raise _not_blank() from None
            try:
                card.hold(issuing.format_card(self._desk(), BLANK_KEY))
            except CardError:
                raise _not_blank() from None
            return None
        if not was_begun:
            raise Problem("the card has been issued already", "read it with: jolaqy-bench card read", EXIT_CONFLICT)
        self._lock(card, uid)
        return self._issued(opened.environment.card_number, uid)

    def _require_original(self, card: ReaderCard, uid: bytes) -> None:
        """Give keys to no chip that another maker has made."""
        if self._maker_key is None:
            return
        try:
            signature = card.hold(issuing.read_signature())
        except CardError:
            signature = b""
        if not is_original(uid, signature, self._maker_key):
            raise Problem("the chip is not its maker's", "put it aside: it may be a copy", EXIT_CHECK_FAILED)

    def _lock(self, card: ReaderCard, uid: bytes) -> None:
        """Give a card its own master key, if the maker's still opens it: it left the reader just before."""
        keys = self._keys.of_card(uid)
        try:
            card.hold(issuing.lock_card(self._desk(), BLANK_KEY, keys))
        except AuthenticationFailed:
            return

    def _issued(self, number: bytes, uid: bytes) -> Issued:
        token = self._keys.token(number)
        return Issued(token, self._keys.masked_uid(token, uid))

    # What becomes of a card.

    def open(self, card: ReaderCard, *, renews: bool = False) -> tuple[issuing.DeskCard, bytes]:
        """Read a card of ours; return it and its token.

        Args:
            card: what lies on the reader.
            renews: a card with keys of the generation before is given those of today.

        Raises:
            Problem: it is none of ours.
        """
        try:
            opened = card.hold(issuing.open_at_desk(self._desk(), self._keys_on(card, renews=renews)))
        except NotOurCard:
            raise Problem(
                "this is no transport card of ours", "make it one with: jolaqy-bench card issue", EXIT_NOTHING_FOUND
            ) from None
        except AuthenticationFailed:
            raise Problem(
                "the card does not know this city's keys",
                "use the key file of the city that issued it; else the card is forged: keep it",
                EXIT_CHECK_FAILED,
            ) from None
        except CardError as error:
            raise Problem(f"the card cannot be read: {error}", "put it aside", EXIT_CHECK_FAILED) from None
        return opened, self._keys.token(opened.environment.card_number)

    def _keys_on(self, card: ReaderCard, *, renews: bool) -> CardKeys:
        """Return the keys that a card has, by the version that it tells of them."""
        uid = _uid_of(card)
        card.hold(select_transit_card())
        versions = [card.hold(read_key_version(number)) for number in (layout.KEY_MASTER, layout.KEY_CREDIT)]
        for version in versions:
            if not self._keys.knows(version):
                raise Problem(
                    f"the card has keys of generation {version}, which this desk has not",
                    "use a key file that holds that generation",
                    EXIT_CHECK_FAILED,
                )
        # The application's master is the last key to be changed: while it is an old one the card is not done.
        if renews and versions[0] != self._keys.version:
            old, new = self._keys.of_card(uid, versions[0]), self._keys.of_card(uid)
            card.hold(issuing.change_keys(self._desk(), old, new))
            return new
        return self._keys.of_card(uid, versions[1])

    def top_up(self, card: ReaderCard, opened: issuing.DeskCard, amount_minor: int) -> None:
        _require_in_use(opened)
        self._commit(card, issuing.top_up(self._desk(), opened, amount_minor))

    def block(self, card: ReaderCard, opened: issuing.DeskCard) -> None:
        _require_in_use(opened)
        self._commit(card, issuing.set_status(self._desk(), opened, layout.STATUS_BLOCKED))

    def retire(self, card: ReaderCard, opened: issuing.DeskCard) -> int:
        """End a card's life and return what its holder is to be paid back, tiyn."""
        if opened.environment.status == layout.STATUS_RETIRED:
            raise Problem("the card is retired already", "there is nothing on it", EXIT_CONFLICT)
        return self._commit(card, issuing.retire(self._desk(), opened))

    def _commit(self, card: ReaderCard, conversation: Generator[bytes, bytes, Result]) -> Result:
        try:
            return card.hold(conversation)
        except CardError as error:
            raise Problem(
                f"the card refuses: {error}", "read it again before you try again", EXIT_CHECK_FAILED
            ) from None

    def _desk(self) -> issuing.Desk:
        return issuing.Desk(Aes(), secrets.token_bytes, self._terminal, self._now_s())


def _uid_of(card: ReaderCard) -> bytes:
    uid = card.read_uid()
    if len(uid) != layout.UID_BYTES:
        raise Problem(
            "a transport card tells a UID of 7 bytes, this card does not",
            "it is of another kind: put it aside",
            EXIT_CHECK_FAILED,
        )
    return uid


def _not_blank() -> Problem:
    return Problem("the card is not blank", "put it aside: it has keys of somebody else's", EXIT_CONFLICT)


def _require_in_use(opened: issuing.DeskCard) -> None:
    if opened.environment.status == layout.STATUS_BLOCKED:
        raise Problem("the card is blocked", "retire it, and give its holder another one", EXIT_CONFLICT)
    if opened.environment.status == layout.STATUS_RETIRED:
        raise Problem("the card is retired", "give its holder another one", EXIT_CONFLICT)
