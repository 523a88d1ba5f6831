"""What is shown and typed: QR tickets, base45, invitations."""

from __future__ import annotations

from protocol import cbor
from protocol.decisions import DECISION_ACCEPTED
from protocol.enrolment import Invitation, parse_invitation, print_invitation
from protocol.errors import EnrolmentError, QrError
from protocol.qr import base45
from protocol.qr.ticket import PREFIX, STEP_S, check_ticket, day_key, read_ticket, show_ticket, ticket_key
from tests.fuzz.oracles import require_same_by_cbor2
from tests.fuzz.target import Target
from tests.vectors.load import load

_NOW_S = 1_715_742_000
_DAY = _NOW_S // 86_400
_DAY_KEY = day_key(bytes(32), _DAY)
_INVITATION_BYTES = 32
_TICKET_ID = b"ticket 1"


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
    fields = ticket.fields()
    fields[6] = ticket.code
    assert PREFIX + base45.encode(cbor.encode(fields)) == text
    require_same_by_cbor2(cbor.encode(fields), fields)
    key = ticket_key(_DAY_KEY, ticket.ticket_id)
    is_accepted = check_ticket(ticket, {_DAY: _DAY_KEY}, _NOW_S) == DECISION_ACCEPTED
    assert not is_accepted or text == show_ticket(
        ticket.ticket_id, ticket.city, ticket.category, ticket.expires_s, key, ticket.step * STEP_S
    )


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
    shown = [show_ticket(_TICKET_ID, 1, 1, _NOW_S + 100, key, _NOW_S + age_s) for age_s in (0, -60, 90_000)]
    return [text.encode() for text in shown] + [base45.decode(text[len(PREFIX) :]) for text in shown]


def _invitation_seeds() -> list[bytes]:
    text = load("wire")["invitation"]["text"]
    return [text.encode(), text.lower().replace("-", "").encode()]


TARGETS = (
    Target("base45", check_base45, lambda: [*_ticket_seeds(), b"QED8WEX0", b"BB8", b"AB"], 256),
    Target("qr-ticket", check_ticket_text, _ticket_seeds, 256, is_cbor=True),
    Target("invitation", check_invitation, _invitation_seeds, 128),
)
