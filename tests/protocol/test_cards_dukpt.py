"""AES-DUKPT against the published vectors, the terminal's half against the acquirer's, and the blob that it seals."""

from __future__ import annotations

from protocol.cards.acquirer_blob import key_id_of, open_blob, seal_blob
from protocol.cards.dukpt import (
    BLOCK_COUNTERS,
    USE_ENCRYPTION,
    USE_MAC,
    KeyBlock,
    derive_initial_key,
    plant,
    take_block,
    working_key,
)
from protocol.errors import CardError, LocalProtocolError
from tests.protocol.aes import Aes
from tests.protocol.expect import refusal

# ANSI X9.24-3-2017, supplement with test vectors.
BASE_KEY = bytes.fromhex("FEDCBA9876543210F1F1F1F1F1F1F1F1")
KEY_ID = bytes.fromhex("1234567890123456")
INITIAL_KEY = bytes.fromhex("1273671EA26AC29AFA4D1084127652A1")
AES = Aes()


def test_the_published_initial_key_and_first_key_come_out() -> None:
    assert derive_initial_key(AES, BASE_KEY, KEY_ID) == INITIAL_KEY
    first = working_key(AES, INITIAL_KEY, KEY_ID, 1, USE_ENCRYPTION)
    assert first.hex().upper() == "A35C412EFD41FDB98B69797C02DCD08F"


def test_the_terminal_uses_the_keys_that_the_acquirer_derives() -> None:
    block, stored = plant(AES, KEY_ID, INITIAL_KEY)
    counters = []
    for _ in range(3):
        while block.has_more():
            counter, encryption, mac = block.next_keys()
            counters.append(counter)
            if counter % 7 == 1:
                assert encryption == working_key(AES, INITIAL_KEY, KEY_ID, counter, USE_ENCRYPTION)
                assert mac == working_key(AES, INITIAL_KEY, KEY_ID, counter, USE_MAC)
        block, stored = take_block(AES, stored)
    assert counters == list(range(1, 3 * BLOCK_COUNTERS))


def test_a_block_is_never_handed_out_twice() -> None:
    _, stored = plant(AES, KEY_ID, INITIAL_KEY)
    firsts = []
    for _ in range(20):
        block, stored = take_block(AES, stored)
        firsts.append(block.next_keys()[0])
    assert firsts == [BLOCK_COUNTERS * number for number in range(1, 21)]


def test_what_is_stored_knows_no_key_of_the_past() -> None:
    block, stored = plant(AES, KEY_ID, INITIAL_KEY)
    assert INITIAL_KEY not in stored
    for _ in range(6):
        used = [block.next_keys() for _ in range(5)]
        block, stored = take_block(AES, stored)
        for _, encryption, mac in used:
            assert encryption not in stored
            assert mac not in stored


def test_counters_with_more_than_sixteen_ones_are_left_out() -> None:
    first = 0x7FFE00C0
    _, stored = plant(AES, KEY_ID, INITIAL_KEY)
    at = stored[:8] + (first - BLOCK_COUNTERS).to_bytes(4, "big") + stored[12:]
    block, _ = take_block(AES, at)
    counters = []
    while block.has_more():
        counters.append(block.next_keys()[0])
    assert counters == [first]


def test_a_terminal_whose_keys_are_used_up_or_damaged_says_so() -> None:
    block, stored = plant(AES, KEY_ID, INITIAL_KEY)
    while block.has_more():
        block.next_keys()
    assert refusal(LocalProtocolError, block.next_keys)
    last = stored[:8] + (0x100000000 - BLOCK_COUNTERS).to_bytes(4, "big") + stored[12:]
    assert "used up" in refusal(LocalProtocolError, take_block, AES, last)
    assert "damaged" in refusal(LocalProtocolError, take_block, AES, stored[:-1])


def new_block() -> KeyBlock:
    return plant(AES, KEY_ID, INITIAL_KEY)[0]


def test_only_the_acquirer_opens_a_blob() -> None:
    for size in (0, 1, 14, 15, 16, 125, 200):
        objects = bytes(range(size))
        blob = seal_blob(AES, new_block(), bytearray(objects))
        assert key_id_of(blob) == KEY_ID
        assert len(blob) <= 400
        assert open_blob(AES, INITIAL_KEY, blob) == objects
        assert size < 14 or objects not in blob
        assert refusal(CardError, open_blob, AES, bytes(16), blob)


def test_a_blob_that_was_changed_is_refused() -> None:
    blob = seal_blob(AES, new_block(), bytearray(b"objects"))
    for index in range(len(blob)):
        changed = bytearray(blob)
        changed[index] ^= 1
        assert refusal(CardError, open_blob, AES, INITIAL_KEY, bytes(changed)), index
    for end in range(len(blob)):
        assert refusal(CardError, open_blob, AES, INITIAL_KEY, blob[:end]), end


def test_two_blobs_of_the_same_objects_differ() -> None:
    block = new_block()
    assert seal_blob(AES, block, bytearray(b"objects"))[13:] != seal_blob(AES, block, bytearray(b"objects"))[13:]
