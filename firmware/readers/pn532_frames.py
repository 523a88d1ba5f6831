"""Frames of the NXP PN532 on a UART (user manual UM0701-02 section 6.2.1).

Information frame `00 00 FF LEN LCS TFI data DCS 00`, extended `00 00 FF FF FF LENM LENL LCS …`, ACK `00 00 FF 00 FF 00`. The
same codec serves the host and the chip: only the direction byte differs.
"""

from __future__ import annotations

from protocol.compat import const

HOST_TO_CHIP = const(0xD4)
CHIP_TO_HOST = const(0xD5)
ACK = b"\x00\x00\xff\x00\xff\x00"
NACK = b"\x00\x00\xff\xff\x00\x00"
NEED_DATA = None
_START = b"\x00\xff"
_DATA_BYTES_MAX = const(265)


def encode_frame(head: bytes, rest: bytes = b"") -> bytes:
    """Return the frame around data in two pieces, of which the first begins with the direction byte."""
    size = len(head) + len(rest)
    checksum = -(sum(head) + sum(rest)) & 0xFF
    if size < 256:
        return b"".join((bytes((0, 0, 0xFF, size, -size & 0xFF)), head, rest, bytes((checksum, 0))))
    high, low = size >> 8, size & 0xFF
    start = bytes((0, 0, 0xFF, 0xFF, 0xFF, high, low, -(high + low) & 0xFF))
    return b"".join((start, head, rest, bytes((checksum, 0))))


class Frame:
    """One frame.

    Attributes:
        data: direction byte, command and parameters; empty for ACK and NACK.
        is_ack, is_nack: which of the two it is, if any.
    """

    __slots__ = ("data", "is_ack", "is_nack")

    def __init__(self, data: bytes, is_ack: bool = False, is_nack: bool = False) -> None:
        self.data = data
        self.is_ack = is_ack
        self.is_nack = is_nack


_ACK_FRAME = Frame(b"", is_ack=True)
_NACK_FRAME = Frame(b"", is_nack=True)


class FrameDecoder:
    """Finds frames in a stream of bytes; what is no frame is passed over.

    Attributes:
        faults: frames whose check sums did not hold.
    """

    def __init__(self) -> None:
        self._data = b""
        self.faults = 0

    def receive(self, data: bytes) -> None:
        # A zero that was kept begins no frame where another follows: nothing is copied for its sake.
        if not self._data or (self._data == b"\x00" and data[:1] == b"\x00"):
            self._data = data
        else:
            self._data += data

    def next_frame(self) -> Frame | None:
        """Return the next frame, or NEED_DATA. Nothing is copied but what a frame carries: copies are garbage."""
        while True:
            data = self._data
            start = data.find(_START)
            if start < 0:
                self._data = data[-1:]
                return NEED_DATA
            body = start + 2
            if len(data) < body + 3:
                self._data = data[start:]
                return NEED_DATA
            first, second = data[body], data[body + 1]
            if first + second == 0xFF and (first == 0 or second == 0):
                self._data = data[body + 2 :]
                return _NACK_FRAME if first else _ACK_FRAME
            size = first if first and not (first + second) & 0xFF else -1
            begin = body + 2
            if first == 0xFF and second == 0xFF:
                size, begin = _extended_size(data, body), body + 5
            if size == 0 or len(data) < begin + size + 1:
                self._data = data[start:]
                return NEED_DATA
            end = begin + size
            content = data[begin:end] if size > 0 else b""
            if size < 0 or (sum(content) + data[end]) & 0xFF:
                self.faults += 1
                self._data = data[body:]
                continue
            self._data = data[end + 1 :]
            return Frame(content)


def _extended_size(data: bytes, body: int) -> int:
    """Return how much an extended frame carries: -1 when it is none, 0 when more bytes are needed to say."""
    if len(data) < body + 5:
        return 0
    high, low = data[body + 2], data[body + 3]
    size = high << 8 | low
    return size if not (high + low + data[body + 4]) & 0xFF and 0 < size <= _DATA_BYTES_MAX else -1
