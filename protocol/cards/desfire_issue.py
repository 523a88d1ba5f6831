"""What a card desk says to a transport card: from the maker's blank one to one in a rider's hand, and all that becomes of it.

Conversations, as in `desfire`. A validator has neither these nor the keys that they need.

    yield from issue_card(desk, …)          application, keys, files, first purse: from a blank card
    card = yield from open_at_desk(…)       reads all of it under the credit key
    yield from top_up(desk, card, …)        and `load_pass`, `set_status`, `retire`: each one transaction, with its event

A card that was torn away while it was issued is not ours yet; `format_card` makes it blank again. The last key to be changed is
the application's own master: until then the card takes the keys of a blank one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.apdu import split_response
from protocol.cards.card_layout import CardEvent, Environment
from protocol.cards.desfire import (
    KeyInMemory,
    Session,
    authenticate,
    native,
    read_events,
    read_file,
    read_key_version,
    read_value,
    require,
    select_transit_card,
)
from protocol.cards.desfire_crypto import diversify
from protocol.cards.desfire_debit import change_value, commit, take, write_event
from protocol.cards.transaction_mac import CREDIT, DEBIT, WRITE_DATA
from protocol.compat import const, crc32, hmac_sha256
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from protocol.cmac import Aes, AesEncryption

    Step = Generator[bytes, bytes, None]
    Committed = Generator[bytes, bytes, tuple[int, bytes]]

MASTERS = (
    "transit_card_master",
    "transit_application_master",
    "transit_read_master",
    "transit_debit_master",
    "transit_credit_master",
    "transit_mac_master",
)
_STATUS_OK = const(0x9100)
_STATUS_SIGNATURE = const(0x9190)
_NUMBERED = (layout.KEY_MASTER, layout.KEY_READ, layout.KEY_DEBIT, layout.KEY_CREDIT)
_BLANK_KEY = bytes(16)
_CARD_LEVEL = bytes(3)
# The master key changes keys and creates files; without it nothing of the application is listed.
_APPLICATION_SETTINGS = const(0x09)
_FOUR_AES_KEYS_AND_A_NAME = const(0xA4)
_ISO_FILE = b"\x51\x4c"
_FULL = const(3)
_MAC = const(1)
_NOBODY = const(0x0F)
_PURSE_MAX_MINOR = const(100_000_000)
_TRIPS_MAX = const(0xFFFF)


def following_master(mac_master: bytes, name: str) -> bytes:
    """Return a master that a city's older key file lacks: it follows from the master of transaction MACs."""
    return hmac_sha256(mac_master, b"JOLAQY " + name.encode())[:16]


class CardKeys:
    """The keys of one card, each its own.

    Attributes:
        version: generation of a city's keys that they come from, 1 to 255.
        card: card master key.
        numbered: the application's keys, by number.
        transaction_mac: which only the back office and the card itself have.
    """

    __slots__ = ("card", "numbered", "transaction_mac", "version")

    def __init__(self, version: int, card: bytes, numbered: Mapping[int, bytes], transaction_mac: bytes) -> None:
        self.version = version
        self.card = card
        self.numbered = numbered
        self.transaction_mac = transaction_mac


def card_keys(aes: AesEncryption, masters: Mapping[str, bytes], uid: bytes, version: int = 1) -> CardKeys:
    """Return the keys of the card with that UID, from a city's masters (the names in `MASTERS`)."""
    material = layout.key_material(uid)
    own = [diversify(aes, masters[name], material) for name in MASTERS]
    return CardKeys(version, own[0], dict(zip(_NUMBERED, own[1:5])), own[5])


class Desk:
    """What a conversation at the desk is handed.

    Attributes:
        aes: the crypto of this Python.
        random_bytes: gives so many random bytes.
        terminal: names the desk in events, 4 bytes.
        now_s: unix seconds.
    """

    __slots__ = ("aes", "now_s", "random_bytes", "terminal")

    def __init__(self, aes: Aes, random_bytes: Callable[[int], bytes], terminal: bytes, now_s: int) -> None:
        assert len(terminal) == 4
        self.aes = aes
        self.random_bytes = random_bytes
        self.terminal = terminal
        self.now_s = now_s

    def holder(self, key: bytes) -> KeyInMemory:
        return KeyInMemory(self.aes, key, self.random_bytes(16))


