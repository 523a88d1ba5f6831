"""Frames of the PN532 on a UART (UM0701-02 section 6.2.1): as printed, in any pieces, amid garbage."""

from __future__ import annotations

from firmware.readers.pn532_frames import ACK, NACK, FrameDecoder, encode_frame

# GetFirmwareVersion and its answer, as in the user manual section 7.2.2.
COMMAND = bytes.fromhex("0000ff02fed4022a00")
ANSWER = bytes.fromhex("0000ff06fad50332010607e800")


def frames(*pieces: bytes) -> list[bytes | str]:
    decoder = FrameDecoder()
    found: list[bytes | str] = []
    for piece in pieces:
        decoder.receive(piece)
        frame = decoder.next_frame()
        while frame is not None:
            found.append("ack" if frame.is_ack else "nack" if frame.is_nack else frame.data)
            frame = decoder.next_frame()
    return found


def test_frames_have_the_bytes_of_the_manual() -> None:
    assert encode_frame(b"\xd4\x02") == COMMAND
    assert encode_frame(b"\xd5\x03\x32\x01\x06\x07") == ANSWER
    assert frames(ANSWER) == [b"\xd5\x03\x32\x01\x06\x07"]


def test_ack_and_nack_are_no_information() -> None:
    assert frames(ACK + NACK + ANSWER + ACK) == ["ack", "nack", b"\xd5\x03\x32\x01\x06\x07", "ack"]


def test_frames_come_in_any_pieces() -> None:
    stream = ACK + ANSWER + encode_frame(bytes(range(200))) + NACK + encode_frame(bytes(265))
    whole = frames(stream)
    assert len(whole) == 5
    assert frames(*[bytes((byte,)) for byte in stream]) == whole
    for cut in range(len(stream) + 1):
        assert frames(stream[:cut], stream[cut:]) == whole, cut


def test_long_frames_are_extended_ones() -> None:
    for size in (1, 254, 255, 256, 257, 265):
        data = bytes([index % 251 for index in range(size)])
        frame = encode_frame(data)
        assert (frame[3:5] == b"\xff\xff") == (size > 255), size
        assert frames(frame) == [data], size


def test_garbage_before_a_frame_is_passed_over() -> None:
    for garbage in (
        b"\x55",
        b"\x00",
        b"\xff",
        b"\x00\x00",
        b"\xff\xff\xff",
        b"\x00\xff\x00",
        b"garbage",
        b"\x00\x00\xff\x05",
    ):
        assert frames(garbage + ANSWER + ANSWER)[-1] == b"\xd5\x03\x32\x01\x06\x07", garbage


def test_a_frame_with_a_changed_byte_is_not_believed() -> None:
    for index in range(3, len(ANSWER) - 1):
        changed = bytearray(ANSWER)
        changed[index] ^= 0x10
        decoder = FrameDecoder()
        decoder.receive(bytes(changed) + bytes(300))
        assert decoder.next_frame() is None, index
        assert decoder.faults >= 1, index
        decoder.receive(ANSWER)
        frame = decoder.next_frame()
        assert frame is not None, index
        assert frame.data == b"\xd5\x03\x32\x01\x06\x07", index


def test_a_length_that_no_frame_has_is_a_fault() -> None:
    decoder = FrameDecoder()
    decoder.receive(b"\x00\x00\xff\xff\xff\x01\x0a\xf5" + ANSWER)
    frame = decoder.next_frame()
    assert frame is not None
    assert (frame.data[:2], decoder.faults) == (b"\xd5\x03", 1)
