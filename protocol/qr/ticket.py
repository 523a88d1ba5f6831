"""A rider's QR ticket with a rotating code (SPEC.md "QR ticket").

The text is "JQ1:" and base45 of a CBOR map. The phone holds a key of its own for the ticket; the code is an HMAC under it over
everything else and the current step of 30 seconds, so a screenshot is worth nothing a minute later. The validator derives the
ticket's key from the key of the day. The service's signature travels along; it is checked by `ticket_signature`, not at a tap.
"""

from __future__ import annotations

from protocol import cbor
from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.decisions import DECISION_ACCEPTED, DECISION_EXPIRED, DECISION_QR_STALE, DECISION_QR_WRONG_CODE
from protocol.qr import base45
from protocol.qr.code_text import read_fields

PREFIX = "JQ1:"
STEP_S = const(30)
DAY_S = const(86400)
TICKET_ID_BYTES = const(8)
CODE_BYTES = const(8)
SIGNATURE_BYTES = const(72)
_VERSION = const(1)
_STEPS_TOLERATED = const(1)
_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)


class QrTicket:
    """A ticket as it was shown.

    Attributes:
        ticket_id: 8 bytes.
        city, category: numbers.
        expires_s: unix seconds.
        step: unix seconds / 30 at which the code was made.
        code: 8 bytes.
        signature: of the service: kid (8), r and s (32 each).
    """

    __slots__ = ("category", "city", "code", "expires_s", "signature", "step", "ticket_id")

    def __init__(
        self,
        ticket_id: bytes,
        city: int,
        category: int,
        expires_s: int,
        step: int,
        code: bytes = b"",
        signature: bytes = b"",
    ) -> None:
        self.ticket_id = ticket_id
        self.city = city
        self.category = category
        self.expires_s = expires_s
        self.step = step
        self.code = code
        self.signature = signature

    def fields(self) -> dict[int, int | bytes]:
        """Return what the code is over: all but the code."""
        return {
            0: _VERSION,
            1: self.ticket_id,
            2: self.city,
            3: self.category,
            4: self.expires_s,
            5: self.step,
            7: self.signature,
        }


def day_key(qr_master: bytes, day: int) -> bytes:
    """Return the key of a day (unix days, UTC), 32 bytes: what a validator holds."""
    return hmac_sha256(qr_master, b"day" + day.to_bytes(4, "big"))


def ticket_key(key_of_day: bytes, ticket_id: bytes) -> bytes:
    """Return a ticket's own key, 32 bytes: what a phone holds."""
    return hmac_sha256(key_of_day, ticket_id)


def _code(key: bytes, ticket: QrTicket) -> bytes:
    return hmac_sha256(key, cbor.encode(ticket.fields()))[:CODE_BYTES]


def show_ticket(
    ticket_id: bytes, city: int, category: int, expires_s: int, key: bytes, now_s: int, signature: bytes
) -> str:
    """Return the text that a phone shows at that moment; `key` is the ticket's own."""
    ticket = QrTicket(ticket_id, city, category, expires_s, now_s // STEP_S, signature=signature)
    fields = ticket.fields()
    fields[6] = _code(key, ticket)
    return PREFIX + base45.encode(cbor.encode(fields))


def read_ticket(text: str) -> QrTicket:
    """Return the ticket of which this is the text; nothing is checked yet.

    Raises:
        QrError: it is none of ours.
    """
    fields = read_fields(
        text,
        PREFIX,
        (0, TICKET_ID_BYTES, 0, 0, 0, 0, CODE_BYTES, SIGNATURE_BYTES),
        (_VERSION, 0, _U16_MAX, _U16_MAX, _U32_MAX, _U32_MAX, 0, 0),
    )
    return QrTicket(fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7])


def check_ticket(ticket: QrTicket, qr_day_keys: dict[int, bytes], now_s: int) -> int:
    """Return the decision on a ticket at a moment: accepted, wrong code, stale or expired."""
    key = qr_day_keys.get(ticket.step * STEP_S // DAY_S)
    if key is None:
        return DECISION_QR_STALE
    if not constant_time_equal(_code(ticket_key(key, ticket.ticket_id), ticket), ticket.code):
        return DECISION_QR_WRONG_CODE
    if abs(now_s // STEP_S - ticket.step) > _STEPS_TOLERATED:
        return DECISION_QR_STALE
    return DECISION_EXPIRED if now_s >= ticket.expires_s else DECISION_ACCEPTED
