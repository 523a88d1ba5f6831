"""How a device changes its own key (SPEC.md "Rotation"). Loaded when it does.

The new key is kept durably beside the old one before anybody hears of it, together with the message that both have signed:
whatever happens on the way, the very same bytes are sent until they are answered. Then one of the two is erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.keys import make_private
from firmware.signing import finish
from protocol import cbor, cose_sign
from protocol.compat import sha256
from protocol.cose import TYP_ROTATION, ec2_key, key_thumbprint
from protocol.rotation import Rotation, decode_rotation, encode_rotation

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop

_FILE = "rotation"


async def prepare_rotation(board: Board, loop: Loop, identity: Identity, membership: Membership) -> None:
    """Make a new key, unless one waits already; from now on nothing else is sent until it is answered."""
    if load_rotation(board, membership) is not None:
        return
    private = make_private(board)
    key = ec2_key(*board.public_point(private))
    rotation = Rotation(identity.device, membership.enrolled.epoch, key, board.random_bytes(8))
    signed = cose_sign.Signed(TYP_ROTATION, encode_rotation(rotation), {})
    for signer in (identity.signer(), board.signer(key_thumbprint(key), private)):
        digest = sha256(signed.to_be_signed(signer.kid, membership.enrolled.audience))
        signed.signatures[signer.kid] = await finish(loop, signer.sign_digest_steps(digest))
    kept = [membership.enrolled.epoch, private.to_bytes(32, "big"), signed.encode()]
    board.store.write(_FILE, cbor.encode(kept))


def load_rotation(board: Board, membership: Membership) -> tuple[Rotation, bytes] | None:
    """Return the rotation that waits for its answer, and the message; None where there is none of this enrolment."""
    data = board.store.read(_FILE)
    if not data:
        return None
    epoch, _, message = cbor.decode(data)
    if epoch != membership.enrolled.epoch:
        return None
    return decode_rotation(cose_sign.parse(message).payload), message


def adopt_key(board: Board, identity: Identity) -> None:
    """Make the new key the device's only one."""
    data = board.store.read(_FILE)
    assert data is not None
    identity.change_key(int.from_bytes(cbor.decode(data)[1], "big"))
    drop_key(board)


def drop_key(board: Board) -> None:
    """Forget the key that waits, and go on with the one in use."""
    board.store.remove(_FILE)
