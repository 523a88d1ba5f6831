"""How a device changes its own key (SPEC.md "Rotation"). Loaded when it does.

The new key is kept durably beside the old one before anybody hears of it, together with the message that both have signed:
whatever happens on the way, the very same bytes are sent until they are answered. Then one of the two is erased.

The message is kept. A service that was restored from before it was answered knows the old key only, of which it is the last
word: so it is sent once more. There is no secret in it.
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
_ANSWERED_FILE = "rotated"


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
    """Make the new key the device's only one; one that is in use already stays it."""
    data = board.store.read(_FILE)
    assert data is not None
    epoch, private, message = cbor.decode(data)
    if private:
        identity.change_key(int.from_bytes(private, "big"))
        board.store.write(_ANSWERED_FILE, cbor.encode([epoch, message]))
    drop_key(board)


def say_again(board: Board, membership: Membership) -> None:
    """Let the rotation that brought the key in use be sent once more, after the next start."""
    data = board.store.read(_ANSWERED_FILE)
    epoch, message = cbor.decode(data) if data else (None, b"")
    if epoch == membership.enrolled.epoch and not board.store.read(_FILE):
        board.store.write(_FILE, cbor.encode([epoch, b"", message]))


def is_said_again(board: Board) -> bool:
    """Return whether the rotation that waits is of the key in use."""
    data = board.store.read(_FILE)
    return data is not None and not cbor.decode(data)[1]


def drop_key(board: Board) -> None:
    """Forget the key that waits, and go on with the one in use."""
    board.store.remove(_FILE)
