"""The city's keys, and ES256 and AES over the `cryptography` library.

`keys.json` in the installation's folder holds them, readable by its owner only, made when missing. It stands in
for a security module: whoever reads it can sign acks and make cards. The roots, which say what these keys may sign, are
kept apart, in `roots.json`: it may lie in a safe except when keys are rotated or a key set is renewed. No key appears in a
message, a log or a `repr`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256

from clearing.fleet.key_file import damaged, read_private, replace, write_once
from protocol.cards.desfire_issue import following_master
from protocol.compat import hmac_sha256
from protocol.cose import ec2_key, key_thumbprint

_AES_KEY_BYTES = 16
_HMAC_KEY_BYTES = 32
_COORDINATE_BYTES = 32
ACK = "ack"
DOCUMENTS = "documents"
_ROOTS = 3
_ROOTS_THAT_SIGN = 2
_NEWEST = {ACK: "ack_private", DOCUMENTS: "document_private"}
_EARLIER = {ACK: "ack_earlier", DOCUMENTS: "document_earlier"}
_ES256 = ec.ECDSA(SHA256(), deterministic_signing=True)  # RFC 6979: the same message has the same signature


def _new_private() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(_COORDINATE_BYTES, "big")


_MAKERS: dict[str, Callable[[], bytes]] = {
    "transit_read_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_debit_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_mac_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_credit_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_application_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_card_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "token_key": lambda: secrets.token_bytes(_HMAC_KEY_BYTES),
    "qr_master": lambda: secrets.token_bytes(_HMAC_KEY_BYTES),
    "phone_token_key": lambda: secrets.token_bytes(_HMAC_KEY_BYTES),
    "ack_private": _new_private,
    "document_private": _new_private,
}

# Keys that an installation's file may lack: it is older than they are, and they follow from what it holds.
_LATER = ("transit_credit_master", "transit_application_master", "transit_card_master")
# What a city rolls over; the transaction MAC key of a card stays with it for its life.
ROLLED = ("transit_application_master", "transit_read_master", "transit_debit_master", "transit_credit_master")
_TRANSIT_VERSION_MAX = 255


class Es256Signer:
    """Signs with a private key (RFC 9053 §2.1: r and s, 32 bytes each).

    Attributes:
        x, y: the public point.
        kid: thumbprint of the public key, 8 bytes.
    """

    def __init__(self, private: bytes) -> None:
        self._key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        self.x = point.x.to_bytes(_COORDINATE_BYTES, "big")
        self.y = point.y.to_bytes(_COORDINATE_BYTES, "big")
        self.kid = key_thumbprint(self.public_key())

    def public_key(self) -> dict[int, int | bytes]:
        """The public half as a COSE_Key."""
        return ec2_key(self.x, self.y)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


@lru_cache(maxsize=8192)
def _public_key(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    return numbers.public_key()


def verify_es256(x: bytes, y: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a 64-byte signature of the message is the key's; a point off the curve signs nothing."""
    if len(signature) != 2 * _COORDINATE_BYTES:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
    try:
        _public_key(x, y).verify(encode_dss_signature(r, s), message, _ES256)
    except (InvalidSignature, ValueError):
        return False
    return True


class OneKeyVerifier:
    """Knows one public key, by its kid, as the protocol's `verify1` asks for it."""

    def __init__(self, kid: bytes, x: bytes, y: bytes) -> None:
        self.kid = kid
        self._x = x
        self._y = y

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return kid == self.kid and verify_es256(self._x, self._y, message, signature)


