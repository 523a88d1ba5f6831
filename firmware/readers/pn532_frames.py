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


def encode_frame(data: bytes) -> bytes:
    """Return the frame around `data`, which begins with the direction byte."""
    size = len(data)
    checksum = bytes((-sum(data) & 0xFF, 0))
    if size < 256:
        return b"\x00\x00\xff" + bytes((size, -size & 0xFF)) + data + checksum
    high, low = size >> 8, size & 0xFF
    return b"\x00\x00\xff\xff\xff" + bytes((high, low, -(high + low) & 0xFF)) + data + checksum


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


class FrameDecoder:
    """Finds frames in a stream of bytes; what is no frame is passed over.

    Attributes:
        faults: frames whose check sums did not hold.
    """

    def __init__(self) -> None:
        self._data = b""
        self.faults = 0

    def receive(self, data: bytes) -> None:
        self._data += data

    def next_frame(self) -> Frame | None:
        """Return the next frame, or NEED_DATA."""
        while True:
            start = self._data.find(_START)
            if start < 0:
                self._data = self._data[-1:]
                return NEED_DATA
            body = self._data[start + 2 :]
            if len(body) < 3:
                self._data = self._data[start:]
                return NEED_DATA
            if body[:2] == b"\x00\xff" or body[:2] == b"\xff\x00":
                self._data = body[2:]
                return Frame(b"", is_ack=body[0] == 0, is_nack=body[0] == 0xFF)
            head, size = self._head(body)
            if size < 0:
                self.faults += 1
                self._data = body
                continue
            if size == 0 or len(body) < head + size + 1:
                self._data = self._data[start:]
                return NEED_DATA
            data = body[head : head + size]
            if (sum(data) + body[head + size]) & 0xFF:
                self.faults += 1
                self._data = body
                continue
            self._data = body[head + size + 1 :]
            return Frame(data)

    def _head(self, body: bytes) -> tuple[int, int]:
        """Return the sizes of a frame's head and data: -1 for no frame, 0 when more bytes are needed to say."""
        if body[:2] == b"\xff\xff":
            if len(body) < 5:
                return 5, 0
            size = body[2] << 8 | body[3]
            return 5, size if not (body[2] + body[3] + body[4]) & 0xFF and 0 < size <= _DATA_BYTES_MAX else -1
        return 2, body[0] if not (body[0] + body[1]) & 0xFF and body[0] else -1
