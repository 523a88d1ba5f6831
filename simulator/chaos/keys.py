"""The service's keys in a simulated world: in no file, and the same for the same world, those of tomorrow included."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from clearing.fleet.keys import ACK, DOCUMENTS, Es256Signer, KeyStore, Roots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROOTS = 3
_ROOTS_THAT_SIGN = 2


def derive_private(name: str) -> bytes:
    """Return a private key that protects nothing."""
    digest = hashlib.sha256(f"jolaqy chaos {name}".encode()).digest()
    # Without its first bit, it is below the order of P-256.
    return bytes((digest[0] & 0x7F,)) + digest[1:]


def derive_roots(whose: str) -> Roots:
    return Roots([derive_private(f"{whose} root {number}") for number in range(_ROOTS)], _ROOTS_THAT_SIGN)


class ChaosKeys(KeyStore):
    """A key store that makes the same new keys in the same order."""

    def __init__(self, secret: Mapping[str, bytes]) -> None:
        super().__init__(1, secret, derive_roots("city"))
        self._privates = {ACK: [secret["ack_private"]], DOCUMENTS: [secret["document_private"]]}
        self._made = 0

    def _change_file(self, purpose: str, keeps: Callable[[Es256Signer], bool], *, is_new: bool) -> None:
        privates = self._privates[purpose]
        kept = [
            private for private in privates if keeps(Es256Signer(private)) or (private is privates[0] and not is_new)
        ]
        if is_new:
            self._made += 1
            kept.insert(0, derive_private(f"{purpose} {self._made}"))
        self._privates[purpose] = kept
        newest = {"ack_private": self._privates[ACK][0], "document_private": self._privates[DOCUMENTS][0]}
        self._take_signers(newest, {name: held[1:] for name, held in self._privates.items()})
