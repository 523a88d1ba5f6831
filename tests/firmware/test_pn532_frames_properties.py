"""Frames amid anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.readers.pn532_frames import ACK, NACK, FrameDecoder, encode_frame

contents = st.binary(min_size=1, max_size=265)
pieces = st.one_of(contents.map(encode_frame), st.just(ACK), st.just(NACK))


def decode(parts: list[bytes]) -> list[bytes]:
    decoder = FrameDecoder()
    found = []
    for part in parts:
        decoder.receive(part)
        while (frame := decoder.next_frame()) is not None:
            found.append(ACK if frame.is_ack else NACK if frame.is_nack else encode_frame(frame.data))
    return found


@given(st.lists(pieces, max_size=6), st.lists(st.integers(0, 3000), max_size=8))
def test_a_stream_is_the_same_in_any_pieces(stream: list[bytes], places: list[int]) -> None:
    data = b"".join(stream)
    ends = sorted(place % (len(data) + 1) for place in places)
    parts = [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]
    assert decode(parts) == stream


@given(st.binary(max_size=40), contents)
def test_after_garbage_the_decoder_finds_the_way_again(garbage: bytes, content: bytes) -> None:
    # Garbage may announce a frame of up to 265 bytes: as long as that the decoder may be kept waiting.
    assert encode_frame(content) in decode([garbage, *[ACK] * 60, encode_frame(content)])


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_garbage_is_never_more_than_passed_over(garbage: list[bytes]) -> None:
    total = b"".join(garbage)
    for frame in decode(garbage):
        assert frame[2:-1] in total
