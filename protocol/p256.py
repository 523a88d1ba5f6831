"""ES256 (ECDSA on P-256 with SHA-256, FIPS 186-5) in plain integers, for MicroPython, which has no elliptic curves.

Nonces are derived as RFC 6979 says, so that a signature needs no random numbers and is the same each time. A validator meets
the same three points again and again (the base point and two keys of the service), so each gets a comb when it is first used,
and verifying costs little more than signing. Still that is a good part of a second on a microcontroller: an operation is a
generator that yields every ten milliseconds or so of such work, and its caller gives the loop a turn then.

This is not constant in time: a key that must withstand an attacker with a probe on the board belongs into a secure element
(profile P1). Nothing on CPython uses it; there the `cryptography` library signs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const, hmac_sha256, sha256
from protocol.errors import LocalProtocolError, RemoteProtocolError, UnknownKid

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    _Result = TypeVar("_Result")
    Point = tuple[int, int]
    Jacobian = tuple[int, int, int]

# FIPS 186-5, SP 800-186 section 3.2.1.3.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_INFINITY = (0, 1, 0)
# The comb: five teeth, 52 bits apart; 31 points of 64 bytes for each key in use.
_TEETH = const(5)
_ROWS = const(52)
_ROW_BITS = (1 << 52) - 1
_POINT_BYTES = const(64)
_YIELD_EVERY = const(2)


def _double(point: Jacobian) -> Jacobian:
    x, y, z = point
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    z3 = ((y + z) * (y + z) - gamma - delta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, z3


def _add(point: Jacobian, other: Point) -> Jacobian:
    """Add an affine point."""
    x1, y1, z1 = point
    if not z1:
        return other[0], other[1], 1
    zz = z1 * z1 % P
    h = (other[0] * zz - x1) % P
    r = 2 * (other[1] * zz * z1 - y1) % P
    if not h:
        return _double(point) if not r else _INFINITY
    hh = h * h % P
    i = 4 * hh
    j = h * i % P
    v = x1 * i % P
    x3 = (r * r - j - 2 * v) % P
    return x3, (r * (v - x3) - 2 * y1 * j) % P, ((z1 + h) * (z1 + h) - zz - hh) % P


def _inverse(value: int, modulus: int) -> int:
    """Return the inverse by Euclid's algorithm: five times as fast as Fermat's, and MicroPython's pow(a, -1, n) returns 0."""
    low, high = value % modulus, modulus
    a, b = 1, 0
    while low > 1:
        quotient = high // low
        low, high = high - quotient * low, low
        a, b = b - quotient * a, a
    return a % modulus


def _affine(point: Jacobian) -> Point:
    return _affine_all([point])[0]


def _affine_all(points: list[Jacobian]) -> list[Point]:
    """Return the points (none at infinity) in affine coordinates, for the price of one inversion (Montgomery's trick)."""
    products = [1]
    for point in points:
        products.append(products[-1] * point[2] % P)
    inverse = _inverse(products.pop(), P)
    result = []
    for x, y, z in reversed(points):
        one = inverse * products.pop() % P
        inverse = inverse * z % P
        square = one * one % P
        result.append((x * square % P, y * square * one % P))
    result.reverse()
    return result


# Combs of the keys in use: the base point, the service's ack key and its document key. Each costs as much as two signatures.
# Their room is taken when the program starts: pieces made later would lie scattered between the numbers of a computation, and a
# heap with holes has no room for a message.
_rooms = [bytearray(31 * _POINT_BYTES) for _ in range(3)]
_owners: list[Point | None] = [None, None, None]
_BEING_MADE = (0, 0)
_AT_ONCE = const(4)


def _room_for(point: Point) -> int:
    """Return a room that is free, or that of the key which came first; the base point keeps the first one."""
    if point == G:
        return 0
    if _owners[1] is not None and _owners[2] is not None:
        _owners[1], _rooms[1], _rooms[2] = _owners[2], _rooms[2], _rooms[1]
        _owners[2] = None
    return 1 if _owners[1] is None else 2


def _point_at(table: bytearray, number: int) -> Point:
    """Return a point of a comb, counted from 1."""
    end = number * _POINT_BYTES
    return int.from_bytes(table[end - 64 : end - 32], "big"), int.from_bytes(table[end - 32 : end], "big")


def _table_steps(point: Point) -> Generator[None, None, bytearray]:
    """Return the comb of a point: its multiples by 2^0, 2^52, ... 2^208 summed in each of the 31 ways to choose among them."""
    if point in _owners:
        return _rooms[_owners.index(point)]
    powers: list[Jacobian] = [(point[0], point[1], 1)]
    for _ in range(_TEETH - 1):
        power = powers[-1]
        for row in range(_ROWS):
            if row % (4 * _YIELD_EVERY) == 0:
                yield
            power = _double(power)
        powers.append(power)
    teeth = _affine_all(powers)
    yield
    room = _room_for(point)
    _owners[room] = _BEING_MADE
    table = _rooms[room]
    end = 0
    # No choice sums to a multiple of the order, so none of these is the point at infinity. A few at a time: memory is short.
    for tooth in teeth:
        count = end // _POINT_BYTES + 1
        for start in range(0, count, _AT_ONCE):
            sums = []
            for number in range(start, min(start + _AT_ONCE, count)):
                known = _point_at(table, number) + (1,) if number else _INFINITY
                sums.append(_add(known, tooth))
            for x, y in _affine_all(sums):
                table[end : end + 32] = x.to_bytes(32, "big")
                table[end + 32 : end + 64] = y.to_bytes(32, "big")
                end += _POINT_BYTES
            yield
    _owners[room] = point
    return table


