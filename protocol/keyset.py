"""The service's public keys, and what each of them may sign (SPEC.md "Key set").

It travels as COSE_Sign with typ "key-set". A set is believed when enough of the roots that are believed already have signed it,
and enough of its own: so roots can be changed, one set after another, and a key that nobody holds never becomes one. The first
set of a device comes inside of `enrolled`, whose signature stands for the roots before.

Checking it is a conversation: `take_steps` on a device, where a signature takes long, and `take` where it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor, cose_sign, key_ring
from protocol.compat import const, sha256
from protocol.cose import KID_BYTES, TYP_KEY_SET, decoded, ec2_key, ec2_point
from protocol.errors import BadCose, BadSignature, DocumentError
from protocol.fields import U32_MAX, Layout
from protocol.limits import KEY_SET_KEYS_MAX, KEY_SET_ROOTS_MAX
from protocol.p256 import is_on_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Protocol

    from protocol.cose import Verifier

    Point = tuple[bytes, bytes]
    # Kid, point, what was signed, signature; the answer is whether it holds.
    Question = tuple[bytes, Point, bytes, bytes]

    class StepVerifier(Protocol):
        """Verifies SHA-256 digests with the keys it was made of, in steps."""

        def verify_digest_steps(self, kid: bytes, digest: bytes, signature: bytes) -> Generator[None, None, bool]: ...


ROLE_ROOT = const(1)
ROLE_ACK = const(2)
ROLE_UPDATE = const(4)
ROLE_TIMESTAMP = const(8)
ROLE_LIST = const(16)
ROLE_FARE_TABLE = const(32)
ROLE_TOP_UP = const(64)
ROLE_TICKET = const(128)
_ROLES_MAX = const(255)
KeySet = key_ring.KeySet
_LAYOUT = Layout("key set", DocumentError, 5, (), ((1, 1, U32_MAX), (2, 0, U32_MAX), (4, 1, KEY_SET_ROOTS_MAX)))


def encode_key_set(key_set: KeySet) -> bytes:
    entries = []
    for kid in sorted(key_set.keys):
        (x, y), roles = key_set.keys[kid]
        entries.append([kid, cbor.encode(ec2_key(x, y)), roles])
    return cbor.encode({0: 1, 1: key_set.number, 2: key_set.expires_s, 3: entries, 4: key_set.root_threshold})


def decode_key_set(payload: bytes) -> KeySet:
    """Return the key set; who has signed it is not looked at.

    Raises:
        DocumentError: the payload is not one.
    """
    fields = _LAYOUT.read(payload)
    entries = fields[3]
    if not isinstance(entries, list) or not 0 < len(entries) <= KEY_SET_KEYS_MAX:
        raise DocumentError("key set: it has 1 to " + str(KEY_SET_KEYS_MAX) + " keys")
    keys: dict[bytes, tuple[Point, int]] = {}
    last = b""
    for entry in entries:
        kid, point, roles = _key_in(entry)
        if kid <= last:
            raise DocumentError("key set: keys are sorted by kid, each once")
        keys[kid] = (point, roles)
        last = kid
    key_set = KeySet(fields[1], fields[2], keys, fields[4])
    if not key_set.root_threshold <= len(key_set.points(ROLE_ROOT)) <= KEY_SET_ROOTS_MAX:
        raise DocumentError("key set: it has as many roots as must sign, and 8 at most")
    return key_set


def _key_in(entry: object) -> tuple[bytes, Point, int]:
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[1], bytes):
        raise DocumentError("key set: a key is [kid, COSE_Key, roles]")
    kid, encoded, roles = entry
    try:
        key = decoded(encoded)
        x, y = ec2_point(key)
    except BadCose as error:
        raise DocumentError("key set: " + str(error)) from None
    if not is_on_curve(int.from_bytes(x, "big"), int.from_bytes(y, "big")):
        raise DocumentError("key set: a key is not on its curve")
    if kid != sha256(encoded)[:KID_BYTES]:
        raise DocumentError("key set: a kid is not the thumbprint of its key")
    if not cbor.is_integer(roles, 1, _ROLES_MAX):
        raise DocumentError("key set: roles are 1 to 255")
    return kid, (x, y), roles


def _questions(
    message: bytes, audience: str, held: KeySet | None, now_s: int | None
) -> Generator[Question, bool, KeySet]:
    """Ask which signatures hold, until enough do, and return the set."""
    signed = cose_sign.parse(message)
    if signed.typ != TYP_KEY_SET:
        raise BadCose("typ is " + repr(signed.typ)[:40] + ", not " + repr(TYP_KEY_SET))
    key_set = decode_key_set(signed.payload)
    if held is not None and key_set.number != held.number + 1:
        raise DocumentError("key set: its number does not follow that of the one held")
    if now_s is not None and not key_set.is_valid_at(now_s):
        raise DocumentError("key set: it has expired")
    needed = [key_set] if held is None else [held, key_set]
    holding: set[Point] = set()
    for kid in sorted(signed.signatures):
        for point in {each.keys[kid][0] for each in needed if each.may(kid, ROLE_ROOT)}:
            if (yield kid, point, signed.to_be_signed(kid, audience), signed.signatures[kid]):
                holding.add(point)
        if all(_is_agreed(each, holding) for each in needed):
            return key_set
    raise BadSignature("the key set is signed by too few roots")


def _is_agreed(key_set: KeySet, holding: set[Point]) -> bool:
    return len(holding & set(key_set.points(ROLE_ROOT).values())) >= key_set.root_threshold


def take_steps(
    message: bytes,
    audience: str,
    held: KeySet | None,
    now_s: int | None,
    make_verifier: Callable[[dict[bytes, Point]], StepVerifier],
) -> Generator[None, None, KeySet]:
    """Check a signed key set, yielding now and then; the result is the set.

    Args:
        message: the COSE_Sign.
        audience: for whom it must be.
        held: the set before; None for the first one.
        now_s: unix seconds; None for one on the way to a newer one, which may have expired meanwhile.
        make_verifier: of points by kid (a board's `verifier`).

    Raises:
        CoseError: not a signed key set, or too few roots of either set have signed it.
        DocumentError: its content is wrong, its number does not follow, or it has expired.
    """
    questions = _questions(message, audience, held, now_s)
    try:
        kid, point, signed, signature = next(questions)
        while True:
            holds = yield from make_verifier({kid: point}).verify_digest_steps(kid, sha256(signed), signature)
            kid, point, signed, signature = questions.send(holds)
    except StopIteration as end:
        key_set: KeySet = end.value
        return key_set


def take(
    message: bytes,
    audience: str,
    held: KeySet | None,
    now_s: int | None,
    make_verifier: Callable[[dict[bytes, Point]], Verifier],
) -> KeySet:
    """Check a signed key set at once; see `take_steps`."""
    questions = _questions(message, audience, held, now_s)
    try:
        kid, point, signed, signature = next(questions)
        while True:
            holds = make_verifier({kid: point}).verify(kid, signed, signature)
            kid, point, signed, signature = questions.send(holds)
    except StopIteration as end:
        key_set: KeySet = end.value
        return key_set
