"""The conversation with a bank card: EMV contactless in transit (EMV Contactless Book B, EMV Books 2 and 3).

PPSE → SELECT → GET PROCESSING OPTIONS → READ RECORD of all that the card names → for Mastercard-like cards GENERATE AC, and
then the proof that the card is genuine (`emv_oda`): a Visa-like card has signed with its processing options (fDDA), a
Mastercard-like one signs together with its cryptogram (CDA). The terminal asks for a cryptogram that an acquirer can authorise
later.

The card number lives only in this conversation, in buffers that are overwritten however it ends. The vault is shown them, and
what comes out of it is all that leaves: the token, and the blob that only the acquirer can open. No message, error or attribute
here carries the number. Responses carry it too: a driver that sends them as bytearrays gets them overwritten, immutable bytes
are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.acquirer_blob import BLOB_TAGS
from protocol.cards.apdu import SW_OK, command, require_ok, select, split_response
from protocol.cards.emv_card_data import CardData
from protocol.cards.emv_keys import NotGenuine, overwrite
from protocol.cards.emv_oda import split_cda
from protocol.cards.tlv import find, parse
from protocol.compat import const, sha1_of
from protocol.decisions import DECISION_CARD_DECLINES, DECISION_CARD_SIGNATURE_WRONG
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Protocol, TypeVar

    from protocol.cards.emv_oda import OfflineAuthentication
    from protocol.cards.emv_terminal import Terminal

    Result = TypeVar("Result")
    # A driver sends bytes, or a bytearray which it does not need afterwards.
    Conversation = Generator[bytes, bytes | bytearray, Result]

    class Vault(Protocol):
        """Where the number goes. It keeps neither of its arguments."""

        def tokenise(self, number: bytearray) -> bytes:
            """Return the token of a card number (10 bytes: packed digits, filled with F)."""

        def seal(self, objects: bytearray) -> bytes:
            """Return the acquirer's blob of encoded data objects."""


PPSE_NAME = b"2PAY.SYS.DDF01"
VISA = b"\xa0\x00\x00\x00\x03"
MASTERCARD = b"\xa0\x00\x00\x00\x04"

_TAG_DIRECTORY = const(0xBF0C)
_TAG_DIRECTORY_ENTRY = const(0x61)
_TAG_AID = const(0x4F)
_TAG_NAME = const(0x84)
_TAG_PRIORITY = const(0x87)
_TAG_PDOL = const(0x9F38)
_TAG_AFL = const(0x94)
_TAG_RECORD = const(0x70)
_TAG_SIGNATURE = const(0x9F4B)
_FORMAT_1 = const(0x80)
_FORMAT_2 = const(0x77)
_RID_BYTES = const(5)
_AID_BYTES_MAX = const(16)
_APPLICATIONS_MAX = const(8)
_RECORDS_MAX = const(16)
_CONTENT_ALONE_UP_TO_FILE = const(10)
_SIGNS_ALONE = const(0x20)
_SIGNS_CRYPTOGRAM = const(0x01)
_WANTED_CRYPTOGRAM = const(0x90)
_CRYPTOGRAM_KIND = const(0xC0)
_ISSUER_DATA_BYTES_MIN = const(7)
_FDDA_VERSION = b"\x01"


class NoPaymentApplication(CardError):  # noqa: N818 - a result that the validator tells apart
    """The medium has no payment application, or none of a scheme that is accepted here."""


class BankCardRead:
    """What is known of a genuine bank card after its conversation.

    Attributes:
        token: what the vault made of its number.
        blob: what the vault made of what the acquirer needs.
        expires_yymm: four packed digits, 2 bytes.
        counter: the card's transaction counter (ATC).
    """

    __slots__ = ("blob", "counter", "expires_yymm", "token")

    def __init__(self, token: bytes, blob: bytes, expires_yymm: bytes, counter: int) -> None:
        self.token = token
        self.blob = blob
        self.expires_yymm = expires_yymm
        self.counter = counter


