"""New secret keys: taken without a start, kept sealed, and opened by their device alone."""

from __future__ import annotations

from binascii import hexlify
from typing import TYPE_CHECKING

from firmware.keys import load_membership, save_membership
from protocol import p256
from protocol.ack import WANTED_KEY_BUNDLE
from protocol.cose import TYP_FARE_TABLE, TYP_KEY_BUNDLE, ec2_key, ec2_point, sign1
from protocol.enrolment import encode_enrolled
from protocol.key_bundle import WrappedBundle, encode_wrapped_bundle
from protocol.keywrap import wrap
from tests.firmware.bench_board import NOW_S, Key, point_of, run_for
from tests.firmware.bench_service import (
    ACK_KEY,
    AUDIENCE,
    DOCUMENT_KEY,
    EPOCH,
    MINUTE_MS,
    Bench,
    make_bundle,
    make_enrolled,
)
from tests.firmware.key_bench import ROLES, make_set, with_key_set

if TYPE_CHECKING:
    from typing import Any

TODAY = NOW_S // 86_400
EPHEMERAL = 0x1234567


def days(first: int) -> dict[int, bytes]:
    return {day: bytes((day & 0xFF,)) * 32 for day in range(first, first + 3)}


def bench_with_keys(first_day: int = TODAY - 1) -> Bench:
    bench = Bench(sectors=2)
    bundle = make_bundle(days(first_day))
    enrolled = make_enrolled(bench.identity.device)
    save_membership(bench.board, bench.identity, encode_enrolled(enrolled), bundle.encode())
    bench.membership.bundle = bundle
    bench.loop.spawn(bench.uploader.run())
    return bench


def make_message(bench: Bench, number: int = TODAY, key: Key = DOCUMENT_KEY, **changes: Any) -> bytes:  # noqa: ANN401
    """Return a message with the keys of three days; a change makes it wrong."""
    typ = changes.pop("typ", TYP_KEY_BUNDLE)
    keys = make_bundle(days(changes.pop("first_day", number))).encode()
    holder = changes.pop("holder", bench.identity.cose_key)
    fields: dict[str, Any] = {
        "device": bench.identity.device,
        "epoch": EPOCH,
        "number": number,
        "ephemeral": ec2_key(*point_of(EPHEMERAL)),
        "wrapped": b"",
    }
    fields.update(changes)
    wrapped = WrappedBundle(**fields)
    x, y = [int.from_bytes(each, "big") for each in ec2_point(holder)]
    agreed = p256.finish(p256.agree_steps(EPHEMERAL, x, y))
    if wrapped.ephemeral is None:
        wrapped.wrapped = bytes(192)
    else:
        wrapped.wrapped = wrap(bench.board.aes, wrapped.agreed_key(agreed), keys)
    return sign1(encode_wrapped_bundle(wrapped), typ, AUDIENCE, key)


def offer(bench: Bench, message: bytes, number: int = TODAY) -> str:
    path = "/v1/key-bundles/" + hexlify(bench.identity.device).decode() + "/" + str(number)
    bench.service.change = {"wanted": {WANTED_KEY_BUNDLE: number}}
    bench.service.documents = {path: message}
    return path


def test_the_keys_of_the_next_days_are_used_without_a_start_and_after_one() -> None:
    bench = bench_with_keys()
    path = offer(bench, make_message(bench))
    run_for(bench.board, bench.loop, MINUTE_MS)
    assert bench.service.asked == [path]
    assert bench.membership.bundle.qr_day_keys == days(TODAY)
    kept = load_membership(bench.board, bench.identity)
    assert kept is not None
    assert kept.bundle.qr_day_keys == days(TODAY)
    run_for(bench.board, bench.loop, 60 * MINUTE_MS)
    assert bench.service.asked == [path], "what is held is not fetched again"


def test_secret_keys_are_not_kept_in_the_open() -> None:
    bench = bench_with_keys()
    offer(bench, make_message(bench))
    run_for(bench.board, bench.loop, MINUTE_MS)
    for secret in days(TODAY).values():
        assert not [name for name, data in bench.board.store.files.items() if secret in data]


def test_what_is_not_this_devices_or_not_newer_is_not_taken() -> None:
    other = ec2_key(*point_of(0x9999))
    for number, changes in (
        (TODAY, {"key": ACK_KEY}),
        (TODAY, {"key": Key(0x3333)}),
        (TODAY, {"typ": TYP_FARE_TABLE}),
        (TODAY, {"device": bytes(16)}),
        (TODAY, {"epoch": 2}),
        (TODAY, {"holder": other}),
        (TODAY, {"first_day": TODAY + 1}),
        (TODAY, {"ephemeral": None}),
        (TODAY - 1, {}),
    ):
        bench = bench_with_keys()
        path = offer(bench, make_message(bench, number, **changes))
        before = bench.board.store.files["keys"]
        run_for(bench.board, bench.loop, 10 * MINUTE_MS)
        assert bench.membership.bundle.qr_day_keys == days(TODAY - 1), changes
        assert bench.board.store.files["keys"] == before
        assert 2 <= bench.service.asked.count(path) <= 10


def test_with_a_key_set_only_a_ticket_key_may_send_them() -> None:
    for roles, is_taken in ((ROLES, True), (ROLES[:2], False)):
        bench = bench_with_keys()
        with_key_set(make_set(1, roles), bench)
        bench.membership.bundle = make_bundle(days(TODAY - 1))
        bench.loop.spawn(bench.uploader.run())
        offer(bench, make_message(bench))
        run_for(bench.board, bench.loop, MINUTE_MS)
        assert (bench.membership.bundle.qr_day_keys == days(TODAY)) == is_taken


def test_a_key_of_the_device_agrees_with_the_same_secret_on_either_side() -> None:
    bench = Bench()
    x, y = point_of(EPHEMERAL)
    ours = p256.finish(bench.identity.signer().agree_steps(x, y))
    point = [int.from_bytes(each, "big") for each in ec2_point(bench.identity.cose_key)]
    assert ours == p256.finish(p256.agree_steps(EPHEMERAL, point[0], point[1]))