class DeskCard:
    """A card that was read at the desk.

    Attributes:
        environment: who it is.
        balance_minor: purse, tiyn.
        trips: of each pass.
        events: newest first.
        counter: transactions committed.
        session: under the credit key.
        is_only_read: nothing was changed in this session yet.
    """

    __slots__ = ("balance_minor", "counter", "environment", "events", "is_only_read", "session", "trips")

    def __init__(
        self, environment: Environment, balance_minor: int, trips: list[int], events: list[CardEvent], session: Session
    ) -> None:
        self.environment = environment
        self.balance_minor = balance_minor
        self.trips = trips
        self.events = events
        self.counter = events[0].counter
        self.session = session
        self.is_only_read = True


def plain(session: Session, ins: int, data: bytes, what: str) -> Generator[bytes, bytes, bytes]:
    """Send a command in CommMode plain within a session, which counts it."""
    answer = require((yield native(ins, data)), _STATUS_OK, what)
    session.counter += 1
    return answer


# Of the chip.


def read_version() -> Generator[bytes, bytes, bytes]:
    """Return what the chip says of itself: hardware, software and production, 28 bytes or more, the UID among them."""
    said, status = b"", _STATUS_OK
    request = native(0x60)
    for _ in range(3):
        data, status = split_response((yield request))
        said += data
        request = native(0xAF)
    if status != _STATUS_OK or len(said) < 28:
        raise CardError("the chip does not say what it is")
    return said


def read_signature() -> Generator[bytes, bytes, bytes]:
    """Return the maker's signature over the UID, 56 bytes."""
    data, status = split_response((yield native(0x3C, b"\x00")))
    if status not in (_STATUS_OK, _STATUS_SIGNATURE) or len(data) != 56:
        raise CardError("the chip has no signature of its maker")
    return data


def read_uid(session: Session) -> Generator[bytes, bytes, bytes]:
    """Return the card's real UID: it may tell a random one to whom it does not know."""
    uid = yield from session.full(0x51, b"", b"", "card uid")
    layout.key_material(uid)
    return uid


def open_card_level(desk: Desk, key: bytes) -> Generator[bytes, bytes, Session]:
    """Select the card itself and authenticate with its master key."""
    require((yield native(0x5A, _CARD_LEVEL)), _STATUS_OK, "select card")
    return (yield from authenticate(desk.aes, 0, desk.holder(key)))


def format_card(desk: Desk, card_key: bytes) -> Step:
    """Erase every application; the card master key stays as it is."""
    session = yield from open_card_level(desk, card_key)
    yield from session.maced(0xFC, b"", "format")


# Issuing.


def issue_card(desk: Desk, transport_key: bytes, keys: CardKeys, environment: Environment, balance_minor: int) -> Step:
    """Make a card of ours from a blank one.

    Raises:
        AuthenticationFailed: its card master key is another one: it is not blank, or not meant for this city.
    """
    session = yield from open_card_level(desk, transport_key)
    settings = bytes((_APPLICATION_SETTINGS, _FOUR_AES_KEYS_AND_A_NAME))
    yield from session.maced(0xCA, layout.APPLICATION_ID + settings + _ISO_FILE + layout.DF_NAME, "create application")
    yield from select_transit_card()
    session = yield from authenticate(desk.aes, layout.KEY_MASTER, desk.holder(_BLANK_KEY))
    yield from _create_files(session, keys)
    yield from _write_issue(session, desk, environment)
    for number in (layout.KEY_READ, layout.KEY_DEBIT, layout.KEY_CREDIT, layout.KEY_MASTER):
        yield from change_key(session, number, keys.numbered[number], _BLANK_KEY, keys.version)
    yield from _load_first(desk, keys, environment, balance_minor)
    yield from lock_card(desk, transport_key, keys)


def lock_card(desk: Desk, transport_key: bytes, keys: CardKeys) -> Step:
    """Give the card its own master key, without which nobody adds or erases anything: the last step of issuing."""
    session = yield from open_card_level(desk, transport_key)
    yield from session.full(0x54, b"", bytes((_APPLICATION_SETTINGS,)), "card settings")
    yield from _change_own_key(session, 0x80, keys.card, keys.version)


def _rights(read: int, write: int, both: int) -> int:
    return read << 12 | write << 8 | both << 4 | layout.KEY_MASTER


