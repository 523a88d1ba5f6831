"""How a device enrols: an honest service, and whoever pretends to be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.enrol import enrol, enrol_and_tell
from firmware.keys import load_identity, load_membership
from firmware.links.http import HttpError
from firmware.loop import Loop
from protocol import cbor, keyset
from protocol.ack import STATUS_KID_UNKNOWN, ErrorAnswer, encode_error
from protocol.cose import TYP_ENROLLED, parse, sign1
from protocol.enrolment import Invitation, decode_request, encode_enrolled, print_invitation
from protocol.errors import EnrolmentError, ProtocolError
from protocol.keywrap import wrap
from tests.firmware.bench_board import NOW_S, BenchBoard, Key, body_of, http_answer, run_to_end
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, TOKEN_KEY, make_bundle, make_enrolled
from tests.firmware.key_bench import ANOTHER_ROOT, make_set
from tests.protocol.aes import Aes
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

INVITATION = Invitation(b"code  id", b"secret of sixtee", ACK_KEY.kid)
CODE = print_invitation(INVITATION)


class Office:
    """The service's side of an enrolment.

    Attributes:
        key, typ, audience: what the answer is signed with and for.
        device: whose answer it is; None for who asked.
        key_set: that the enrolment brings.
        secret: that the keys are wrapped under.
    """

    def __init__(self) -> None:
        self.key = ACK_KEY
        self.named_key = ACK_KEY
        self.typ = TYP_ENROLLED
        self.audience = AUDIENCE
        self.device: bytes | None = None
        self.key_set: bytes | None = None
        self.secret = INVITATION
        self.proofs: list[bool] = []

    def answer(self, request: bytes) -> bytes:
        asked = decode_request(parse(body_of(request)).payload)
        self.proofs.append(asked.proof == INVITATION.proof(asked.device, cbor.encode(asked.key)))
        enrolled = make_enrolled(self.device or asked.device)
        enrolled.ack_key = self.named_key.cose_key
        enrolled.key_set = self.key_set
        enrolled.wrapped_keys = wrap(Aes(), self.secret.key_encryption_key(), make_bundle({1: bytes(32)}).encode())
        return http_answer(sign1(encode_enrolled(enrolled), self.typ, self.audience, self.key))


def try_to_enrol(board: BenchBoard, code: str = CODE) -> str:
    loop = Loop(board)
    return run_to_end(board, loop, enrol(board, loop, code))  # type: ignore[no-any-return]


def make_board(answer: Callable[[bytes], bytes | None]) -> BenchBoard:
    board = BenchBoard()
    board.answer = answer
    return board


def test_a_device_enrols_and_holds_its_keys() -> None:
    office = Office()
    board = make_board(office.answer)
    assert try_to_enrol(board) == "A-101"
    assert office.proofs == [True]
    assert board.requests[0].startswith(b"POST /v1/enrolments ")
    identity = load_identity(board)
    assert identity is not None
    membership = load_membership(board, identity)
    assert membership is not None
    assert membership.bundle.token_key == TOKEN_KEY


def test_a_repetition_asks_with_the_same_identity() -> None:
    office = Office()
    board = make_board(lambda _: None)
    assert refusal(HttpError, try_to_enrol, board) == "no answer in time"
    board.answer = office.answer
    try_to_enrol(board)
    assert parse(body_of(board.requests[0])).payload == parse(body_of(board.requests[1])).payload


def test_whoever_is_not_named_by_the_invitation_gets_nothing_kept() -> None:
    changes: tuple[tuple[str, object], ...] = (
        ("named_key", DOCUMENT_KEY),
        ("key", DOCUMENT_KEY),
        ("device", bytes(16)),
        ("typ", "ack"),
        ("audience", "astana"),
        ("secret", Invitation(b"code  id", bytes(16), ACK_KEY.kid)),
    )
    for name, value in changes:
        office = Office()
        setattr(office, name, value)
        board = make_board(office.answer)
        assert refusal(ProtocolError, try_to_enrol, board), name
        assert sorted(board.store.files) == ["identity"], name
    stranger = Office()
    stranger.key = stranger.named_key = Key(0x4444)
    assert "not from the service" in refusal(EnrolmentError, try_to_enrol, make_board(stranger.answer))


def test_a_refusal_is_told_with_its_reason() -> None:
    hint = encode_error(ErrorAnswer(STATUS_KID_UNKNOWN))
    for answer, reason in ((http_answer(hint, 403), "status 8"), (http_answer(b"gone", 410), "HTTP 410")):
        assert reason in refusal(EnrolmentError, try_to_enrol, make_board(lambda _: answer))  # noqa: B023


def test_garbage_instead_of_an_answer_is_refused() -> None:
    for answer in (
        http_answer(b""),
        http_answer(b"\xff" * 40),
        http_answer(sign1(b"\xa0", TYP_ENROLLED, AUDIENCE, ACK_KEY)),
    ):
        assert refusal(ProtocolError, try_to_enrol, make_board(lambda _: answer))  # noqa: B023


def test_a_mistyped_invitation_is_never_sent() -> None:
    board = make_board(Office().answer)
    wrong = ("0" if CODE[0] != "0" else "1") + CODE[1:]
    for code in (wrong, CODE[:-1], CODE + "A", "", "U" + CODE[1:]):
        assert refusal(EnrolmentError, try_to_enrol, board, code)
    assert board.requests == []
    assert board.store.files == {}


def test_a_person_is_told_how_it_went() -> None:
    for answer, words in (
        (Office().answer, "enrolled for vehicle A-101"),
        (lambda _: None, "enrolment failed: no answer in time"),
    ):
        board = make_board(answer)
        loop = Loop(board)
        task = enrol_and_tell(board, loop, CODE)
        if words.startswith("enrolled"):
            run_to_end(board, loop, task)
        else:
            assert refusal(SystemExit, run_to_end, board, loop, task) == "1"  # type: ignore[arg-type]
        assert board.logged == [words]


def keyed_office(key_set: bytes) -> Office:
    office = Office()
    office.key_set = key_set
    return office


def test_an_enrolment_brings_the_first_set() -> None:
    board = BenchBoard()
    board.answer = keyed_office(make_set(7)).answer
    try_to_enrol(board)
    identity = load_identity(board)
    assert identity is not None
    membership = load_membership(board, identity)
    assert membership is not None
    assert membership.key_set is not None
    assert membership.key_set.number == 7
    assert membership.may(ACK_KEY.kid, keyset.ROLE_ACK)
    assert not membership.may(ACK_KEY.kid, keyset.ROLE_LIST)
    assert membership.enrolled.key_set is None, "it is long, and needed no more"


def test_an_enrolment_with_a_set_that_its_roots_have_not_signed_is_refused_whole() -> None:
    for wrong in (make_set(1, root=ANOTHER_ROOT), make_set(1, expires_s=NOW_S), b"garbage"):
        board = BenchBoard()
        board.answer = keyed_office(wrong).answer
        assert refusal(ProtocolError, try_to_enrol, board)
        assert sorted(board.store.files) == ["identity"]
