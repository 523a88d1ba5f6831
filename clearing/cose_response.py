"""HTTP on the device path: bodies are bytes, bounded while they are read, and answers are CBOR.

A signed answer is `application/cose` with status 200. An unsigned hint is `application/cbor`, with a status that tells
proxies and people the same as its content tells the validator.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from protocol.ack import (
    STATUS_BUSY,
    STATUS_KEY_EXPIRED,
    STATUS_KID_UNKNOWN,
    STATUS_MAINTENANCE,
    STATUS_REVOKED,
    STATUS_TOO_LARGE,
    ErrorAnswer,
    encode_error,
)
from protocol.limits import MESSAGE_BYTES_MAX

COSE = "application/cose"
CBOR = "application/cbor"
_HTTP_STATUS = {
    STATUS_BUSY: 503,
    STATUS_KEY_EXPIRED: 403,
    STATUS_KID_UNKNOWN: 401,
    STATUS_MAINTENANCE: 503,
    STATUS_REVOKED: 403,
    STATUS_TOO_LARGE: 413,
}


async def read_message(request: Request) -> bytes | None:
    """The body, or nothing as soon as it is longer than a message may be."""
    message = bytearray()
    async for chunk in request.stream():
        message += chunk
        if len(message) > MESSAGE_BYTES_MAX:
            return None
    return bytes(message)


def signed(body: bytes) -> Response:
    """A signed message."""
    return Response(body, media_type=COSE)


def hint(status: int, retry_after_s: int | None = None) -> Response:
    """An unsigned answer: a status of the wire, and when to come back."""
    headers = {"retry-after": str(retry_after_s)} if retry_after_s is not None else None
    body = encode_error(ErrorAnswer(status, retry_after_s))
    return Response(body, _HTTP_STATUS.get(status, 400), headers, CBOR)
