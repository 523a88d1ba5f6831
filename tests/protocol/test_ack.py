"""Acks and unsigned error answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ack, cbor
from protocol.ack import Ack, ErrorAnswer, decode_ack, decode_error, encode_ack, encode_error
from protocol.errors import AckError
from protocol.limits import BATCH_RECORDS_MAX
from tests.protocol.expect import refusal
from tests.vectors.wire_messages import make_ack, make_batch

if TYPE_CHECKING:
    from typing import Any


def _refused(**changes: Any) -> str:  # noqa: ANN401
    fields = cbor.decode(encode_ack(make_ack(make_batch(["boot"]))))
    for key, value in changes.items():
        fields[int(key[1:])] = value
    return refusal(AckError, decode_ack, cbor.encode(fields))


def test_everything_comes_back() -> None:
    before = make_ack(make_batch(["boot"]))
    after = decode_ack(encode_ack(before))
    for name in Ack.__slots__:
        assert getattr(after, name) == getattr(before, name), name


def test_what_is_absent_is_none() -> None:
    before = make_ack(make_batch(["boot"]))
    before.retry_after_s = before.records_max = before.wanted = None
    after = decode_ack(encode_ack(before))
    assert (after.retry_after_s, after.records_max, after.wanted) == (None, None, None)


def test_nothing_stored_yet_is_sequence_zero() -> None:
    before = make_ack(make_batch(["boot"]))
    before.sequence = 0
    assert decode_ack(encode_ack(before)).sequence == 0


def test_values_out_of_range_are_refused() -> None:
    assert _refused(k0=0)
    assert _refused(k0=True)
    assert _refused(k1=bytes(15))
    assert _refused(k3=-1)
    assert _refused(k4=bytes(33))
    assert _refused(k5="nonce")
    assert _refused(k7=1000)
    assert _refused(k8=1 << 16)
    assert _refused(k9=True)
    assert _refused(k10=0)
    assert _refused(k10=BATCH_RECORDS_MAX + 1)
    assert _refused(k11=[])
    assert _refused(k11={24: 1})
    assert _refused(k11={-1: 1})
    assert _refused(k11={0: b"4"})
    assert _refused(k12=1)


def test_a_missing_key_is_refused() -> None:
    whole = cbor.decode(encode_ack(make_ack(make_batch(["boot"]))))
    for missing in range(9):
        rest = {key: value for key, value in whole.items() if key != missing}
        assert refusal(AckError, decode_ack, cbor.encode(rest))


def test_an_error_answer_comes_back() -> None:
    answer = decode_error(encode_error(ErrorAnswer(ack.STATUS_BUSY, 30)))
    assert (answer.status, answer.retry_after_s) == (ack.STATUS_BUSY, 30)
    assert decode_error(encode_error(ErrorAnswer(ack.STATUS_BAD_SIG))).retry_after_s is None


def test_what_is_no_error_answer_is_refused() -> None:
    for fields in ({0: 1}, {8: 15}, {0: 2, 8: 15}, {0: 1, 8: 15, 1: 1}, {0: 1, 8: -1}, {0: 1, 8: 15, 9: "30"}, [1, 15]):
        assert refusal(AckError, decode_error, cbor.encode(fields))
    assert refusal(AckError, decode_error, b"<html>")


def test_an_ack_is_no_error_answer() -> None:
    assert refusal(AckError, decode_error, encode_ack(make_ack(make_batch(["boot"]))))
