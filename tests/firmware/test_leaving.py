"""How a device changes its key and how it leaves: whatever is lost on the way, no tap and no key is."""

from __future__ import annotations

from firmware import retiring
from firmware.keys import Identity, load_identity, load_membership, save_membership
from firmware.leaving import LeavingUploader
from protocol import sync
from protocol.ack import (
    STATUS_BUSY,
    STATUS_EPOCH,
    STATUS_FORK,
    STATUS_GAP,
    STATUS_KID_UNKNOWN,
    ErrorAnswer,
    encode_error,
)
from protocol.cose import parse
from protocol.enrolment import encode_enrolled
from protocol.rotation import decode_retirement, read_signed_rotation
from tests.firmware.bench_board import BenchBoard, body_of, http_answer, run_for, run_to_end
from tests.firmware.bench_service import MINUTE_MS, Bench, make_bundle, make_enrolled


def leaving() -> Bench:
    bench = Bench(make_uploader=LeavingUploader)
    save_membership(
        bench.board, bench.identity, encode_enrolled(make_enrolled(bench.identity.device)), make_bundle().encode()
    )
    return bench


def prepared() -> Bench:
    bench = leaving()
    run_to_end(bench.board, bench.loop, bench.uploader.prepare_rotation())
    return bench


def identity_of(board: BenchBoard) -> Identity:
    identity = load_identity(board)
    assert identity is not None
    return identity


# Another key.


def test_a_new_key_counts_when_the_service_has_said_so() -> None:
    bench = prepared()
    old = bench.identity.kid
    journal_key = bench.identity.derived_key(b"journal")
    assert identity_of(bench.board).kid == old
    assert bench.happen() == sync.IDLE
    rotation, old_kid = read_signed_rotation(body_of(bench.service.others[0]))
    assert (old_kid, rotation.kid) == (old, bench.identity.kid)
    assert identity_of(bench.board).kid == rotation.kid != old
    assert "rotation" not in bench.board.store.files
    assert bench.identity.derived_key(b"journal") == identity_of(bench.board).derived_key(b"journal") == journal_key
    assert load_membership(bench.board, identity_of(bench.board)) is not None, "what is sealed still opens"
    bench.tap(2)
    bench.happen()
    assert parse(body_of(bench.board.requests[-1])).kid == rotation.kid
    assert bench.journal.acked == 2


def test_until_it_is_answered_the_same_bytes_are_sent_and_nothing_else() -> None:
    bench = prepared()
    bench.tap(3)
    bench.loop.spawn(bench.uploader.run())
    bench.service.distort = lambda _: None
    run_for(bench.board, bench.loop, 10 * MINUTE_MS)
    bench.start()
    bench.loop.spawn(bench.uploader.run())
    bench.service.distort = lambda _: http_answer(encode_error(ErrorAnswer(STATUS_KID_UNKNOWN)), 403)
    run_for(bench.board, bench.loop, 10 * MINUTE_MS)
    assert len({body_of(request) for request in bench.service.others}) == 1
    assert len(bench.service.others) > 3
    assert bench.service.batches == []
    assert bench.uploader.has_new_key


def test_a_refusal_that_is_signed_drops_the_new_key() -> None:
    for change in ({"status": STATUS_BUSY}, {"status": STATUS_EPOCH, "epoch": 2}, {"status": STATUS_FORK}):
        bench = prepared()
        old = bench.identity.kid
        bench.service.change = change
        assert bench.happen() == sync.BACKING_OFF
        assert identity_of(bench.board).kid == old
        assert "rotation" not in bench.board.store.files
        bench.service.change = {}
        bench.tap()
        assert bench.happen() == sync.IDLE
        assert bench.journal.acked == 1


def test_a_rotation_that_was_prepared_before_a_new_enrolment_is_not_sent() -> None:
    bench = prepared()
    bench.membership.enrolled.epoch = 2
    bench.start()
    assert not bench.uploader.has_new_key