def _create_files(session: Session, keys: CardKeys) -> Step:
    """Create the files as CARD.md has them."""
    read, debit, credit = layout.KEY_READ, layout.KEY_DEBIT, layout.KEY_CREDIT
    yield from _create(session, 0xCB, layout.FILE_ENVIRONMENT, _rights(read, _NOBODY, credit), (63,))
    yield from _add_rights(session, layout.FILE_ENVIRONMENT, _rights(read, _NOBODY, credit), _further(debit))
    for file, most in (
        (layout.FILE_PURSE, _PURSE_MAX_MINOR),
        *((layout.FILE_TRIPS + at, _TRIPS_MAX) for at in range(3)),
    ):
        limits = (0).to_bytes(4, "little") + most.to_bytes(4, "little") + bytes(4) + b"\x00"
        yield from _create(session, 0xCC, file, _rights(debit, _NOBODY, credit), (), limits)
    sizes = (layout.EVENT_BYTES, layout.EVENTS_KEPT + 1)
    yield from _create(session, 0xC0, layout.FILE_EVENTS, _rights(read, credit, debit), sizes)
    yield from _add_rights(session, layout.FILE_EVENTS, _rights(read, credit, debit), _further(credit))
    yield from _create(session, 0xCD, layout.FILE_ISSUE, _rights(credit, _NOBODY, layout.KEY_MASTER), (32,))
    witness = (
        bytes((layout.FILE_TRANSACTION_MAC, _MAC)) + _rights(debit, _NOBODY, _NOBODY).to_bytes(2, "little") + b"\x02"
    )
    secret = keys.transaction_mac + bytes((keys.version,))
    yield from session.full(0xCE, witness, secret, "create transaction MAC file")


def _further(reader: int) -> int:
    """Return an additional access right: one key more may read, and nothing else."""
    return reader << 12 | 0x0FFF


def _create(session: Session, ins: int, file: int, rights: int, sizes: tuple[int, ...], rest: bytes = b"") -> Step:
    data = bytes((file, _FULL)) + rights.to_bytes(2, "little")
    for size in sizes:
        data += size.to_bytes(3, "little")
    yield from session.maced(ins, data + rest, "create file")


def _add_rights(session: Session, file: int, own: int, further: int) -> Step:
    settings = bytes((0x80 | _FULL,)) + own.to_bytes(2, "little") + b"\x01" + further.to_bytes(2, "little")
    yield from session.full(0x5F, bytes((file,)), settings, "file settings")


def _write_issue(session: Session, desk: Desk, environment: Environment) -> Step:
    """Write where and when it was issued: what a desk wants to know of a card that comes back."""
    data = desk.terminal + desk.now_s.to_bytes(4, "big") + environment.city.to_bytes(2, "big")
    yield from write_data(session, layout.FILE_ISSUE, data + bytes(layout.ISSUE_BYTES - len(data)))


def write_data(session: Session, file: int, data: bytes) -> Step:
    """Write a whole data file."""
    yield from session.full(WRITE_DATA, layout.read_header(file, len(data)), data, "write file")


def change_key(session: Session, number: int, key: bytes, old: bytes, version: int) -> Step:
    """Change a key under the application's master; changing the master itself ends the session."""
    if number == layout.KEY_MASTER:
        yield from _change_own_key(session, number, key, version)
        return
    mixed = bytes([a ^ b for a, b in zip(key, old)])
    check = (crc32(key) ^ 0xFFFFFFFF).to_bytes(4, "little")
    yield from session.full(0xC4, bytes((number,)), mixed + bytes((version,)) + check, "change key")


def _change_own_key(session: Session, number: int, key: bytes, version: int) -> Step:
    request = session.full(0xC4, bytes((number,)), key + bytes((version,)), "change key")
    response = yield next(request)
    request.close()
    require(response, _STATUS_OK, "change key")


def _load_first(desk: Desk, keys: CardKeys, environment: Environment, balance_minor: int) -> Step:
    session = yield from authenticate(desk.aes, layout.KEY_CREDIT, desk.holder(keys.numbered[layout.KEY_CREDIT]))
    yield from write_data(session, layout.FILE_ENVIRONMENT, layout.encode_environment(environment))
    if balance_minor:
        yield from change_value(session, CREDIT, layout.FILE_PURSE, balance_minor)
    event = CardEvent(layout.EVENT_ISSUED, desk.now_s, desk.terminal, balance_minor, balance_minor, 1)
    yield from write_event(session, event.encode())
    counter, _ = yield from commit(session)
    if counter != 1:
        raise CardError("a new card has committed before")


# What becomes of a card.