def read_bank_card(
    vault: Vault, terminal: Terminal, authentication: OfflineAuthentication
) -> Conversation[BankCardRead]:
    """Hold the conversation and return what may leave it.

    Raises:
        NoPaymentApplication: the medium is no bank card that is accepted here.
        NotGenuine: the card could not prove what it is, or declines; `decision` says why.
        CardError: a broken answer.
    """
    name, chosen = yield from select_application()
    card = CardData()
    card.put(_TAG_NAME, name)
    authentication.begin(name[:_RID_BYTES], card.objects, terminal.today)
    try:
        options = terminal.fill(find(chosen, _TAG_PDOL) or b"")
        request = command(0x80, 0xA8, 0, 0, bytes((0x83, len(options))) + options, 0)
        authentication.is_signing = name[:_RID_BYTES] == VISA
        locator = yield from _ask(request, "processing options", lambda data: _take_options(card, data))
        authentication.is_signing = False
        for file, record, is_signed in _records(locator):
            request = command(0x00, 0xB2, record, file << 3 | 4, b"", 0)
            yield from _ask(request, "read record", lambda data: _take_record(card, data, file, is_signed))  # noqa: B023 - asked at once
        rid = name[:_RID_BYTES]
        signs = _SIGNS_ALONE if rid == VISA else _SIGNS_CRYPTOGRAM
        if not card.required(0x82, 2)[0] & signs:
            raise NotGenuine(DECISION_CARD_DECLINES, "the card cannot be checked offline")
        if not (card.number and card.track2):
            raise CardError("the card gives no number or no track")
        card.end_static()
        if rid == VISA:
            _check_alone(card, terminal, authentication, rid)
        else:
            yield from _check_cryptogram(card, terminal, authentication, rid, options)
        return _leave(card, vault, terminal)
    finally:
        authentication.end()
        card.forget()


def _leave(card: CardData, vault: Vault, terminal: Terminal) -> BankCardRead:
    objects = card.encode(BLOB_TAGS, terminal.values)
    try:
        counter = int.from_bytes(card.required(0x9F36, 2), "big")
        return BankCardRead(vault.tokenise(card.number), vault.seal(objects), card.expires_yymm, counter)
    finally:
        overwrite(objects)


# Choosing an application.


def select_application() -> Conversation[tuple[bytes, bytes]]:
    """Return name and answer of the best application that lets itself be selected (Book B section 3.3).

    Raises:
        NoPaymentApplication: there is none.
        CardError: a broken answer.
    """
    directory, status = split_response(bytes((yield select(PPSE_NAME))))
    if status == SW_OK:
        for name in _candidates(directory):
            chosen, status = split_response(bytes((yield select(name))))
            if status == SW_OK:
                if (find(chosen, _TAG_NAME) or b"")[: len(name)] != name:
                    raise CardError("the card answers for another application than was selected")
                return name, chosen
    raise NoPaymentApplication("no payment application that is accepted here")


def _candidates(directory: bytes) -> list[bytes]:
    """Return the names of accepted applications, best priority first; one without a priority comes last."""
    ranked = []
    entries = parse(find(directory, _TAG_DIRECTORY) or b"")
    for position, (tag, entry) in enumerate(entries[:_APPLICATIONS_MAX]):
        if tag != _TAG_DIRECTORY_ENTRY:
            continue
        name = find(entry, _TAG_AID) or b""
        priority = find(entry, _TAG_PRIORITY)
        rank = priority[0] & 0x0F if priority else 0
        if len(name) <= _AID_BYTES_MAX and name[:_RID_BYTES] in {VISA, MASTERCARD}:
            ranked.append((rank or 0x10, position, name))
    return [name for _, _, name in sorted(ranked)]


# Reading.


def _ask(request, what: str, take):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - MicroPython knows no generics
    """Send a command, and return what `take` makes of the data of its answer, which is then overwritten."""
    response = yield request
    try:
        return take(require_ok(memoryview(response), what))
    finally:
        if isinstance(response, bytearray):
            overwrite(response)


def _take_options(card: CardData, data: memoryview) -> bytes:
    """Take the processing options and return the file locator (EMV Book 3 section 6.5.8.4)."""
    if len(data) and data[0] == _FORMAT_1:  # interchange profile (2) and locator, without tags
        plain = parse(data)[0][1]
        card.put(0x82, bytes(plain[:2]))
        return bytes(plain[2:])
    card.take(data)
    return bytes(find(data, _TAG_AFL) or b"")


def _take_record(card: CardData, data: memoryview, file: int, is_signed: bool) -> None:
    """Take a record; one that is authenticated must be a template, whose frame counts only in files above 10 (Book 3, 10.3)."""
    card.take(data)
    if is_signed:
        objects = parse(data)
        if len(objects) != 1 or objects[0][0] != _TAG_RECORD:
            raise CardError("a record of the card is no template")
        card.take_static(objects[0][1] if file <= _CONTENT_ALONE_UP_TO_FILE else data)