def _multiply_steps(terms: list[tuple[int, bytearray]]) -> Generator[None, None, Jacobian]:
    """Return the sum of scalars times points, the points given by their combs."""
    combs = [([scalar >> (_ROWS * tooth) & _ROW_BITS for tooth in range(_TEETH)], table) for scalar, table in terms]
    total: Jacobian = _INFINITY
    for row in range(_ROWS - 1, -1, -1):
        if row % _YIELD_EVERY == 0:
            yield
        total = _double(total)
        for teeth, table in combs:
            column = 0
            for tooth in range(_TEETH):
                column |= (teeth[tooth] >> row & 1) << tooth
            if column:
                total = _add(total, _point_at(table, column))
    return total


def _multiply_base_steps(scalar: int) -> Generator[None, None, Point]:
    table = yield from _table_steps(G)
    total = yield from _multiply_steps([(scalar, table)])
    return _affine(total)


def finish(steps: Generator[None, None, _Result]) -> _Result:
    """Run an operation to its end at once and return its result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: _Result = end.value
        return result


def public_key(private: int) -> Point:
    """Return the public point of a private scalar."""
    if not 0 < private < N:
        raise LocalProtocolError("a private key lies between 0 and the order of the curve")
    return finish(_multiply_base_steps(private))


def is_on_curve(x: int, y: int) -> bool:
    return 0 <= x < P and 0 <= y < P and (y * y - x * x * x + 3 * x - B) % P == 0


def _nonces(private: int, digest: bytes) -> Generator[int, None, None]:
    """Yield candidates for the nonce (RFC 6979 section 3.2)."""
    seed = private.to_bytes(32, "big") + (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
    value = b"\x01" * 32
    key = hmac_sha256(bytes(32), value + b"\x00" + seed)
    value = hmac_sha256(key, value)
    key = hmac_sha256(key, value + b"\x01" + seed)
    value = hmac_sha256(key, value)
    while True:
        value = hmac_sha256(key, value)
        candidate = int.from_bytes(value, "big")
        if 0 < candidate < N:
            yield candidate
        key = hmac_sha256(key, value + b"\x00")
        value = hmac_sha256(key, value)


def sign_steps(private: int, digest: bytes) -> Generator[None, None, bytes]:
    """Sign a SHA-256 digest, yielding now and then; the result is r ‖ s, 64 bytes."""
    for nonce in _nonces(private, digest):
        point = yield from _multiply_base_steps(nonce)
        r = point[0] % N
        # Euclid takes longer for some numbers than for others: it is shown the nonce only multiplied by the private key.
        inverse = _inverse(nonce * private % N, N) * private % N
        s = inverse * (int.from_bytes(digest, "big") + r * private) % N
        if r and s:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    raise LocalProtocolError("no nonce")  # the generator above never ends


def verify_steps(x: int, y: int, digest: bytes, signature: bytes) -> Generator[None, None, bool]:
    """Verify a signature (r ‖ s, 64 bytes) of a SHA-256 digest, yielding now and then."""
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not (0 < r < N and 0 < s < N and is_on_curve(x, y)):
        return False
    inverse = _inverse(s, N)
    base_table = yield from _table_steps(G)
    key_table = yield from _table_steps((x, y))
    terms = [(int.from_bytes(digest, "big") * inverse % N, base_table), (r * inverse % N, key_table)]
    total = yield from _multiply_steps(terms)
    return bool(total[2]) and _affine(total)[0] % N == r


def agree_steps(private: int, x: int, y: int) -> Generator[None, None, bytes]:
    """Agree on a secret with the holder of a public key (ECDH), yielding now and then: the x coordinate, 32 bytes.

    Raises:
        RemoteProtocolError: the point is not on the curve; what came out would give the private key away.
    """
    if not is_on_curve(x, y):
        raise RemoteProtocolError("a public key is not on its curve")
    table = yield from _table_steps((x, y))
    total = yield from _multiply_steps([(private, table)])
    return _affine(total)[0].to_bytes(32, "big")


class P256Signer:
    """Signs with one private key; `sign_digest_steps` lets a loop breathe.

    Attributes:
        kid: names the key.
    """

    def __init__(self, kid: bytes, private: int) -> None:
        self.kid = kid
        self._private = private

    def sign_digest_steps(self, digest: bytes) -> Generator[None, None, bytes]:
        return sign_steps(self._private, digest)

    def agree_steps(self, x: bytes, y: bytes) -> Generator[None, None, bytes]:
        return agree_steps(self._private, int.from_bytes(x, "big"), int.from_bytes(y, "big"))

    def sign(self, message: bytes) -> bytes:
        return finish(self.sign_digest_steps(sha256(message)))


class P256Verifier:
    """Verifies with the public keys it was given, by kid."""

    def __init__(self, keys: dict[bytes, tuple[bytes, bytes]]) -> None:
        self._keys = keys

    def verify_digest_steps(self, kid: bytes, digest: bytes, signature: bytes) -> Generator[None, None, bool]:
        if kid not in self._keys:
            raise UnknownKid("signed with a key that is not known here")
        x, y = self._keys[kid]
        return verify_steps(int.from_bytes(x, "big"), int.from_bytes(y, "big"), digest, signature)

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return finish(self.verify_digest_steps(kid, sha256(message), signature))
