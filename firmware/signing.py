"""COSE_Sign1 with the board's signer and verifier, which work in steps: the loop gets its turn between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cose
from protocol.errors import BadCose, BadSignature, UnknownKid

if TYPE_CHECKING:
    from firmware.boards.board import Signer, Verifier
    from firmware.keys import Membership
    from firmware.loop import Loop
    from protocol.cose import Sign1


async def finish(loop: Loop, steps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - MicroPython knows no generics
    """Run an operation to its end, pausing between its steps, and return its result."""
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
    signature = await finish(loop, signer.sign_digest_steps(digest))
    return cose.assemble_parts(protected, payload, signature)


async def verify(loop: Loop, verifier: Verifier, message: bytes, typ: str, audience: str, kid: bytes) -> bytes:
    """Return the payload of a message that was signed with that very key.

    Raises:
        CoseError: it was not.
    """
    parsed = cose.parse(message)
    if parsed.typ != typ or parsed.kid != kid:
        raise BadCose("not the kind of message, or not the key, that is expected here")
    return await _verified(loop, verifier, parsed, audience)


async def verify_by(loop: Loop, membership: Membership, message: bytes, typ: str, role: int) -> bytes:
    """Return the payload of a message of that kind that was signed with a key of that role.

    Raises:
        CoseError: it was not; UnknownKid where no key of that name has the role.
    """
    parsed = cose.parse(message)
    if parsed.typ != typ:
        raise BadCose("not the kind of message that is expected here")
    if not membership.may(parsed.kid, role):
        raise UnknownKid("signed with a key that may not sign this")
    return await _verified(loop, membership.verifier, parsed, membership.enrolled.audience)


async def _verified(loop: Loop, verifier: Verifier, parsed: Sign1, audience: str) -> bytes:
    digest = cose.signature_digest(parsed.protected, cose.external_aad(audience), [parsed.payload])
    if not await finish(loop, verifier.verify_digest_steps(parsed.kid, digest, parsed.signature)):
        raise BadSignature("the signature does not hold")
    return parsed.payload
