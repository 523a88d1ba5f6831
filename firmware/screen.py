"""The validator's own code, another one each minute; and the ride of who has paid by it and shows it (SPEC.md "Screen code")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.decision import Decision, MediumFacts
from protocol.compat import const
from protocol.decisions import DECISION_ACCEPTED, DECISION_QR_ALREADY_USED, DECISION_QR_UNREADABLE
from protocol.errors import QrError
from protocol.qr.nonce import MINUTE_S, check_receipt, read_receipt, screen_key, show_screen
from protocol.tap import MEDIUM_QR_SCREEN
from protocol.tokens import LABEL_SCREEN, medium_token

if TYPE_CHECKING:
    from firmware.farebox import Farebox
    from firmware.loop import Loop

_MINUTES_A_DAY = const(1440)


class Screen:
    """Shows codes, and serves receipts."""

    def __init__(self, farebox: Farebox, device: bytes) -> None:
        self._farebox = farebox
        self._device = device

    def _keys(self) -> dict[int, bytes]:
        keys = self._farebox.keys
        if not any(keys.vehicle_secret):
            return {}
        return {day: screen_key(key, keys.vehicle_secret, self._device) for day, key in keys.qr_day_keys.items()}

    async def show(self, loop: Loop) -> None:
        """Show the code of each minute; none while the keys of the day are missing."""
        board = self._farebox.board
        while True:
            now_s, _ = read_clock(board)
            minute = now_s // MINUTE_S
            key = self._keys().get(minute // _MINUTES_A_DAY)
            board.show_code("" if key is None else show_screen(key, self._device, self._farebox.city, minute))
            await loop.sleep_ms((MINUTE_S - now_s % MINUTE_S) * 1000)

    def serve(self, text: str) -> None:
        """Let who shows a receipt ride, once."""
        farebox = self._farebox
        try:
            receipt = read_receipt(text)
        except QrError:
            farebox.refuse(DECISION_QR_UNREADABLE, None)
            return
        token = medium_token(farebox.keys.token_key, LABEL_SCREEN, receipt.payment)
        facts = MediumFacts(MEDIUM_QR_SCREEN, receipt.category, token)
        now_s, _ = read_clock(farebox.board)
        code = check_receipt(receipt, self._device, farebox.city, self._keys(), now_s)
        if code == DECISION_ACCEPTED and farebox.recent.has_passed(token, receipt.minute):
            code = DECISION_QR_ALREADY_USED
        if code == DECISION_ACCEPTED:
            farebox.accept(
                facts, Decision(DECISION_ACCEPTED, receipt.fare_minor), counter=receipt.minute, evidence=receipt.code
            )
        else:
            farebox.refuse(code, facts)
