"""The conversation with a bank card: EMV contactless in transit (EMV Contactless Book B, EMV Book 3), up to its identity.

PPSE → SELECT → GET PROCESSING OPTIONS → READ RECORD of all that the card names. The card number lives only in this conversation,
in one buffer that is overwritten however the conversation ends; `tokenise` is shown that buffer, and what comes out is the token.
No message, error or attribute here carries it. Responses carry it too: a driver that sends them as bytearrays gets them
overwritten, immutable bytes are dropped.

What is read here is the identity alone. Whether the card is genuine is the business of offline data authentication, which uses
the same records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.apdu import SW_OK, command, require_ok, select, split_response
from protocol.cards.tlv import find, parse, parse_object_list
from protocol.compat import const
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeVar

    Result = TypeVar("Result")
    # A driver sends bytes, or a bytearray which it does not need afterwards.
    Conversation = Generator[bytes, bytes | bytearray, Result]

PPSE_NAME = b"2PAY.SYS.DDF01"
SCHEMES = {b"\xa0\x00\x00\x00\x03": "visa", b"\xa0\x00\x00\x00\x04": "mastercard"}
NUMBER_BYTES = const(10)

_TAG_DIRECTORY = const(0xBF0C)
_TAG_DIRECTORY_ENTRY = const(0x61)
_TAG_AID = const(0x4F)
_TAG_PRIORITY = const(0x87)
_TAG_PDOL = const(0x9F38)
_TAG_AFL = const(0x94)
_TAG_PAN = const(0x5A)
_TAG_TRACK2 = const(0x57)
_TAG_EXPIRY = const(0x5F24)
_FORMAT_1 = const(0x80)
_RID_BYTES = const(5)
_AID_BYTES_MAX = const(16)
_APPLICATIONS_MAX = const(8)
_RECORDS_MAX = const(16)
_OPTIONS_BYTES_MAX = const(252)
_DIGITS_MIN = const(12)
_DIGITS_MAX = const(19)
_END_OF_NUMBER = const(0xF)
_END_OF_TRACK2_NUMBER = const(0xD)

# Terminal transaction qualifiers of a transit reader: EMV mode, offline data authentication before online authorisation.
_TTQ = b"\x27\x00\x40\x00"
_KAZAKHSTAN = b"\x03\x98"
_TENGE = b"\x03\x98"
_UNATTENDED_WITH_ONLINE = b"\x25"
_CAPABILITIES = b"\x00\x08\x48"
# Numeric objects keep their right end when a card asks for another size, all others their left (EMV Book 3 section 5.4).
_NUMERIC = (0x9F02, 0x9F03, 0x9F1A, 0x5F2A, 0x9A, 0x9C, 0x9F35)


class NoPaymentApplication(CardError):  # noqa: N818 - a result that the validator tells apart
    """The medium has no payment application, or none of a scheme that is accepted here."""


class Terminal:
    """What a card may ask of the terminal.

    Attributes:
        values: by tag.
    """

    def __init__(self, amount_minor: int, date: bytes, unpredictable: bytes) -> None:
        """Take the amount (0 in transit: the fare is known only at the end of the day), YYMMDD packed, and 4 random bytes."""
        digits = ("000000000000" + str(amount_minor))[-12:]
        self.values = {
            0x9F66: _TTQ,
            0x9F02: bytes([int(digits[i : i + 2], 16) for i in range(0, 12, 2)]),
            0x9F03: bytes(6),
            0x9F1A: _KAZAKHSTAN,
            0x95: bytes(5),
            0x5F2A: _TENGE,
            0x9A: date,
            0x9C: b"\x00",
            0x9F33: _CAPABILITIES,
            0x9F35: _UNATTENDED_WITH_ONLINE,
            0x9F37: unpredictable,
        }

    def fill(self, data_object_list: bytes) -> bytes:
        """Return the values that a data object list asks for, unknown ones as zeros (EMV Book 3 section 5.4)."""
        out = b""
        for tag, size in parse_object_list(data_object_list):
            out += _fitted(self.values.get(tag, b""), size, tag in _NUMERIC)
            if len(out) > _OPTIONS_BYTES_MAX:
                raise CardError("the card asks for more data than fits into a command")
        return out


def _fitted(value: bytes, size: int, numeric: bool) -> bytes:
    padding = bytes(max(0, size - len(value)))
    if numeric:
        return padding + value[max(0, len(value) - size) :]
    return value[:size] + padding


class BankCardRead:
    """What is known of a bank card after its conversation.

    Attributes:
        token: what `tokenise` made of its number.
        expires_yymm: four packed digits, 2 bytes.
        scheme: `visa` or `mastercard`.
    """

    __slots__ = ("expires_yymm", "scheme", "token")

    def __init__(self, token: bytes, expires_yymm: bytes, scheme: str) -> None:
        self.token = token
        self.expires_yymm = expires_yymm
        self.scheme = scheme


class _Identity:
    """Number and expiry, as records give them, possibly more than once; all must agree."""

    __slots__ = ("_expiry", "_known", "_number")

    def __init__(self) -> None:
        self._number = bytearray(NUMBER_BYTES)
        self._known = False
        self._expiry = b""

    def take(self, data: memoryview) -> None:
        """Take what is there; `data` is neither kept nor copied."""
        number = find(data, _TAG_PAN)
        if number is not None:
            self._take_number(number, _END_OF_NUMBER)
        track = find(data, _TAG_TRACK2)
        if track is not None:
            end = self._take_number(track, _END_OF_TRACK2_NUMBER)
            self._take_expiry([_nibble(track, end + 1 + i) for i in range(4)])
        expiry = find(data, _TAG_EXPIRY)
        if expiry is not None:
            self._take_expiry([_nibble(expiry, i) for i in range(4)])

    def _take_number(self, packed: memoryview, end_mark: int) -> int:
        """Write the digits up to the mark, packed and filled with F; return where the mark is."""
        found = bytearray(b"\xff" * NUMBER_BYTES)
        try:
            count = 0
            while count < 2 * len(packed) and _nibble(packed, count) != end_mark:
                digit = _nibble(packed, count)
                if digit > 9 or count == _DIGITS_MAX:
                    raise CardError("a card number has 12 to 19 digits")
                found[count >> 1] &= (0xF0 | digit) if count % 2 else (digit << 4 | 0x0F)
                count += 1
            if count < _DIGITS_MIN:
                raise CardError("a card number has 12 to 19 digits")
            if self._known and found != self._number:
                raise CardError("the card gives two numbers")
            self._number[:] = found
            self._known = True
            return count
        finally:
            _overwrite(found)

    def _take_expiry(self, digits: list[int]) -> None:
        year_tens, year_ones, month_tens, month_ones = digits
        if max(digits) > 9 or not 1 <= month_tens * 10 + month_ones <= 12:
            raise CardError("an expiry date is a year and a month")
        expiry = bytes((year_tens << 4 | year_ones, month_tens << 4 | month_ones))
        if self._expiry and self._expiry != expiry:
            raise CardError("the card gives two expiry dates")
        self._expiry = expiry

    def as_read(self, tokenise: Callable[[bytearray], bytes], scheme: str) -> BankCardRead:
        if not self._known or not self._expiry:
            raise CardError("the card gives no number or no expiry date")
        return BankCardRead(tokenise(self._number), self._expiry, scheme)

    def forget(self) -> None:
        _overwrite(self._number)
        self._known = False


def read_bank_card(tokenise: Callable[[bytearray], bytes], terminal: Terminal) -> Conversation[BankCardRead]:
    """Hold the conversation and return what may leave it.

    Args:
        tokenise: turns the card number (10 bytes: packed digits, filled with F) into a token; it must not keep its argument.
        terminal: what the card may ask for.

    Raises:
        NoPaymentApplication: the medium is no bank card that is accepted here.
        CardError: a broken answer.
    """
    name, chosen = yield from _select_application()
    options = terminal.fill(find(chosen, _TAG_PDOL) or b"")
    identity = _Identity()
    try:
        request = command(0x80, 0xA8, 0, 0, bytes((0x83, len(options))) + options, 0)
        locator = yield from _take(identity, request, "processing options")
        for file, record in _records(locator):
            yield from _take(identity, command(0x00, 0xB2, record, file << 3 | 4, b"", 0), "read record")
        return identity.as_read(tokenise, SCHEMES[name[:_RID_BYTES]])
    finally:
        identity.forget()


def _select_application() -> Conversation[tuple[bytes, bytes]]:
    """Return name and answer of the best application that lets itself be selected (Book B section 3.3)."""
    directory, status = split_response(bytes((yield select(PPSE_NAME))))
    if status == SW_OK:
        for name in _candidates(directory):
            chosen, status = split_response(bytes((yield select(name))))
            if status == SW_OK:
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
        if len(name) <= _AID_BYTES_MAX and name[:_RID_BYTES] in SCHEMES:
            ranked.append((rank or 0x10, position, name))
    return [name for _, _, name in sorted(ranked)]


def _take(identity: _Identity, request: bytes, what: str) -> Conversation[bytes]:
    """Send a command and take what its answer says of the identity; return the file locator, if there is one."""
    response = yield request
    try:
        data = require_ok(memoryview(response), what)
        identity.take(data)
        locator = find(data, _TAG_AFL)
        if locator is None and len(data) and data[0] == _FORMAT_1:  # interchange profile (2) and locator, without tags
            locator = parse(data)[0][1][2:]
        return b"" if locator is None else bytes(locator)
    finally:
        if isinstance(response, bytearray):
            _overwrite(response)


def _records(locator: bytes) -> list[tuple[int, int]]:
    """Return file and number of each record that a locator names (EMV Book 3 section 10.2)."""
    if len(locator) % 4:
        raise CardError("the card does not say where its records are")
    records: list[tuple[int, int]] = []
    for start in range(0, len(locator), 4):
        file, first, last = locator[start] >> 3, locator[start + 1], locator[start + 2]
        if not (1 <= file <= 30 and 1 <= first <= last):
            raise CardError("the card names records that cannot be")
        if len(records) + last - first >= _RECORDS_MAX:
            raise CardError("the card names more records than a tap has time for")
        records += [(file, record) for record in range(first, last + 1)]
    return records


def _nibble(packed: memoryview, index: int) -> int:
    """Return a packed digit; what lies behind the end reads as F."""
    if index >> 1 >= len(packed):
        return _END_OF_NUMBER
    byte = packed[index >> 1]
    return byte & 0x0F if index % 2 else byte >> 4


def _overwrite(buffer: bytearray) -> None:
    for index in range(len(buffer)):
        buffer[index] = 0
