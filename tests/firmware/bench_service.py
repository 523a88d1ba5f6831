"""The clearing service as a validator on the bench meets it: it stores what joins, signs acks, and misbehaves on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import Journal
from firmware.keys import Membership, make_identity
from firmware.links.http import HttpError
from firmware.loop import Loop
from firmware.recorder import Place, Recorder
from firmware.rules import Rules
from firmware.uploader import Uploader
from protocol.ack import STATUS_GAP, STATUS_OK, Ack, encode_ack
from protocol.batch import Batch, decode_batch, genesis_head, next_head
from protocol.cose import TYP_ACK, parse, sign1
from protocol.enrolment import Enrolled, KeyBundle
from protocol.errors import ProtocolError
from protocol.tap import decode_tap, last_sequence
from tests.firmware.bench_board import NOW_S, BenchBoard, Key, body_of, http_answer, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

AUDIENCE = "almaty"
CITY = 1
EPOCH = 1
ACK_KEY = Key(0x1111)
DOCUMENT_KEY = Key(0x2222)
TRANSIT_READ, TRANSIT_DEBIT, TOKEN_KEY, QR_MASTER = (
    bytes(range(16)),
    bytes(range(16, 32)),
    bytes(range(32)),
    b"qr master" * 3,
)


def make_enrolled(device: bytes) -> Enrolled:
    return Enrolled(
        device=device,
        epoch=EPOCH,
        ack_key=ACK_KEY.cose_key,
        document_key=DOCUMENT_KEY.cose_key,
        audience=AUDIENCE,
        wrapped_keys=bytes(192),
        line=7,
        vehicle="A-101",
        city=CITY,
        server_time_s=NOW_S,
    )


def make_bundle(qr_day_keys: dict[int, bytes] | None = None) -> KeyBundle:
    return KeyBundle(TRANSIT_READ, TRANSIT_DEBIT, TOKEN_KEY, qr_day_keys or {}, 1)


class BenchService:
    """The service.

    Attributes:
        acked, head, records: how far its chain goes, the chain head there, and what it stored.
        batches: all batches that came.
        documents: answers to GET, by path.
        change: what is to be changed in the next acks.
        distort: makes something else of an answer.
        ahead_s: how far its clock is ahead of the validator's.
    """

    def __init__(self, device: bytes, board: BenchBoard) -> None:
        self._board = board
        self.acked = 0
        self.head = genesis_head(device, EPOCH)
        self.records: list[bytes] = []
        self.batches: list[Batch] = []
        self.documents: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.change: dict[str, Any] = {}
        self.distort: Callable[[bytes], bytes | None] | None = None
        self.ahead_s = 0

    def answer(self, request: bytes) -> bytes | None:
        """Answer a whole HTTP request."""
        method, path = request.split(b" ")[:2]
        if method == b"GET":
            self.asked.append(path.decode())
            document = self.documents.get(path.decode())
            return http_answer(document or b"", 200 if document else 404)
        self.batches.append(decode_batch(parse(body_of(request)).payload))
        answer = self._ack(self.batches[-1])
        return self.distort(answer) if self.distort else http_answer(answer)

    def _ack(self, batch: Batch) -> bytes:
        status = STATUS_GAP if batch.first_sequence > self.acked + 1 else STATUS_OK
        sequence = batch.first_sequence
        head = batch.head_before
        for record in batch.records:
            head = next_head(head, record)
            last = last_sequence(decode_tap(record))
            if status == STATUS_OK and sequence > self.acked:
                self.acked, self.head = last, head
                self.records.append(record)
            sequence = last + 1
        fields: dict[str, Any] = {
            "device": batch.device,
            "epoch": batch.epoch,
            "sequence": self.acked,
            "head": self.head,
            "nonce": batch.nonce,
            "server_time_s": NOW_S + self.ahead_s + self._board.now_ms // 1000,
            "server_time_ms": 250,
            "status": status,
        }
        fields.update(self.change)
        return sign1(encode_ack(Ack(**fields)), TYP_ACK, AUDIENCE, ACK_KEY)


class Bench:
    """A validator's outbox, its parts, and the service that it talks to."""

    def __init__(self, interval_ms: int = 180_000) -> None:
        self.board = BenchBoard()
        self.loop = Loop(self.board)
        self.identity = make_identity(self.board)
        self.membership = Membership(self.board, make_enrolled(self.identity.device), make_bundle())
        self.service = BenchService(self.identity.device, self.board)
        self.board.answer = self.service.answer
        self.interval_ms = interval_ms
        self.start()

    def start(self) -> None:
        """Start the program on what the flash holds."""
        identity = self.identity
        self.journal = Journal(self.board.flash, identity.derived_key(b"journal"), identity.device, EPOCH)
        self.journal.recover()
        self.recorder = Recorder(self.board, self.journal, Place(7))
        self.rules = Rules(self.board, self.loop, self.membership, self.recorder)
        self.uploader = Uploader(
            self.board,
            self.loop,
            identity,
            self.membership,
            self.journal,
            self.recorder,
            self.rules,
            self.interval_ms,
        )

    def tap(self, count: int = 1) -> None:
        for _ in range(count):
            self.recorder.tap(1, medium=6, fare_minor=20_000, category=1, decision=0)

    def sync(self) -> Any:  # noqa: ANN401
        return run_to_end(self.board, self.loop, self.uploader.sync())

    def refused(self) -> str:
        """Return the words with which the uploader turns an answer down; nothing may be freed by it."""
        acked = self.journal.acked
        try:
            self.sync()
        except (HttpError, ProtocolError) as error:
            assert self.journal.acked == acked
            return str(error)
        raise AssertionError("the answer was taken")
