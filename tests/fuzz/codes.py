"""What is shown and typed: QR tickets, screen codes, receipts, labels, base45, invitations."""

from __future__ import annotations

from protocol import cbor
from protocol.decisions import DECISION_ACCEPTED
from protocol.enrolment import Invitation, parse_invitation, print_invitation
from protocol.errors import EnrolmentError, QrError
from protocol.qr import base45, nonce, vehicle_label
from protocol.qr.ticket import PREFIX, STEP_S, check_ticket, day_key, read_ticket, show_ticket, ticket_key
from tests.fuzz.oracles import require_same_by_cbor2
from tests.fuzz.target import Target
from tests.vectors.load import load

_NOW_S = 1_715_742_000
_DAY = _NOW_S // 86_400
_DAY_KEY = day_key(bytes(32), _DAY)
_INVITATION_BYTES = 32
_TICKET_ID = b"ticket 1"
_DEVICE = bytes(range(16))
_SECRET = nonce.vehicle_secret(bytes(32), "almaty", "A-101")


def check_base45(data: bytes) -> None:
    """Whatever is written is read; whatever is read is the one way of writing it."""
    assert base45.decode(base45.encode(data)) == data
    text = data.decode("latin-1")
    try:
        decoded = base45.decode(text)
    except QrError:
        return
    assert base45.encode(decoded) == text


def check_ticket_text(data: bytes) -> None:
    """A text, or what its base45 holds; besides the round trip, only a ticket with its code is accepted."""
    is_text = data.startswith(PREFIX.encode())
    text = data.decode("latin-1") if is_text else PREFIX + base45.encode(data)
    try:
        ticket = read_ticket(text)
    except QrError:
        return
    fields = dict(sorted((ticket.fields() | {6: ticket.code}).items()))
    assert PREFIX + base45.encode(cbor.encode(fields)) == text
    require_same_by_cbor2(cbor.encode(fields), fields)
    key = ticket_key(_DAY_KEY, ticket.ticket_id)
    is_accepted = check_ticket(ticket, {_DAY: _DAY_KEY}, _NOW_S) == DECISION_ACCEPTED
    assert not is_accepted or text == show_ticket(
        ticket.ticket_id, ticket.city, ticket.category, ticket.expires_s, key, ticket.step * STEP_S, ticket.signature
    )


def _text(data: bytes, prefix: str) -> str:
    """Return a text, or the code that holds these bytes."""
    return data.decode("latin-1") if data.startswith(prefix.encode()) else prefix + base45.encode(data)


def check_screen_text(data: bytes) -> None:
    """Only a code that the screen shows in that minute is genuine."""
    text = _text(data, nonce.SCREEN_PREFIX)
    try:
        code = nonce.read_screen(text)
    except QrError:
        return
    key = nonce.screen_key(_DAY_KEY, _SECRET, code.device)
    assert not nonce.is_genuine(code, key) or text == nonce.show_screen(key, code.device, code.city, code.minute)


def check_receipt_text(data: bytes) -> None:
    """Only a receipt as the service makes it lets anybody ride."""
    text = _text(data, nonce.RECEIPT_PREFIX)
    try:
        receipt = nonce.read_receipt(text)
    except QrError:
        return
    fields = receipt.fields()
    fields[7] = receipt.code
    assert nonce.RECEIPT_PREFIX + base45.encode(cbor.encode(fields)) == text
    key = nonce.screen_key(_DAY_KEY, _SECRET, _DEVICE)
    decision = nonce.check_receipt(receipt, _DEVICE, 1, {_DAY: key}, _NOW_S)
    assert decision != DECISION_ACCEPTED or text == nonce.show_receipt(receipt, key)


def check_label_text(data: bytes) -> None:
    """What is read is written back the same, and only the service's own check is believed."""
    text = data.decode("latin-1")
    try:
        label = vehicle_label.read_label(text)
    except QrError:
        return
    assert vehicle_label.show_label(label.city, label.vehicle, label.check) == text.upper()
    check = vehicle_label.label_check(bytes(32), label.city, label.vehicle)
    assert vehicle_label.is_printed(label, bytes(32)) == (label.check == check)


def check_invitation(data: bytes) -> None:
    """A text; and for what chance does not reach behind a check sum, the content of one."""
    content = data[:_INVITATION_BYTES].ljust(_INVITATION_BYTES, b"\0")
    issued = Invitation(content[:8], content[8:24], content[24:])
    typed_right = parse_invitation(print_invitation(issued).lower())
    assert (typed_right.code_id, typed_right.secret, typed_right.ack_kid) == (
        issued.code_id,
        issued.secret,
        issued.ack_kid,
    )
    text = data.decode("utf-8", "replace")
    try:
        invitation = parse_invitation(text)
    except EnrolmentError:
        return
    typed = text.upper().translate(str.maketrans("OIL", "011", "- "))
    assert print_invitation(invitation).replace("-", "") == typed


def _ticket_seeds() -> list[bytes]:
    key = ticket_key(_DAY_KEY, _TICKET_ID)
    shown = [
        show_ticket(_TICKET_ID, 1, 1, _NOW_S + 100, key, _NOW_S + age_s, bytes(range(72))) for age_s in (0, -60, 90_000)
    ]
    return [text.encode() for text in shown] + [base45.decode(text[len(PREFIX) :]) for text in shown]


def _screen_seeds() -> list[bytes]:
    key = nonce.screen_key(_DAY_KEY, _SECRET, _DEVICE)
    text = nonce.show_screen(key, _DEVICE, 1, _NOW_S // 60)
    return [text.encode(), base45.decode(text[4:])]


def _receipt_seeds() -> list[bytes]:
    key = nonce.screen_key(_DAY_KEY, _SECRET, _DEVICE)
    receipts = [nonce.Receipt(_DEVICE, 1, _NOW_S // 60 - age, b"payment1", 10_000, 1) for age in (0, 3, 4)]
    shown = [nonce.show_receipt(receipt, key) for receipt in receipts]
    return [text.encode() for text in shown] + [base45.decode(text[4:]) for text in shown]


def _label_seeds() -> list[bytes]:
    check = vehicle_label.label_check(bytes(32), "almaty", "A-101")
    text = vehicle_label.show_label("almaty", "A-101", check)
    return [text.encode(), text.lower().encode(), b"JOLAQY://A/B/C"]


def _invitation_seeds() -> list[bytes]:
    text = load("wire")["invitation"]["text"]
    return [text.encode(), text.lower().replace("-", "").encode()]


TARGETS = (
    Target("base45", check_base45, lambda: [*_ticket_seeds(), b"QED8WEX0", b"BB8", b"AB"], 256),
    Target("qr-ticket", check_ticket_text, _ticket_seeds, 256, is_cbor=True),
    Target("qr-screen", check_screen_text, _screen_seeds, 256, is_cbor=True),
    Target("qr-receipt", check_receipt_text, _receipt_seeds, 256, is_cbor=True),
    Target("label", check_label_text, _label_seeds, 128),
    Target("invitation", check_invitation, _invitation_seeds, 128),
)
