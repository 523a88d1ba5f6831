"""What a validator keeps for bank cards: the authorities' keys in their file, and the acquirer's keys, through power cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.acquirer_keys import AcquirerKeys
from firmware.authority_building import keep
from firmware.card_authorities import FILE, open_authorities
from firmware.loop import Loop
from protocol.card_authorities import CardAuthorities, CardAuthority, encode_card_authorities, revoked_name
from protocol.errors import DocumentError, LocalProtocolError
from tests.firmware.bench_board import BenchBoard, run_to_end
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from firmware.card_authorities import StoredAuthorities

KEY = b"key of a device"
VISA, MASTERCARD = b"\xa0\0\0\0\3", b"\xa0\0\0\0\4"
MODULUS, LONGER = b"\x81" * 64, b"\xc1" * 248


def payload(number: int = 1, revoked: int = 0) -> bytes:
    keys = [
        CardAuthority(VISA, 8, MODULUS, 3, b"\x31\x12"),
        CardAuthority(VISA, 9, LONGER, 65537, b"\x28\x12"),
        CardAuthority(MASTERCARD, 5, LONGER, 3, b"\x30\x01"),
    ]
    names = [revoked_name(VISA, 9, (2 * serial).to_bytes(3, "big")) for serial in range(revoked)]
    return encode_card_authorities(CardAuthorities(number, 99, keys, b"".join(names)))


def opened(board: BenchBoard, key: bytes = KEY) -> StoredAuthorities | None:
    loop = Loop(board)
    found: StoredAuthorities | None = run_to_end(board, loop, open_authorities(board, loop, key))
    return found


def test_a_key_is_found_by_scheme_and_index() -> None:
    board = BenchBoard()
    keep(board.store, KEY, payload(7), 0)
    authorities = opened(board)
    assert authorities is not None
    assert (authorities.number, authorities.expires_s) == (7, 99)
    for rid, index, modulus, exponent, expires in (
        (VISA, 8, MODULUS, 3, b"\x31\x12"),
        (VISA, 9, LONGER, 65537, b"\x28\x12"),
        (MASTERCARD, 5, LONGER, 3, b"\x30\x01"),
    ):
        key = authorities.find(rid, index)
        assert key is not None
        assert (key.modulus, key.exponent, key.expires_yymm) == (modulus, exponent, expires)
    assert authorities.find(VISA, 5) is None
    assert authorities.find(b"\xa0\0\0\0\5", 8) is None


def test_what_was_revoked_is_found_and_nothing_else() -> None:
    for count in (0, 1, 31, 32, 33, 200):
        board = BenchBoard()
        keep(board.store, KEY, payload(revoked=count), 0)
        authorities = opened(board)
        assert authorities is not None
        for serial in (0, 2, 2 * (count - 1)):
            assert authorities.is_revoked(VISA, 9, max(serial, 0).to_bytes(3, "big")) == (max(serial, 0) < 2 * count)
        assert not authorities.is_revoked(VISA, 9, b"\0\0\1")
        assert not authorities.is_revoked(VISA, 9, (2 * count).to_bytes(3, "big"))
        assert not authorities.is_revoked(MASTERCARD, 9, b"\0\0\0")


def test_a_file_that_was_changed_cut_or_written_by_somebody_else_is_none() -> None:
    board = BenchBoard()
    assert opened(board) is None
    keep(board.store, KEY, payload(revoked=3), 0)
    whole = board.store.files[FILE]
    assert opened(board, b"another key") is None
    for index in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[index] ^= 1
        board.store.files[FILE] = bytes(changed)
        assert opened(board) is None, index
    for end in range(0, len(whole), 13):
        board.store.files[FILE] = whole[:end]
        assert opened(board) is None, end


def test_an_older_list_does_not_take_the_place_of_a_newer_one() -> None:
    board = BenchBoard()
    keep(board.store, KEY, payload(7), 0)
    before = board.store.files[FILE]
    for number in (6, 7):
        assert refusal(DocumentError, keep, board.store, KEY, payload(number), 7)
    assert board.store.files[FILE] == before
    assert refusal(DocumentError, keep, board.store, KEY, b"", 7)


def counter_of(blob: bytes) -> int:
    return int.from_bytes(blob[9:13], "big")


def test_the_initial_key_is_gone_before_its_first_use() -> None:
    board = BenchBoard()
    keys = AcquirerKeys(board)
    assert not keys.are_there()
    assert refusal(LocalProtocolError, keys.seal, bytearray())
    initial = b"key id 1" + b"an initial key.."
    board.store.write("acquirer-keys", initial)
    assert keys.are_there()
    assert counter_of(keys.seal(bytearray(b"objects"))) == 1
    assert initial[8:] not in board.store.files["acquirer-keys"]


def test_counters_go_on_behind_the_block_after_a_start() -> None:
    board = BenchBoard()
    board.store.write("acquirer-keys", b"key id 1" + b"an initial key..")
    counters = []
    for seals in (2, 130, 1, 1):
        keys = AcquirerKeys(board)
        counters += [counter_of(keys.seal(bytearray(b"objects"))) for _ in range(seals)]
    assert (counters[:2], counters[2:-2], counters[-2:]) == ([1, 2], list(range(64, 194)), [256, 320])


def test_a_power_cut_before_the_keys_are_kept_uses_none_of_them() -> None:
    board = BenchBoard()
    board.store.write("acquirer-keys", b"key id 1" + b"an initial key..")
    AcquirerKeys(board).seal(bytearray(b"objects"))
    before = board.store.files["acquirer-keys"]
    first = AcquirerKeys(board).seal(bytearray(b"objects"))
    board.store.files["acquirer-keys"] = before  # as if the write had never been
    assert counter_of(AcquirerKeys(board).seal(bytearray(b"objects"))) == counter_of(first)