class Aes:
    """AES as the protocol asks for it."""

    def ecb_encrypt(self, key: bytes, data: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - a single block of RFC 3394
        return encryptor.update(data) + encryptor.finalize()

    def ecb_decrypt(self, key: bytes, data: bytes) -> bytes:
        decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - a single block of RFC 3394
        return decryptor.update(data) + decryptor.finalize()

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()


class Roots:
    """The root keys.

    Attributes:
        signers: all that are held here.
        threshold: how many must sign a key set.
    """

    def __init__(self, privates: Sequence[bytes], threshold: int) -> None:
        self.signers = [Es256Signer(private) for private in privates]
        self.threshold = threshold


class KeyStore:
    """The keys of one installation.

    Attributes:
        version: of the token key; it travels with every token.
        ack, documents: newest signers of acks and of what is sent to buses.
        roots: sign key sets; absent where an installation has none.
        transit_read_master, transit_debit_master: AES-128, from which each card's own keys are derived.
        transit_credit_master: AES-128; loads money, and leaves the back office for one card and one moment only.
        transit_application_master, transit_card_master: AES-128; a card desk issues cards with them.
        transit_mac_master: AES-128; checks a card's transaction MAC and never leaves the back office.
        transit_version: generation of the first four, 1 to 255.
        transit_earlier: (generation, masters by name) of the one before, while cards with it are about.
        token_key, phone_token_key, qr_master: HMAC keys.
        sealing_key: AES-256; what is secret in the database is encrypted under it.
        close_key: HMAC key; the salts of what a close stands on follow from it, so that nobody finds a tap by trying.
        channel_master: HMAC key from which the secrets that senders of channels share with us follow.
    """

    def __init__(
        self,
        version: int,
        secret: Mapping[str, bytes],
        roots: Roots | None = None,
        earlier: Mapping[str, Sequence[bytes]] | None = None,
        path: Path | None = None,
    ) -> None:
        self.version = version
        self.roots = roots
        self._path = path
        self._take_signers(secret, earlier or {})
        self.transit_mac_master = secret["transit_mac_master"]
        self.transit_card_master = secret.get("transit_card_master") or self._follows("transit_card_master")
        self.transit_version = 1
        self.transit_earlier: tuple[int, dict[str, bytes]] | None = None
        self._take_transit(secret)
        self.token_key = secret["token_key"]
        self.phone_token_key = secret["phone_token_key"]
        self.qr_master = secret["qr_master"]
        self.sealing_key = hmac_sha256(self.transit_mac_master, b"JOLAQY sealing key")
        self.close_key = hmac_sha256(self.transit_mac_master, b"JOLAQY close key")
        self.channel_master = hmac_sha256(self.transit_mac_master, b"JOLAQY channel master")

    def _follows(self, name: str) -> bytes:
        """A key that an older file lacks; every process that opens the file finds the same."""
        return following_master(self.transit_mac_master, name)

    def _take_transit(self, secret: Mapping[str, bytes]) -> None:
        (
            self.transit_application_master,
            self.transit_read_master,
            self.transit_debit_master,
            self.transit_credit_master,
        ) = (secret.get(name) or self._follows(name) for name in ROLLED)

    def transit_masters(self) -> dict[str, bytes]:
        """All masters of transport cards by name, of the newest generation: what a card desk is handed."""
        names = (*ROLLED, "transit_card_master", "transit_mac_master")
        return {name: getattr(self, name) for name in names}

    def roll_transit_keys(self) -> None:
        """Make a new generation of transit keys; cards of the one before are still served, until it is forgotten."""
        assert self._path is not None, "keys that are in no file cannot be rolled over"
        stored = read_private(self._path)
        masters = self.transit_masters()
        stored["transit_earlier"] = {name: masters[name].hex() for name in ROLLED} | {"version": self.transit_version}
        stored["transit_version"] = self.transit_version % _TRANSIT_VERSION_MAX + 1
        stored |= {name: _MAKERS[name]().hex() for name in ROLLED}
        replace(self._path, stored)
        self.reload()

    def forget_transit_keys(self) -> None:
        """Destroy the generation before: no card has it any more."""
        assert self._path is not None, "keys that are in no file cannot be forgotten"
        stored = read_private(self._path)
        stored.pop("transit_earlier", None)
        replace(self._path, stored)
        self.reload()

    def take_stored_transit(self, stored: Mapping[str, Any]) -> None:
        """Take the transit keys as a key file has them, of one generation or two."""
        self._take_transit({name: bytes.fromhex(stored[name]) for name in ROLLED if name in stored})
        self.transit_version = int(stored.get("transit_version", 1))
        earlier = stored.get("transit_earlier")
        if earlier is None:
            self.transit_earlier = None
        else:
            masters = {name: bytes.fromhex(earlier[name]) for name in ROLLED}
            self.transit_earlier = (int(earlier["version"]), masters)

    def _take_signers(self, secret: Mapping[str, bytes], earlier: Mapping[str, Sequence[bytes]]) -> None:
        self.ack = Es256Signer(secret["ack_private"])
        self.documents = Es256Signer(secret["document_private"])
        self._earlier = {purpose: [Es256Signer(each) for each in earlier.get(purpose, ())] for purpose in _NEWEST}

    def signers(self, purpose: str) -> list[Es256Signer]:
        """The signers of a purpose (`ACK` or `DOCUMENTS`) that are still held, newest first."""
        newest = self.ack if purpose == ACK else self.documents
        return [newest, *self._earlier[purpose]]

    def ack_signer(self, kid: bytes | None) -> Es256Signer:
        """The ack key of that name; the newest where none is named or it is not held any more."""
        return next((signer for signer in self.signers(ACK) if signer.kid == kid), self.ack)

    def reload(self) -> None:
        """Read the signers again: another process may have rotated them."""
        if self._path is not None:
            stored = read_private(self._path)
            self._take_signers(*_signing_part(self._path, stored))
            self.take_stored_transit(stored)

    def make_roots(self) -> None:
        """Make the roots of an installation that never had any."""
        if self._path is not None and self.roots is None:
            _make_roots(_roots_path(self._path))
            self.roots = _open_roots(_roots_path(self._path))

    def rotate(self, purpose: str, *, forget: bool = False) -> None:
        """Make a new signer of a purpose; the ones before are kept, since validators know no other yet, or forgotten."""
        self._change_file(purpose, lambda _: not forget, is_new=True)

    def forget(self, purpose: str, kids: Sequence[bytes]) -> None:
        """Destroy earlier signers that no validator needs any more."""
        self._change_file(purpose, lambda signer: signer.kid not in kids, is_new=False)

    def _change_file(self, purpose: str, keeps: Callable[[Es256Signer], bool], *, is_new: bool) -> None:
        assert self._path is not None, "keys that are in no file cannot be rotated"
        stored = read_private(self._path)
        earlier = list(stored.get(_EARLIER[purpose], ()))
        if is_new:
            earlier.insert(0, stored[_NEWEST[purpose]])
            stored[_NEWEST[purpose]] = _new_private().hex()
        stored[_EARLIER[purpose]] = [each for each in earlier if keeps(Es256Signer(bytes.fromhex(each)))]
        replace(self._path, stored)
        self._take_signers(*_signing_part(self._path, stored))


def _signing_part(path: Path, stored: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, list[bytes]]]:
    try:
        secret = {name: bytes.fromhex(stored[name]) for name in _NEWEST.values()}
        earlier = {purpose: [bytes.fromhex(each) for each in stored.get(_EARLIER[purpose], ())] for purpose in _NEWEST}
    except (ValueError, KeyError, TypeError):
        raise damaged(path) from None
    return secret, earlier


