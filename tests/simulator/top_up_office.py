"""The clearing service as far as a bench needs it for top-ups: a command is given again only for the same counter."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.token_list import encode_trailer
from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import diversify
from protocol.cose import TYP_TOP_UP_COMMAND, parse, sign1
from protocol.keywrap import wrap
from protocol.limits import LIST_ENTRY_BYTES
from protocol.medium_list import LIST_TOP_UP
from protocol.p256 import agree_steps, finish
from protocol.tokens import LABEL_TRANSIT, mask_uid, medium_token
from protocol.top_up import TopUpCommand, TopUpRequest, decode_top_up_request, encode_top_up_command
from tests.firmware.bench_board import NOW_S, Key, body_of, http_answer
from tests.firmware.bench_service import AUDIENCE, DOCUMENT_KEY, TOKEN_KEY, BenchService
from tests.protocol.aes import Aes
from tests.simulator.validator_bench import MASTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.desfire_card import DesfireCard
    from tests.simulator.validator_bench import BusBench

AMOUNT_MINOR = 500_000
_EPHEMERAL = 0x7777


class TopUpOffice(BenchService):
    """The service of a bus, with money that waits for one card.

    Attributes:
        status: it answers with instead, when it is set.
        spoil: changes a command before it is signed.
        signer: of commands.
        commands: that it has given.
        is_reachable: there is a network.
    """

    def __init__(self, bus: BusBench, card: DesfireCard) -> None:
        super().__init__(bus.identity.device, bus.board)
        self._bus = bus
        self.token = medium_token(TOKEN_KEY, LABEL_TRANSIT, card.card_number)
        self.status = 0
        self.spoil: Callable[[TopUpCommand], None] = lambda _: None
        self.signer: Key = DOCUMENT_KEY
        self.commands: list[TopUpCommand] = []
        self.is_reachable = True
        bus.service = self
        self.tell()

    def tell(self, number: int = 1) -> None:
        """Let the bus know for whom money waits, and start it anew."""
        entry = self.token[:LIST_ENTRY_BYTES]
        key = self._bus.identity.derived_key(b"documents")
        trailer = encode_trailer(key, LIST_TOP_UP, number, NOW_S + 86_400, hashlib.sha256(entry).digest())
        self._bus.store.write("top-up-list", entry + trailer)
        self._bus.restart()

    def answer(self, request: bytes) -> bytes | None:
        if not self.is_reachable:
            raise OSError
        if not request.startswith(b"POST /v1/top-up-commands "):
            return super().answer(request)
        if self.status:
            return http_answer(b"", self.status)
        asked = decode_top_up_request(parse(body_of(request)).payload)
        if asked.token != self.token:
            return http_answer(b"", 404)
        if self.commands and self.commands[-1].counter != asked.counter:
            return http_answer(b"", 409)
        return http_answer(self._command(asked))

    def _command(self, asked: TopUpRequest) -> bytes:
        uid = mask_uid(TOKEN_KEY, asked.token, asked.masked_uid)
        key = diversify(Aes(), MASTERS["transit_credit_master"], layout.key_material(uid))
        now_s = NOW_S + (self._bus.now_ms + self._bus.board.now_ms) // 1000
        ephemeral = Key(_EPHEMERAL).cose_key
        command = TopUpCommand(asked, AMOUNT_MINOR, len(self.commands) + 1, now_s + 60, ephemeral)
        self.spoil(command)
        x, y = self._bus.identity.cose_key[-2], self._bus.identity.cose_key[-3]
        assert isinstance(x, bytes)
        assert isinstance(y, bytes)
        agreed = finish(agree_steps(_EPHEMERAL, int.from_bytes(x, "big"), int.from_bytes(y, "big")))
        command.wrapped = wrap(Aes(), command.agreed_key(agreed), key)
        self.commands.append(command)
        return sign1(encode_top_up_command(command), TYP_TOP_UP_COMMAND, AUDIENCE, self.signer)
