"""ES256 (ECDSA on P-256 with SHA-256, FIPS 186-5) in plain integers, for MicroPython, which has no elliptic curves.

Nonces are derived as RFC 6979 says, so that a signature needs no random numbers and is the same each time. Signing uses a
fixed-base comb, verifying a joint window over both points. An operation takes about a second on a microcontroller: it is a
generator that yields every few milliseconds of work, and its caller gives the loop a turn then.

This is not constant in time: a key that must withstand an attacker with a probe on the board belongs into a secure element
(profile P1). Nothing on CPython uses it; there the `cryptography` library signs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const, hmac_sha256, sha256
from protocol.errors import LocalProtocolError, UnknownKid

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
_COMB_BITS = const(4)
_COMB_ROWS = const(64)
_YIELD_EVERY = const(8)


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


def _affine(point: Jacobian) -> Point:
    return _affine_all([point])[0]


def _affine_all(points: list[Jacobian]) -> list[Point]:
    """Return the points (none at infinity) in affine coordinates, for the price of one inversion (Montgomery's trick)."""
    products = [1]
    for point in points:
        products.append(products[-1] * point[2] % P)
    # Fermat's inverse: MicroPython's pow(a, -1, n) silently returns 0.
    inverse = pow(products.pop(), P - 2, P)
    result = []
    for x, y, z in reversed(points):
        one = inverse * products.pop() % P
        inverse = inverse * z % P
        square = one * one % P
        result.append((x * square % P, y * square * one % P))
    result.reverse()
    return result


_comb: list[Point] = []


def _comb_table() -> list[Point]:
    """Return sums of G, 2^64·G, 2^128·G and 2^192·G for each of the 15 ways to choose among them; made once."""
    if not _comb:
        bases = [G]
        for _ in range(_COMB_BITS - 1):
            power: Jacobian = (bases[-1][0], bases[-1][1], 1)
            for _ in range(_COMB_ROWS):
                power = _double(power)
            bases.append(_affine(power))
        _comb.append((0, 0))
        for chosen in range(1, 1 << _COMB_BITS):
            total: Jacobian = _INFINITY
            for bit in range(_COMB_BITS):
                if chosen >> bit & 1:
                    total = _add(total, bases[bit])
            _comb.append(_affine(total))
    return _comb


def _multiply_base(scalar: int) -> Generator[None, None, Point]:
    table = _comb_table()
    total: Jacobian = _INFINITY
    for row in range(_COMB_ROWS - 1, -1, -1):
        if row % _YIELD_EVERY == 0:
            yield
        total = _double(total)
        column = 0
        for bit in range(_COMB_BITS):
            column |= (scalar >> (row + bit * _COMB_ROWS) & 1) << bit
        if column:
            total = _add(total, table[column])
    return _affine(total)


def _multiply_both(base_scalar: int, scalar: int, point: Point) -> Generator[None, None, Jacobian]:
    """Return base_scalar·G + scalar·point, two bits of each at a time."""
    entries: list[Jacobian] = [_INFINITY]
    for index in range(1, 16):
        entries.append(_add(entries[index - 1], G) if index & 3 else _add(entries[index - 4], point))
    # Only a public key that is a small multiple of G can make an entry vanish; nobody has such a key.
    if not all(entry[2] for entry in entries[1:]):
        return _INFINITY
    table = [G] + _affine_all(entries[1:])
    yield
    total: Jacobian = _INFINITY
    for shift in range(254, -2, -2):
        if shift % (2 * _YIELD_EVERY) == 0:
            yield
        total = _double(_double(total))
        chosen = base_scalar >> shift & 3 | (scalar >> shift & 3) << 2
        if chosen:
            total = _add(total, table[chosen])
    return total


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
    return finish(_multiply_base(private))


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
        point = yield from _multiply_base(nonce)
        r = point[0] % N
        s = pow(nonce, N - 2, N) * (int.from_bytes(digest, "big") + r * private) % N
        if r and s:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    raise LocalProtocolError("no nonce")  # the generator above never ends


def verify_steps(x: int, y: int, digest: bytes, signature: bytes) -> Generator[None, None, bool]:
    """Verify a signature (r ‖ s, 64 bytes) of a SHA-256 digest, yielding now and then."""
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not (0 < r < N and 0 < s < N and is_on_curve(x, y)):
        return False
    inverse = pow(s, N - 2, N)
    total = yield from _multiply_both(int.from_bytes(digest, "big") * inverse % N, r * inverse % N, (x, y))
    return bool(total[2]) and _affine(total)[0] % N == r


class P256Signer:
    """Signs with one private key; `sign_steps` lets a loop breathe.

    Attributes:
        kid: names the key.
    """

    def __init__(self, kid: bytes, private: int) -> None:
        self.kid = kid
        self._private = private

    def sign_steps(self, message: bytes) -> Generator[None, None, bytes]:
        return sign_steps(self._private, sha256(message))

    def sign(self, message: bytes) -> bytes:
        return finish(self.sign_steps(message))


class P256Verifier:
    """Verifies with the public keys it was given, by kid."""

    def __init__(self, keys: dict[bytes, tuple[bytes, bytes]]) -> None:
        self._keys = keys

    def verify_steps(self, kid: bytes, message: bytes, signature: bytes) -> Generator[None, None, bool]:
        if kid not in self._keys:
            raise UnknownKid("signed with a key that is not known here")
        x, y = self._keys[kid]
        return verify_steps(int.from_bytes(x, "big"), int.from_bytes(y, "big"), sha256(message), signature)

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return finish(self.verify_steps(kid, message, signature))
