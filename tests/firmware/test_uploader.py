"""The outbox: what an ack frees, and what no answer can make it do."""

from __future__ import annotations

from protocol.ack import STATUS_BUSY, STATUS_DUP, STATUS_FORK, STATUS_OK, ErrorAnswer, encode_error
from protocol.cose import TYP_ACK, TYP_BATCH, parse, sign1
from tests.firmware.bench_board import http_answer
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, Bench


def test_taps_are_sent_once_and_freed_by_the_ack() -> None:
    bench = Bench()
    bench.tap(5)
    ack, count = bench.sync()
    assert (ack.status, count, bench.journal.acked) == (STATUS_OK, 5, 5)
    bench.tap(2)
    bench.sync()
    assert [len(batch.records) for batch in bench.service.batches] == [5, 2]
    assert len(bench.service.records) == bench.journal.acked == 7
    assert bench.service.head == bench.journal.head


def test_a_batch_says_who_sends_it_and_how_the_flash_is() -> None:
    bench = Bench()
    bench.tap(3)
    bench.sync()
    batch = bench.service.batches[0]
    assert (batch.device, batch.epoch, batch.first_sequence) == (bench.identity.device, 1, 1)
    assert batch.flash == (53, 1, 0, bench.recorder.boot)
    assert bench.board.requests[0].startswith(b"POST /v1/batches HTTP/1.1\r\nHost: clearing.example\r\n")


def test_nonces_are_used_once() -> None:
    bench = Bench()
    for _ in range(4):
        bench.sync()
    assert len({batch.nonce for batch in bench.service.batches}) == 4


def test_a_batch_holds_no_more_records_than_the_service_wants() -> None:
    bench = Bench()
    bench.tap(20)
    bench.service.change = {"records_max": 3}
    bench.sync()
    bench.sync()
    assert [len(batch.records) for batch in bench.service.batches] == [20, 0]
    bench.tap(5)
    bench.sync()
    assert len(bench.service.batches[-1].records) == 3


def test_a_lost_answer_means_sending_again_and_harms_nothing() -> None:
    bench = Bench()
    bench.tap(4)
    bench.service.distort = lambda _: None
    assert bench.refused() == "no answer in time"
    assert bench.service.acked == 4
    bench.service.distort = None
    bench.service.change = {"status": STATUS_DUP}
    bench.sync()
    assert (bench.journal.acked, len(bench.service.records)) == (4, 4)


def test_where_the_service_has_less_the_validator_goes_back() -> None:
    bench = Bench()
    bench.tap(6)
    before = bench.service.head
    bench.sync()
    bench.tap(2)
    bench.service.acked, bench.service.head = 0, before
    bench.sync()
    assert bench.journal.acked == 0, "what a restored service lacks is owed to it again, and not overwritten"
    bench.sync()
    assert [batch.first_sequence for batch in bench.service.batches] == [1, 7, 1]
    assert bench.service.acked == bench.journal.acked == 8


def test_after_a_start_the_service_says_how_far_it_is() -> None:
    bench = Bench()
    bench.tap(6)
    bench.sync()
    bench.start()
    assert bench.journal.acked == 0, "the hint in the sector header is old"
    bench.sync()
    assert bench.journal.acked == 6
    assert len(bench.service.records) == 6


def test_a_chain_that_is_not_ours_frees_nothing() -> None:
    bench = Bench()
    bench.tap(6)
    bench.service.change = {"head": bytes(32), "status": STATUS_FORK}
    assert "chain is not ours at sequence 6" in bench.refused()
    bench.service.change = {"sequence": 7}
    assert "chain is not ours at sequence 7" in bench.refused()
    bench.service.change = {"sequence": 5}
    assert "chain is not ours at sequence 5" in bench.refused()


def test_an_ack_for_somebody_or_something_else_frees_nothing() -> None:
    bench = Bench()
    bench.tap(3)
    for change in ({"nonce": bytes(8)}, {"device": bytes(16)}, {"epoch": 2}):
        bench.service.change = change
        assert bench.refused() == "an ack for another batch"


def test_an_ack_of_another_key_kind_or_audience_frees_nothing() -> None:
    bench = Bench()
    bench.tap(3)
    for typ, audience, key in (
        (TYP_ACK, AUDIENCE, DOCUMENT_KEY),
        (TYP_BATCH, AUDIENCE, ACK_KEY),
        (TYP_ACK, "astana", ACK_KEY),
    ):
        bench.service.distort = lambda answer: http_answer(sign1(parse(answer).payload, typ, audience, key))  # noqa: B023
        assert bench.refused()
    bench.service.distort = None
    bench.sync()
    assert bench.journal.acked == 3


def test_a_changed_byte_frees_nothing() -> None:
    bench = Bench()
    bench.tap(3)
    for index in (0, 5, 20, 60, 100, -1, -40):

        def change(answer: bytes) -> bytes:
            changed = bytearray(answer)
            changed[index if index >= 0 else len(answer) + index] ^= 1  # noqa: B023
            return http_answer(bytes(changed))

        bench.service.distort = change
        assert bench.refused()


def test_garbage_and_errors_free_nothing() -> None:
    bench = Bench()
    bench.tap(3)
    busy = encode_error(ErrorAnswer(STATUS_BUSY, 5))
    for answer, words in (
        (b"HELLO\r\n\r\n", "no HTTP answer"),
        (http_answer(b""), ""),
        (http_answer(b"\xff" * 50), ""),
        (http_answer(busy, 503), "the service says status 15"),
        (http_answer(b"<html>", 502), "the service says HTTP 502"),
        (http_answer(busy), ""),
    ):
        bench.service.distort = lambda _: answer  # noqa: B023
        assert words in bench.refused()


def test_no_network_is_an_error_like_any_other() -> None:
    bench = Bench()

    def dial() -> None:
        raise OSError

    bench.board.dial = dial  # type: ignore[method-assign,assignment]
    assert bench.refused() == "no network"


def test_a_lost_record_is_asked_about_before_anything_is_sent() -> None:
    bench = Bench()
    bench.tap(6)
    bench.sync()
    bench.tap(3)
    bench.board.flash.flip(128 * 2 + 40, 1)
    bench.start()
    bench.sync()
    asking = bench.service.batches[-1]
    assert (asking.first_sequence, asking.records) == (11, [])
    assert bench.journal.acked == 6
    bench.sync()
    assert bench.service.acked == bench.journal.acked == 9
    assert bench.service.head == bench.journal.head
