"""A program: single operations of the firmware, each counted.

Prints a line for each: its instructions (the middle of some runs on a heap that has just been tidied), and its name.
"""

from __future__ import annotations

import gc
import hashlib
from typing import TYPE_CHECKING

from emulated import instructions
from micropython import const

from firmware.boards.crypto_micropython import Aes
from firmware.journal import Journal
from firmware.readers.pn532_frames import Frame, FrameDecoder, encode_frame
from firmware.token_list import ChangedList, StoredList
from hardware.emulated_m4.device.parts import memory_of
from protocol import p256
from protocol.cards.tlv import find
from protocol.cmac import aes_cmac
from protocol.compat import hmac_sha256, sha256
from protocol.tap import Tap, encode_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_MASK = const(0x3FFFFFFF)
_RUNS = const(5)
_LOOK_UPS = const(64)
_ENTRY_BYTES = const(8)
_DENY = const(1)
_KEY = bytes(range(16))
_KILOBYTE = bytes(1024)
_NUMBER = int.from_bytes(b"\x5a" + bytes(range(247)), "big")
_PRIVATE = int.from_bytes(bytes(range(1, 33)), "big")
_DIGEST = bytes(32)
# What a payment application says when it is selected: its name, a label, and the list of what it wants to know.
_WANTED = b"\x9f\x66\x04\x9f\x02\x06\x9f\x03\x06\x9f\x1a\x02\x95\x05\x5f\x2a\x02\x9a\x03\x9c\x01\x9f\x37\x04"
_TEMPLATE = b"\x6f\x33\x84\x07\xa0\x00\x00\x00\x03\x10\x10\xa5\x28\x50\x0bTEST CREDIT\x9f\x38\x18" + _WANTED
_RECORD = bytes(80)


class Flash:
    """Flash in memory, of as many sectors as a journal needs to begin."""

    def __init__(self) -> None:
        self._sectors = [bytearray(b"\xff" * 4096) for _ in range(4)]

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        buffer[:] = self._sectors[block][offset : offset + len(buffer)]

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        self._sectors[block][offset : offset + len(buffer)] = buffer

    def ioctl(self, operation: int, argument: int) -> int:
        if operation == 6:
            self._sectors[argument][:] = b"\xff" * 4096
        return {4: len(self._sectors), 5: 4096}.get(operation, 0)


