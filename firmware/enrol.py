"""How a validator enrols: a technician types the invitation, the device makes its keys and asks for its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.key_sets import check_first
from firmware.keys import make_identity, save_membership
from firmware.links.http import HttpError, fetch
from firmware.retiring import begin_anew, erase_everything, is_retired
from firmware.signing import sign, verify
from protocol import cbor, cose, sync
from protocol.ack import decode_error
from protocol.compat import const
from protocol.cose import TYP_ENROLLED, TYP_ENROLMENT, ec2_point, key_thumbprint
from protocol.enrolment import EnrolmentRequest, decode_enrolled, encode_request, parse_invitation
from protocol.errors import EnrolmentError, ProtocolError
from protocol.keywrap import unwrap

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.loop import Loop

_TIMEOUT_MS = const(30_000)
_ANY_AUDIENCE = ""


async def enrol(board: Board, loop: Loop, code: str) -> str:
    """Enrol with an invitation and return the vehicle's code.

    Raises:
        EnrolmentError: the invitation is mistyped, used or unknown, or the answer is not from whom the invitation names.
        HttpError: the service cannot be reached.
    """
    invitation = parse_invitation(code)
    if is_retired(board):
        erase_everything(board)  # it may have been cut short
    identity = make_identity(board)
    proof = invitation.proof(identity.device, cbor.encode(identity.cose_key))
    request = EnrolmentRequest(identity.device, invitation.code_id, identity.cose_key, board.profile, proof)
    message = await sign(loop, identity.signer(), [encode_request(request)], TYP_ENROLMENT, _ANY_AUDIENCE)
    status, answer = await fetch(board, loop, "POST", "/v1/enrolments", message, _TIMEOUT_MS)
    if status != 200:
        raise EnrolmentError("the service refused the invitation (" + _reason(status, answer) + "): ask for a new one")
    enrolled = decode_enrolled(cose.parse(answer).payload)
    if key_thumbprint(enrolled.ack_key) != invitation.ack_kid or enrolled.device != identity.device:
        raise EnrolmentError("the answer is not from the service that the invitation names")
    verifier = board.verifier({invitation.ack_kid: ec2_point(enrolled.ack_key)})
    payload = await verify(loop, verifier, answer, TYP_ENROLLED, enrolled.audience, invitation.ack_kid)
    await check_first(board, loop, enrolled)
    bundle = unwrap(board.aes, invitation.key_encryption_key(), enrolled.wrapped_keys)
    save_membership(board, identity, payload, bundle)
    state = sync.RETIRED if is_retired(board) else sync.IDLE
    if sync.next_state(sync.DEVICE, state, sync.ENROLLED)[1] == sync.BEGIN:
        begin_anew(board)
    return enrolled.vehicle


def _reason(status: int, answer: bytes) -> str:
    try:
        return "status " + str(decode_error(answer).status)
    except ProtocolError:
        return "HTTP " + str(status)


async def enrol_and_tell(board: Board, loop: Loop, code: str) -> None:
    """Enrol, and say on the channel how it went."""
    try:
        vehicle = await enrol(board, loop, code)
    except (ProtocolError, HttpError) as error:
        board.log("enrolment failed: " + str(error))
        raise SystemExit(1) from None
    board.log("enrolled for vehicle " + vehicle)
