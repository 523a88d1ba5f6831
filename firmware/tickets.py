"""A rider shows a QR ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.decision import MediumFacts
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_QR_ALREADY_USED,
    DECISION_QR_OTHER_CITY,
    DECISION_QR_UNREADABLE,
)
from protocol.errors import QrError
from protocol.qr.ticket import check_ticket, read_ticket
from protocol.tap import MEDIUM_QR_TICKET
from protocol.tokens import LABEL_QR, medium_token

if TYPE_CHECKING:
    from firmware.farebox import Farebox


class Tickets:
    """Serves QR tickets."""

    def __init__(self, farebox: Farebox) -> None:
        self._farebox = farebox

    def serve(self, text: str) -> None:
        try:
            ticket = read_ticket(text)
        except QrError:
            self._farebox.refuse(DECISION_QR_UNREADABLE, None)
            return
        now_s, _ = read_clock(self._farebox.board)
        token = medium_token(self._farebox.keys.token_key, LABEL_QR, ticket.ticket_id)
        facts = MediumFacts(MEDIUM_QR_TICKET, ticket.category, token, None, ticket.expires_s)
        code = DECISION_QR_OTHER_CITY
        if ticket.city == self._farebox.city:
            code = check_ticket(ticket, self._farebox.keys.qr_day_keys, now_s)
        if code != DECISION_ACCEPTED:
            self._farebox.refuse(code, facts)
            return
        paid = self._farebox.paid_before(token)
        # Who has paid and not seen the light is told so; anybody else shows a picture.
        if self._farebox.recent.has_passed(token, ticket.step) if paid is None else paid.seen:
            self._farebox.refuse(DECISION_QR_ALREADY_USED, facts)
            return
        self._farebox.serve_account(facts, counter=ticket.step, evidence=ticket.code)