class Media:
    """Lists of media on flash; it counts what is read of them."""

    def __init__(self) -> None:
        self._files = {name: memory_of("/rom/" + name) for name in ("media", "changes")}
        self.reads = self.bytes_read = 0

    def entries(self, name: str) -> int:
        return int(len(self._files[name]) // _ENTRY_BYTES)

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        self.reads += 1
        self.bytes_read += count
        return bytes(self._files[name][offset : offset + count])


def changed_list(media: Media) -> ChangedList:
    """Return a long list, and beside it what has come and gone since."""
    half = media.entries("changes") // 2
    base = StoredList(media, "media", _DENY, 1, 0, media.entries("media"))  # type: ignore[arg-type] # a store as far as it is asked
    added, removed = [
        StoredList(media, "changes", _DENY, 0, 0, half, start * _ENTRY_BYTES)  # type: ignore[arg-type]
        for start in (0, half)
    ]
    return ChangedList(base, 2, added, removed)


def count(work: Callable[[], object]) -> int:
    """Return the instructions of a call, with those of counting."""
    gc.collect()
    work()  # the first piece of memory after a collection is searched for from the heap's beginning
    counts = []
    for _ in range(_RUNS):
        begun = instructions()
        work()
        counts.append(instructions() - begun & _MASK)
    return int(sorted(counts)[_RUNS // 2])


def tell(name: str, work: Callable[[], object]) -> None:
    print(count(work) - _counting, name)


def longest_step(steps: Generator[None, None, object]) -> int:
    """Return the instructions of the longest of an operation's steps: as long nobody else has a turn."""
    longest = 0
    try:
        while True:
            begun: int = instructions()
            next(steps)
            longest = max(longest, instructions() - begun & _MASK)
    except StopIteration:
        return longest


def decode(data: bytes) -> Frame | None:
    decoder = FrameDecoder()
    decoder.receive(data)
    return decoder.next_frame()


def tell_rsa(bits: int, exponent: int) -> None:
    modulus = (1 << bits) - 159
    base = _NUMBER % modulus
    tell("RSA public, " + str(bits) + " bits, e = " + str(exponent), lambda: pow(base, exponent, modulus))


def tell_record() -> None:
    token = bytes(16)
    tap = Tap(
        sequence=1000,
        tapped_at_s=1_715_742_000,
        clock_quality=3,
        uptime_ms=3_600_000,
        boot=12,
        kind=1,
        medium=4,
        token_key_version=1,
        token=token,
        product=1,
        fare_minor=12_000,
        category=1,
        line=7,
        trip=12,
        decision=0,
        fare_table=1,
        deny_list=1,
    )
    tell("a tap's record, encoded", lambda: encode_tap(tap))


def tell_journal() -> None:
    journal = Journal(Flash(), bytes(32), bytes(16), 1)
    journal.recover()
    tell("journal, a record of one slot, without the flash", lambda: journal.append(lambda _: _RECORD))


def tell_look_up() -> None:
    """Tell the longest of some look-ups, of media that are on the list and of others."""
    media = Media()
    entries, listed = media.entries("media"), changed_list(media)
    longest = reads = size = 0
    for number in range(_LOOK_UPS):
        token = sha256(number.to_bytes(2, "big"))[:16]
        if number % 2:
            place = int.from_bytes(token[:4], "big") % entries * _ENTRY_BYTES
            token = media.read_at("media", place, _ENTRY_BYTES) + bytes(8)
        if listed.holds(token) != bool(number % 2):
            raise ValueError("a look-up has not found what is there")
        media.reads = media.bytes_read = 0
        gc.collect()
        begun = instructions()
        listed.holds(token)
        longest = max(longest, instructions() - begun & _MASK)
        reads, size = max(reads, media.reads), max(size, media.bytes_read)
    name = "a list of " + str(entries) + " media with changes, longest look-up"
    print(longest, name + ", without " + str(reads) + " reads, " + str(size) + " bytes, of flash")


def tell_p256() -> None:
    x, y = p256.public_key(_PRIVATE)
    signature = p256.finish(p256.sign_steps(_PRIVATE, _DIGEST))
    p256.finish(p256.verify_steps(x, y, _DIGEST, signature))  # now their tables are made
    tell("P-256, sign", lambda: p256.finish(p256.sign_steps(_PRIVATE, _DIGEST)))
    tell("P-256, verify, key known", lambda: p256.finish(p256.verify_steps(x, y, _DIGEST, signature)))
    print(longest_step(p256.sign_steps(_PRIVATE, _DIGEST)), "P-256, longest step of signing")
    print(longest_step(p256.verify_steps(x, y, _DIGEST, signature)), "P-256, longest step of verifying")


gc.threshold(-1)  # type: ignore[attr-defined] # the firmware has set another one when it was loaded
_counting = count(lambda: None)
aes = Aes()
frame = encode_frame(b"\xd4\x40\x01" + bytes(60))
tell("SHA-256, 1 KiB", lambda: hashlib.sha256(_KILOBYTE).digest())
tell("AES-CBC, 1 KiB", lambda: aes.cbc_encrypt(_KEY, bytes(16), _KILOBYTE))
tell("AES, one block, with its key", lambda: aes.ecb_encrypt(_KEY, bytes(16)))
tell("AES-CMAC, 64 bytes", lambda: aes_cmac(aes, _KEY, _KILOBYTE[:64]))
tell("HMAC-SHA256, 64 bytes", lambda: hmac_sha256(_KEY, _KILOBYTE[:64]))
tell("HMAC-SHA256, 256 bytes", lambda: hmac_sha256(_KEY, _KILOBYTE[:256]))
for size in (1024, 1408, 1984, 2048):
    for power in (3, 65537):
        tell_rsa(size, power)
tell("TLV, find in a template of 53 bytes", lambda: find(_TEMPLATE, 0x9F38))
tell("PN532 frame of 63 bytes, encode", lambda: encode_frame(b"\xd4\x40\x01" + _KILOBYTE[:60]))
tell("PN532 frame of 63 bytes, decode", lambda: decode(frame))
tell_record()
tell_journal()
tell_look_up()
tell_p256()
gc.collect()
tell("garbage collection, " + str(gc.mem_alloc() // 1024) + " KB alive", gc.collect)  # type: ignore[attr-defined]
