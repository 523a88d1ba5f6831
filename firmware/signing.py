"""COSE_Sign1 with the board's signer and verifier, which work in steps: the loop gets its turn between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cose
from protocol.errors import BadCose, BadSignature

if TYPE_CHECKING:
    from firmware.boards.board import Signer, Verifier
    from firmware.loop import Loop


async def _finish(loop: Loop, steps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - MicroPython knows no generics
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        await loop.pause()


async def sign(loop: Loop, signer: Signer, payload: list[bytes], typ: str, audience: str) -> list[bytes]:
    """Return a payload as a signed message; both are in pieces, so that a batch is never copied."""
    protected = cose.protect(signer.kid, typ)
    digest = cose.signature_digest(protected, cose.external_aad(audience), payload)
    signature = await _finish(loop, signer.sign_digest_steps(digest))
    return cose.assemble_parts(protected, payload, signature)


async def verify(loop: Loop, verifier: Verifier, message: bytes, typ: str, audience: str, kid: bytes) -> bytes:
    """Return the payload of a message that was signed with that very key.

    Raises:
        CoseError: it was not.
    """
    parsed = cose.parse(message)
    if parsed.typ != typ or parsed.kid != kid:
        raise BadCose("not the kind of message, or not the key, that is expected here")
    digest = cose.signature_digest(parsed.protected, cose.external_aad(audience), [parsed.payload])
    if not await _finish(loop, verifier.verify_digest_steps(parsed.kid, digest, parsed.signature)):
        raise BadSignature("the signature does not hold")
    return parsed.payload