def open_keys(path: Path) -> KeyStore:
    """Read the key file, and that of the roots where there is one; a new installation gets both.

    Raises:
        KeysError: others may read it, or it is damaged.
    """
    if not path.exists():
        write_once(path, {"key_version": 1} | {name: make().hex() for name, make in _MAKERS.items()})
        _make_roots(_roots_path(path))
    stored = read_private(path)
    try:
        secret = {name: bytes.fromhex(stored[name]) for name in _MAKERS if name in stored or name not in _LATER}
        _, earlier = _signing_part(path, stored)
        store = KeyStore(int(stored["key_version"]), secret, _open_roots(_roots_path(path)), earlier, path)
        store.take_stored_transit(stored)
    except (ValueError, KeyError, TypeError):
        # Not chained: the original error could quote the file.
        raise damaged(path) from None
    return store


def _roots_path(path: Path) -> Path:
    return path.with_name("roots.json")


def _make_roots(path: Path) -> None:
    write_once(path, {"threshold": _ROOTS_THAT_SIGN, "roots": [_new_private().hex() for _ in range(_ROOTS)]})


def _open_roots(path: Path) -> Roots | None:
    if not path.exists():
        return None
    stored = read_private(path)
    try:
        return Roots([bytes.fromhex(each) for each in stored["roots"]], int(stored["threshold"]))
    except (ValueError, KeyError, TypeError):
        raise damaged(path) from None
