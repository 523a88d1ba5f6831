"""The clearing service as a validator on the bench meets it: it stores what joins, signs acks, and misbehaves on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import Journal
from firmware.keys import Membership, make_identity
from firmware.loop import Loop
from firmware.place import Place
from firmware.recorder import Recorder
from firmware.rules import Rules
from firmware.uploader import Uploader
from protocol.ack import STATUS_GAP, STATUS_OK, Ack, encode_ack
from protocol.batch import Batch, decode_batch, genesis_head, next_head
from protocol.cose import TYP_ACK, parse, sign1, take_apart
from protocol.enrolment import Enrolled, KeyBundle
from protocol.rotation import decode_retirement, read_signed_rotation
from protocol.sync import BACKING_OFF
from protocol.tap import decode_tap, last_sequence
from tests.firmware.bench_board import NOW_S, BenchBoard, Key, body_of, http_answer, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

AUDIENCE = "almaty"
CITY = 1
EPOCH = 1
MINUTE_MS = 60_000
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
        others: other requests that came: rotations and retirements.
        documents: answers to GET, by path.
        change: what is to be changed in the next acks.
        distort: makes something else of an answer.
        ahead_s: how far its clock is ahead of the validator's.
        key: signs acks.
    """

    def __init__(self, device: bytes, board: BenchBoard) -> None:
        self._board = board
        self.acked = 0
        self.head = genesis_head(device, EPOCH)
        self.records: list[bytes] = []
        self.batches: list[Batch] = []
        self.others: list[bytes] = []
        self.documents: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.change: dict[str, Any] = {}
        self.distort: Callable[[bytes], bytes | None] | None = None
        self.ahead_s = 0
        self.key = ACK_KEY

    def answer(self, request: bytes) -> bytes | None:
        """Answer a whole HTTP request."""
        method, path = request.split(b" ")[:2]
        if method == b"GET":
            self.asked.append(path.decode())
            document = self.documents.get(path.decode())
            return http_answer(document or b"", 200 if document else 404)
        if path == b"/v1/batches":
            self.batches.append(decode_batch(parse(body_of(request)).payload))
            answer = self._ack(self.batches[-1])
        else:
            self.others.append(request)
            answer = self._answer_other(body_of(request))
        return self.distort(answer) if self.distort else http_answer(answer)

    def _answer_other(self, message: bytes) -> bytes:
        """Answer a rotation or a retirement: well, if it has stored everything."""
        if len(parse_any(message)) == 64:
            retirement = decode_retirement(parse(message).payload)
            status = STATUS_GAP if retirement.last_sequence > self.acked else STATUS_OK
            return self.signed(retirement.device, retirement.nonce, status)
        rotation, _ = read_signed_rotation(message)
        return self.signed(rotation.device, rotation.nonce, STATUS_OK)

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
        return self.signed(batch.device, batch.nonce, status)

    def signed(self, device: bytes, nonce: bytes, status: int) -> bytes:
        """Return an ack of what is stored."""
        fields: dict[str, Any] = {
            "device": device,
            "epoch": EPOCH,
            "sequence": self.acked,
            "head": self.head,
            "nonce": nonce,
            "server_time_s": NOW_S + self.ahead_s + self._board.now_ms // 1000,
            "server_time_ms": 250,
            "status": status,
        }
        fields.update(self.change)
        return sign1(encode_ack(Ack(**fields)), TYP_ACK, AUDIENCE, self.key)


def parse_any(message: bytes) -> bytes | list[Any]:
    """Return what a message ends with: one signature, or several."""
    proof = take_apart(message)[2]
    assert isinstance(proof, (bytes, list))
    return proof


class Bench:
    """A validator's outbox, its parts, and the service that it talks to."""

    def __init__(
        self, interval_ms: int = 180_000, sectors: int = 8, make_uploader: Callable[..., Any] = Uploader
    ) -> None:
        self.board = BenchBoard(sectors)
        self.loop = Loop(self.board)
        self.identity = make_identity(self.board)
        self.membership = Membership(self.board, make_enrolled(self.identity.device), make_bundle(), b"documents")
        self.service = BenchService(self.identity.device, self.board)
        self.board.answer = self.service.answer
        self.interval_ms = interval_ms
        self.make_uploader = make_uploader
        self.start()

    def start(self) -> None:
        """Start the program on what the flash holds."""
        identity = self.identity
        self.journal = Journal(self.board.flash, identity.derived_key(b"journal"), identity.device, EPOCH)
        self.journal.recover()
        self.recorder = Recorder(self.board, self.journal, Place(7))
        self.rules = Rules(self.board, self.loop, self.membership, self.recorder)
        self.uploader = self.make_uploader(
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

    def happen(self) -> int:
        """Let happen what is due, and return the state that the outbox comes to rest in."""
        run_to_end(self.board, self.loop, self.uploader.happen(self.uploader.what_is_due()))
        state: int = self.uploader.state
        return state

    def sync(self) -> Any:  # noqa: ANN401
        """Let one exchange happen, and return its ack and how many records were sent."""
        said = len(self.board.logged)
        self.happen()
        assert self.uploader._ack is not None, self.board.logged[said:]
        return self.uploader._ack, len(self.service.batches[-1].records)

    def refused(self) -> str:
        """Return the words with which the uploader turns an answer down; nothing may be freed by it."""
        acked = self.journal.acked
        assert self.happen() == BACKING_OFF
        assert self.uploader._ack is None, "the answer was taken"
        assert self.journal.acked == acked
        return self.board.logged[-1][len("sync: ") :]


def running(interval_ms: int = 180_000, sectors: int = 8) -> Bench:
    """Return a bench whose outbox is at work."""
    bench = Bench(interval_ms, sectors)
    bench.loop.spawn(bench.uploader.run())
    return bench
