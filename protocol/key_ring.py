"""A key set as a device holds it, apart from `keyset`, which reads and checks one: a device needs that part only seldom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Point = tuple[bytes, bytes]


class KeySet:
    """Public keys and their roles.

    Attributes:
        number: one more than that of the set before.
        expires_s: unix seconds; from then on only its roots count, and for nothing but the next set.
        keys: by kid: the point and the roles, a sum of `ROLE_…`.
        root_threshold: how many roots must sign.
    """

    __slots__ = ("expires_s", "keys", "number", "root_threshold")

    def __init__(self, number: int, expires_s: int, keys: dict[bytes, tuple[Point, int]], root_threshold: int) -> None:
        self.number = number
        self.expires_s = expires_s
        self.keys = keys
        self.root_threshold = root_threshold

    def points(self, role: int) -> dict[bytes, Point]:
        """Return the keys that may play a role, by kid, as a verifier is made of them."""
        return {kid: point for kid, (point, roles) in self.keys.items() if roles & role}

    def may(self, kid: bytes, role: int) -> bool:
        """Return whether the key of that name may play the role."""
        return kid in self.keys and bool(self.keys[kid][1] & role)

    def is_valid_at(self, unix_s: int) -> bool:
        return unix_s < self.expires_s