def open_at_desk(desk: Desk, keys: CardKeys) -> Generator[bytes, bytes, DeskCard]:
    """Select our application and read all of it, under the credit key.

    Raises:
        NotOurCard: there is none.
        AuthenticationFailed: the keys are not this card's.
    """
    yield from select_transit_card()
    session = yield from authenticate(desk.aes, layout.KEY_CREDIT, desk.holder(keys.numbered[layout.KEY_CREDIT]))
    environment = layout.decode_environment((yield from read_file(session, layout.FILE_ENVIRONMENT, "environment")))
    if environment.layout != layout.LAYOUT_VERSION:
        raise CardError("a card of layout 1 has no events: issue it anew")
    balance_minor = yield from read_value(session, layout.FILE_PURSE)
    trips = []
    for slot in range(layout.PASSES_MAX):
        trips.append((yield from read_value(session, layout.FILE_TRIPS + slot)))
    events = yield from read_events(session, 0)
    return DeskCard(environment, balance_minor, trips, events, session)


def _finish(desk: Desk, card: DeskCard, kind: int, amount_minor: int, slot: int = 0) -> Committed:
    """Write the event and commit; what was read of the card is then what it holds."""
    counter = card.counter + 1
    event = CardEvent(kind, desk.now_s, desk.terminal, amount_minor, card.balance_minor, counter, slot=slot)
    yield from write_event(card.session, event.encode())
    committed = yield from commit(card.session)
    card.counter = counter
    card.events.insert(0, event)
    return committed


def top_up(desk: Desk, card: DeskCard, amount_minor: int) -> Committed:
    """Put money into the purse; return counter and transaction MAC."""
    yield from _begin(card)
    yield from change_value(card.session, CREDIT, layout.FILE_PURSE, amount_minor)
    card.balance_minor += amount_minor
    return (yield from _finish(desk, card, layout.EVENT_TOP_UP, amount_minor))


def _begin(card: DeskCard) -> Step:
    """Drop what was read from the transaction MAC's input, before the first change."""
    if card.is_only_read:
        card.is_only_read = False
        yield from take(card.session, layout.FILE_PURSE, 0)


def load_pass(desk: Desk, card: DeskCard, slot: int, sold: layout.Pass, trips: int = 0) -> Committed:
    """Put a pass into a slot, in place of what is there, with so many trips."""
    yield from _begin(card)
    passes = list(card.environment.passes)
    passes[slot] = sold
    card.environment.passes = passes
    yield from write_data(card.session, layout.FILE_ENVIRONMENT, layout.encode_environment(card.environment))
    file, held = layout.FILE_TRIPS + slot, card.trips[slot]
    if trips != held:
        yield from change_value(card.session, CREDIT if trips > held else DEBIT, file, abs(trips - held))
    card.trips[slot] = trips
    return (yield from _finish(desk, card, layout.EVENT_PASS_SOLD, 0, slot))


def change_keys(desk: Desk, old: CardKeys, new: CardKeys) -> Step:
    """Bring a selected card from one generation of a city's keys to the next; what was cut off goes on where it stopped."""
    versions = {}
    for number in _NUMBERED:
        versions[number] = yield from read_key_version(number)
    session = yield from authenticate(desk.aes, layout.KEY_MASTER, desk.holder(old.numbered[layout.KEY_MASTER]))
    for number in (layout.KEY_READ, layout.KEY_DEBIT, layout.KEY_CREDIT, layout.KEY_MASTER):
        if versions[number] != new.version:
            yield from change_key(session, number, new.numbered[number], old.numbered[number], new.version)


def set_status(desk: Desk, card: DeskCard, status: int) -> Committed:
    """Block a card, or let it be used again."""
    yield from _begin(card)
    card.environment.status = status
    yield from write_data(card.session, layout.FILE_ENVIRONMENT, layout.encode_environment(card.environment))
    return (yield from _finish(desk, card, layout.EVENT_STATUS, 0))


def retire(desk: Desk, card: DeskCard) -> Generator[bytes, bytes, int]:
    """Empty the purse and end the card's life; return what is to be paid back, tiyn."""
    yield from _begin(card)
    refund_minor = card.balance_minor
    card.environment.status = layout.STATUS_RETIRED
    yield from write_data(card.session, layout.FILE_ENVIRONMENT, layout.encode_environment(card.environment))
    if refund_minor:
        yield from change_value(card.session, DEBIT, layout.FILE_PURSE, refund_minor)
    card.balance_minor = 0
    yield from _finish(desk, card, layout.EVENT_STATUS, refund_minor)
    return refund_minor
