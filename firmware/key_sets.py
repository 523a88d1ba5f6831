"""Key sets on the device: the first comes with its enrolment, each next one is believed by the one before (SPEC.md "Key set").

What was verified is kept as it was signed, with the epoch of the enrolment that it belongs to. Loaded when it is needed only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.signing import finish
from protocol import cbor, cose_sign
from protocol.keyset import decode_key_set, take_steps

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.loop import Loop
    from protocol.enrolment import Enrolled
    from protocol.key_ring import KeySet

_FILE = "key-set"


async def check_first(board: Board, loop: Loop, enrolled: Enrolled) -> None:
    """Check the key set that an enrolment brings, if it does.

    Raises:
        ProtocolError: it is not one, has expired, or too few of its own roots have signed it.
    """
    if enrolled.key_set is not None:
        steps = take_steps(enrolled.key_set, enrolled.audience, None, enrolled.server_time_s, board.verifier)
        await finish(loop, steps)


def load_key_set(board: Board, enrolled: Enrolled) -> KeySet | None:
    """Return the key set that counts; None for an enrolment without one."""
    if enrolled.key_set is None:
        return None
    data = board.store.read(_FILE)
    if data:
        epoch, payload = cbor.decode(data)
        if epoch == enrolled.epoch:
            return decode_key_set(payload)
    return decode_key_set(cose_sign.parse(enrolled.key_set).payload)


async def take_next(board: Board, loop: Loop, membership: Membership, message: bytes, now_s: int | None) -> None:
    """Let the key set after the one held count, from now on and after a start.

    Raises:
        ProtocolError: it does not follow on, has expired at `now_s`, or too few roots of either have signed it.
    """
    enrolled = membership.enrolled
    key_set = await finish(loop, take_steps(message, enrolled.audience, membership.key_set, now_s, board.verifier))
    board.store.write(_FILE, cbor.encode([enrolled.epoch, cose_sign.parse(message).payload]))
    membership.use(key_set)