def _records(locator: bytes) -> list[tuple[int, int, bool]]:
    """Return file and number of each record that a locator names, and whether it is authenticated (Book 3 section 10.2)."""
    if len(locator) % 4:
        raise CardError("the card does not say where its records are")
    records: list[tuple[int, int, bool]] = []
    for start in range(0, len(locator), 4):
        file, first, last, signed = locator[start] >> 3, locator[start + 1], locator[start + 2], locator[start + 3]
        if not (1 <= file <= 30 and 1 <= first <= last and signed <= last - first + 1):
            raise CardError("the card names records that cannot be")
        if len(records) + last - first >= _RECORDS_MAX:
            raise CardError("the card names more records than a tap has time for")
        records += [(file, record, record - first < signed) for record in range(first, last + 1)]
    return records


# The proof.


def _require_offered(information: int) -> None:
    """Refuse where the card's cryptogram is that of a refusal."""
    if not information & _CRYPTOGRAM_KIND:
        raise NotGenuine(DECISION_CARD_DECLINES, "the card declines")


def _check_alone(card: CardData, terminal: Terminal, authentication: OfflineAuthentication, rid: bytes) -> None:
    """Check what a card has signed with its processing options (fDDA version 01: over 9F37, 9F02, 5F2A and 9F69).

    9F69 is that version, the card's own unpredictable number (4) and its transaction qualifiers (2). So do others read EMV Book
    C-3 in public: card applets and kernels, with test cases. What the card signs of its own before that is not looked at.
    """
    key = authentication.card_key(rid, card.objects, card.number, card.static, terminal.today)
    related = card.objects.get(0x9F69, b"")
    if related[:1] != _FDDA_VERSION:
        raise NotGenuine(DECISION_CARD_SIGNATURE_WRONG, "the card signs in a way that is not known here")
    if 0x9F27 not in card.objects:  # then the issuer's data tells which cryptogram it is
        issuer_data = card.required(0x9F10)
        if len(issuer_data) < _ISSUER_DATA_BYTES_MIN:
            raise CardError("the card does not say what it must: 0x9f10")
        card.put(0x9F27, bytes(((issuer_data[4] & 0x30) << 2,)))
    _require_offered(card.required(0x9F27, 1)[0])
    card.required(0x9F26, 8)
    values = terminal.values
    said = [values[0x9F37], values[0x9F02], values[0x5F2A], related]
    authentication.dynamic_data(key, card.objects.get(_TAG_SIGNATURE, b""), said)


def _check_cryptogram(
    card: CardData, terminal: Terminal, authentication: OfflineAuthentication, rid: bytes, options: bytes
) -> Conversation[None]:
    """Have a cryptogram made, and check what the card has signed together with it (CDA, EMV Book 2 section 6.6).

    The card's certificate is checked afterwards: it is looked at while the card signs.
    """
    related = terminal.fill(card.required(0x8C))
    request = command(0x80, 0xAE, _WANTED_CRYPTOGRAM, 0, related, 0)
    authentication.is_signing = True
    said = yield from _ask(request, "generate cryptogram", lambda data: _take_cryptogram(card, data))
    key = authentication.card_key(rid, card.objects, card.number, card.static, terminal.today)
    _require_offered(card.required(0x9F27, 1)[0])
    dynamic = authentication.dynamic_data(key, card.objects.get(_TAG_SIGNATURE, b""), [terminal.values[0x9F37]])
    information, cryptogram, digest = split_cda(dynamic)
    if information != card.objects[0x9F27][0] or sha1_of([options, related] + said) != digest:
        raise NotGenuine(DECISION_CARD_SIGNATURE_WRONG, "the card has signed another transaction")
    card.put(0x9F26, cryptogram)


def _take_cryptogram(card: CardData, data: memoryview) -> list[bytes]:
    """Take the answer and return the pieces of it that the card's signature covers: all objects but the signature."""
    objects = parse(data)
    if len(objects) != 1:
        raise CardError("the card gives more than one answer")
    tag, content = objects[0]
    if tag == _FORMAT_1:  # information, counter, cryptogram, issuer's data: nothing is signed
        card.put(0x9F27, bytes(content[:1]))
        return []
    if tag != _FORMAT_2:
        raise CardError("the card gives another answer than it was asked for")
    card.take(content)
    signature = find(content, _TAG_SIGNATURE)
    if signature is None:
        return [bytes(content)]
    # Where it lies is found by its encoding; it is too long to be there twice.
    whole, size = bytes(content), len(signature)
    start = whole.find(bytes(signature))
    head = 3 if size < 0x80 else 4
    return [whole[: start - head], whole[start + size :]]
