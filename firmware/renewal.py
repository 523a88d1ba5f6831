"""New secret keys for the next days (SPEC.md "Key bundle"). Loaded when they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.keys import seal_bundle
from firmware.signing import finish, verify_by
from protocol.cose import TYP_KEY_BUNDLE, ec2_point
from protocol.enrolment import decode_key_bundle
from protocol.errors import EnrolmentError
from protocol.key_bundle import decode_wrapped_bundle
from protocol.keyset import ROLE_TICKET
from protocol.keywrap import unwrap

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop


async def take_bundle(board: Board, loop: Loop, identity: Identity, membership: Membership, message: bytes) -> None:
    """Use the secret keys of a message from now on, and after a start.

    Raises:
        ProtocolError: not signed by who may, not for this device and epoch, not newer than those held, or not to be opened.
    """
    wrapped = decode_wrapped_bundle(await verify_by(loop, membership, message, TYP_KEY_BUNDLE, ROLE_TICKET))
    if not wrapped.is_for(identity.device, membership.enrolled.epoch, membership.bundle_number()):
        raise EnrolmentError("key bundle: not this device's, or not newer than what it has")
    if wrapped.ephemeral is None:
        raise EnrolmentError("key bundle: without a key to agree with")
    agreed = await finish(loop, identity.signer().agree_steps(*ec2_point(wrapped.ephemeral)))
    data = unwrap(board.aes, wrapped.agreed_key(agreed), wrapped.wrapped)
    bundle = decode_key_bundle(data)
    if min(bundle.qr_day_keys) != wrapped.number:
        raise EnrolmentError("key bundle: its first day is not its number")
    seal_bundle(board, identity, data)
    membership.bundle = bundle
