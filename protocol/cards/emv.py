"""The conversation with a bank card: EMV contactless in transit (EMV Contactless Book B, Book 3), up to its identity.

PPSE → SELECT → GET PROCESSING OPTIONS → READ RECORD. The card number lives only in this conversation: it is handed to
`tokenise`, and what comes out is the token. No message, error or attribute here carries it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.apdu import command, require_ok, select
from protocol.cards.tlv import find, parse
from protocol.compat import const
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PPSE_NAME = b"2PAY.SYS.DDF01"
SCHEMES = {b"\xa0\x00\x00\x00\x03": "visa", b"\xa0\x00\x00\x00\x04": "mastercard"}

_TAG_DIRECTORY_ENTRY = const(0x61)
_TAG_AID = const(0x4F)
_TAG_PRIORITY = const(0x87)
_TAG_PDOL = const(0x9F38)
_TAG_AFL = const(0x94)
_TAG_PAN = const(0x5A)
_TAG_TRACK2 = const(0x57)
_TAG_EXPIRY = const(0x5F24)
_APPLICATIONS_MAX = const(8)
_RECORDS_MAX = const(16)
# Terminal transaction qualifiers of a transit reader: contactless EMV, online-capable later, no cardholder verification.
_TTQ = b"\x27\x00\x40\x00"
_COUNTRY_KZ = b"\x03\x98"
_CURRENCY_KZT = b"\x03\x98"


class Terminal:
    """What a card may ask of the terminal.

    Attributes:
        amount_minor: amount authorised; 0 in transit, the fare is known only at the end of the day.
        date: YYMMDD, packed digits.
        unpredictable: 4 random bytes.
    """

    def __init__(self, amount_minor: int, date: bytes, unpredictable: bytes) -> None:
        digits = ("000000000000" + str(amount_minor))[-12:]
        self.values = {
            0x9F66: _TTQ,
            0x9F02: bytes([int(digits[i : i + 2], 16) for i in range(0, 12, 2)]),
            0x9F03: bytes(6),
            0x9F1A: _COUNTRY_KZ,
            0x95: bytes(5),
            0x5F2A: _CURRENCY_KZT,
            0x9A: date,
            0x9C: b"\x00",
            0x9F37: unpredictable,
        }

    def fill(self, data_object_list: bytes) -> bytes:
        """Return the values that a data object list asks for, unknown ones as zeros (EMV Book 3 section 5.4)."""
        out = b""
        for tag, size in _entries(data_object_list):
            value = self.values.get(tag, b"")
            out += value[:size] if len(value) >= size else value + bytes(size - len(value))
            if len(out) > 252:
                raise CardError("the card asks for more data than fits into a command")
        return out


def _entries(data_object_list: bytes) -> list[tuple[int, int]]:
    entries = []
    position = 0
    while position < len(data_object_list):
        tag = data_object_list[position]
        position += 1
        if tag & 0x1F == 0x1F and position < len(data_object_list):
            tag = tag << 8 | data_object_list[position]
            position += 1
        if position >= len(data_object_list):
            raise CardError("a data object list is cut off")
        entries.append((tag, data_object_list[position]))
        position += 1
    return entries


class BankCardRead:
    """What is known of a bank card after its conversation.

    Attributes:
        token: 16 bytes.
        expires_yymm: four packed digits, 2 bytes.
        scheme: `visa` or `mastercard`.
    """

    __slots__ = ("expires_yymm", "scheme", "token")

    def __init__(self, token: bytes, expires_yymm: bytes, scheme: str) -> None:
        self.token = token
        self.expires_yymm = expires_yymm
        self.scheme = scheme


def read_bank_card(tokenise: Callable[[bytes], bytes], terminal: Terminal) -> Generator[bytes, bytes, BankCardRead]:
    """Hold the conversation and return what may leave it.

    Args:
        tokenise: turns the card number (packed digits, padding F removed by it or not, as it was coded) into a token.
        terminal: what the card may ask for.

    Raises:
        CardError: no application that we accept, or a broken answer.
    """
    directory = require_ok((yield select(PPSE_NAME)), "payment directory")
    name = _best_application(directory)
    chosen = require_ok((yield select(name)), "select application")
    options = terminal.fill(find(chosen, _TAG_PDOL) or b"")
    request = bytes((0x83, len(options))) + options
    processing = require_ok((yield command(0x80, 0xA8, 0, 0, request, 0)), "processing options")
    number = _number_in(processing)
    expiry = find(processing, _TAG_EXPIRY)
    for file, record in _records(_locator(processing)):
        if number is not None and expiry is not None:
            break
        data = require_ok((yield command(0x00, 0xB2, record, file << 3 | 4, b"", 0)), "read record")
        number = number or _number_in(data)
        expiry = expiry or find(data, _TAG_EXPIRY)
    if number is None or expiry is None or len(expiry) < 2:
        raise CardError("the card gives no number or no expiry date")
    return BankCardRead(tokenise(number), expiry[:2], SCHEMES[name[:5]])


def _best_application(directory: bytes) -> bytes:
    """Return the name of the accepted application with the best priority (Book B section 3.3)."""
    best: tuple[int, bytes] | None = None
    entries = [value for tag, value in _directory_entries(directory) if tag == _TAG_DIRECTORY_ENTRY]
    for entry in entries[:_APPLICATIONS_MAX]:
        name = find(entry, _TAG_AID)
        priority = find(entry, _TAG_PRIORITY)
        rank = priority[0] & 0x0F if priority else 0
        if name is not None and name[:5] in SCHEMES and (best is None or (rank or 15) < best[0]):
            best = (rank or 15, name)
    if best is None:
        raise CardError("no application of a scheme that is accepted here")
    return best[1]


def _directory_entries(directory: bytes) -> list[tuple[int, bytes]]:
    issuer_data = find(directory, 0xBF0C)
    return parse(issuer_data) if issuer_data else []


def _locator(processing: bytes) -> bytes:
    locator = find(processing, _TAG_AFL)
    if locator is None and processing[:1] == b"\x80":  # format 1: AIP and AFL without tags
        locator = parse(processing)[0][1][2:]
    if locator is None or len(locator) % 4:
        raise CardError("the card does not say where its records are")
    return locator


def _records(locator: bytes) -> list[tuple[int, int]]:
    records = []
    for start in range(0, len(locator), 4):
        file, first, last = locator[start] >> 3, locator[start + 1], locator[start + 2]
        if not (1 <= file <= 30 and 1 <= first <= last):
            raise CardError("the card names records that cannot be")
        for record in range(first, last + 1):
            records.append((file, record))
            if len(records) > _RECORDS_MAX:
                raise CardError("the card names more records than a tap has time for")
    return records


def _number_in(data: bytes) -> bytes | None:
    """Return the card number as 10 packed bytes, digits from the left and F to the end, or None."""
    number = find(data, _TAG_PAN)
    if number is None:
        track = find(data, _TAG_TRACK2)
        if track is None:
            return None
        digits = "".join(["%02X" % byte for byte in track])
        end = digits.find("D")
        if not 12 <= end <= 19:
            raise CardError("the track data has no card number")
        digits = digits[:end] + "F" * (20 - end)
        number = bytes([int(digits[i : i + 2], 16) for i in range(0, 20, 2)])
    if not 6 <= len(number) <= 10:
        raise CardError("a card number has 12 to 19 digits")
    return number + b"\xff" * (10 - len(number))
