"""The Merkle tree of RFC 6962 §2.1 over SHA-256: its root, a proof that a leaf is in it, and how that is verified. Pure.

A leaf hash is `SHA-256(0x00 || leaf)`, a node `SHA-256(0x01 || left || right)`; a tree of more than one leaf is divided at the
largest power of two below its size. The root of millions of leaves is made in one pass that remembers some twenty hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class RootMaker:
    """Makes a root from leaf hashes as they come.

    Attributes:
        size: leaves so far.
    """

    def __init__(self) -> None:
        self.size = 0
        # Roots of full trees, largest first: one for each bit of the size.
        self._full: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Take the hash of the next leaf."""
        full, size = self._full, self.size
        while size & 1:
            leaf = sha256(b"\x01" + full.pop() + leaf).digest()
            size >>= 1
        full.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._full:
            return EMPTY
        *others, root = self._full
        for left in reversed(others):
            root = node_hash(left, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    maker = RootMaker()
    for leaf in leaves:
        maker.add(leaf)
    return maker.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf among leaf hashes, from the leaf upwards (RFC 6962 §2.1.1)."""
    assert 0 <= index < len(leaves)
    path: list[bytes] = []
    while len(leaves) > 1:
        left_size = 1 << (len(leaves) - 1).bit_length() - 1
        if index < left_size:
            path.append(root_of(leaves[left_size:]))
            leaves = leaves[:left_size]
        else:
            path.append(root_of(leaves[:left_size]))
            leaves, index = leaves[left_size:], index - left_size
    path.reverse()
    return path


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether an audit path proves that the leaf hash stands at that place of the tree (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, hashed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            hashed = node_hash(sibling, hashed)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and hashed == root