def test_a_power_cut_between_the_two_writes_sends_the_rotation_again() -> None:
    bench = prepared()
    waiting = bench.board.store.files["rotation"]
    bench.happen()
    new = bench.identity.kid
    bench.board.store.files["rotation"] = waiting
    bench.start()
    assert bench.happen() == sync.IDLE
    assert identity_of(bench.board).kid == new
    assert "rotation" not in bench.board.store.files


def refuse(bench: Bench, times: int = 4) -> None:
    """Let the service not know the key, so often that the validator calls for help."""
    bench.service.distort = lambda _: http_answer(encode_error(ErrorAnswer(STATUS_KID_UNKNOWN)), 403)
    for _ in range(times):
        bench.happen()
    bench.service.distort = None


def test_a_service_restored_from_before_the_rotation_gets_it_once_more_after_a_start() -> None:
    bench = prepared()
    bench.happen()
    new, said = bench.identity.kid, body_of(bench.service.others[0])
    bench.tap(2)
    refuse(bench)
    assert bench.uploader.state == sync.MUST_ENROL
    bench.start()
    assert bench.uploader.has_new_key
    assert bench.happen() == sync.IDLE
    assert body_of(bench.service.others[-1]) == said
    assert len(bench.service.others) == 2
    assert identity_of(bench.board).kid == bench.identity.kid == new
    assert bench.happen() == sync.IDLE
    assert bench.journal.acked == 2
    bench.start()
    assert not bench.uploader.has_new_key


def test_a_rotation_that_is_said_again_and_does_not_help_keeps_nothing_from_being_sent() -> None:
    bench = prepared()
    bench.happen()
    bench.tap(2)
    refuse(bench)
    bench.start()
    refuse(bench)
    assert bench.uploader.state == sync.MUST_ENROL
    assert not bench.uploader.has_new_key
    assert bench.happen() == sync.IDLE
    assert bench.journal.acked == 2


def test_a_rotation_of_an_earlier_enrolment_is_not_said_again() -> None:
    bench = prepared()
    bench.happen()
    bench.membership.enrolled.epoch = 2
    refuse(bench)
    assert "rotation" not in bench.board.store.files


# The last word.


def test_a_device_that_has_sent_everything_says_its_last_word_and_erases_itself() -> None:
    bench = leaving()
    bench.uploader.is_leaving = True
    bench.tap(50)
    bench.loop.spawn(bench.uploader.run())
    run_for(bench.board, bench.loop, 10 * MINUTE_MS)
    retirement = decode_retirement(parse(body_of(bench.service.others[0])).payload)
    assert retirement.last_sequence == bench.service.acked == 50
    assert retirement.head == bench.service.head
    assert [name for name in bench.board.store.files if name != "retired"] == []
    assert bench.board.flash.image() == [b"\xff" * 1024] * 8
    assert bench.loop.next_deadline_ms() is None, "there is nothing left to do"
    assert retiring.is_retired(bench.board)


def test_without_the_right_answer_nothing_is_erased() -> None:
    for change in (
        {"status": STATUS_GAP},
        {"status": STATUS_FORK},
        {"status": STATUS_BUSY},
        {"sequence": 2},
        {"nonce": bytes(8)},
        {"head": bytes(32)},
    ):
        bench = leaving()
        bench.uploader.is_leaving = True
        bench.tap(3)
        bench.happen()
        bench.service.change = change
        assert bench.happen() != sync.RETIRED, change
        assert "identity" in bench.board.store.files
        assert bench.board.flash.image()[0] != b"\xff" * 1024


def test_a_service_that_has_less_gets_the_rest_first() -> None:
    bench = leaving()
    bench.uploader.is_leaving = True
    genesis = bench.service.head
    bench.tap(5)
    bench.happen()
    bench.service.acked, bench.service.head = 0, genesis
    states = [bench.happen() for _ in range(3)]
    assert states == [sync.IDLE, sync.IDLE, sync.RETIRED]
    assert bench.service.acked == 5


def test_the_last_word_is_due_when_everything_is_sent() -> None:
    bench = leaving()
    bench.uploader.is_leaving = True
    assert bench.uploader.what_is_due() == sync.LAST_WORD
    bench.tap()
    assert bench.uploader.what_is_due() == sync.DUE
