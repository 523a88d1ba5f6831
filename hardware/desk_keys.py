"""The keys of a card desk: in a file that nobody else may read, or in a hardware module that never gives the masters away.

What a card is given is diversified from a master over its UID. A module does that inside (AES as a building block, PKCS #11);
only the one card's own keys come out, for as long as the card is on the reader. Keys are in no message.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from firmware.boards.crypto_cpython import Aes
from hardware.problem import Problem
from protocol.cards.desfire_issue import MASTERS, CardKeys, card_keys, following_master
from protocol.compat import hmac_sha256
from protocol.tokens import LABEL_TRANSIT, TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from protocol.cmac import AesEncryption

_TOKEN_KEY = "token_key"  # noqa: S105 - the name of a key
_MAC_MASTER = "transit_mac_master"
# A key file that is older than these has them as they follow from the one before.
_LATER = ("transit_credit_master", "transit_application_master", "transit_card_master")
_LABEL_UID = b"uid\0"
_LABEL_CHIP = b"chip\0"
_CHIP_BYTES = 8
_AES_KEY_BYTES = 16
_HMAC_KEY_BYTES = 32


class DeskKeys:
    """What a desk does with its keys.

    Args:
        generations: masters by their version, 1 to 255: of what cards are given now, and before, if cards have that yet.

    Attributes:
        version: of the masters that cards are given now.
    """

    def __init__(
        self,
        aes: AesEncryption,
        generations: Mapping[int, Mapping[str, bytes]],
        mac: Callable[[bytes], bytes],
        version: int,
    ) -> None:
        self._aes = aes
        self._generations = generations
        self._mac = mac
        self.version = version

    def knows(self, version: int) -> bool:
        """Return whether it has the masters of a generation."""
        return version in self._generations

    def of_card(self, uid: bytes, version: int | None = None) -> CardKeys:
        """Return one card's own keys, of the generation that is given now or of another one."""
        chosen = self.version if version is None else version
        return card_keys(self._aes, self._generations[chosen], uid, chosen)

    def token(self, card_number: bytes) -> bytes:
        """Return what stands for a card outside of it (`protocol.tokens.medium_token`)."""
        return self._mac(LABEL_TRANSIT + b"\0" + card_number)[:TOKEN_BYTES]

    def masked_uid(self, token: bytes, uid: bytes) -> bytes:
        """Return a UID that only clearing can read (`protocol.tokens.mask_uid`)."""
        return bytes(a ^ b for a, b in zip(uid, self._mac(_LABEL_UID + token), strict=False))

    def chip_name(self, uid: bytes) -> str:
        """Return a name by which this desk knows a chip again; it says nothing to others."""
        return self._mac(_LABEL_CHIP + uid)[:_CHIP_BYTES].hex()


def keys_from_file(path: Path) -> DeskKeys:
    """Read a key file, as `jolaqy serve` keeps it (`keys.json`): names and hexadecimal.

    Raises:
        Problem: it cannot be read, others may read it, or keys are missing.
    """
    stored = _read_private(path)
    mac_master = _key(path, stored, _MAC_MASTER, _AES_KEY_BYTES)
    following = {name: following_master(mac_master, name).hex() for name in _LATER}
    keys = {name: _key(path, following | stored, name, _AES_KEY_BYTES) for name in MASTERS}
    token_key = _key(path, stored, _TOKEN_KEY, _HMAC_KEY_BYTES)
    version = stored.get("transit_version", 1)
    generations = {version: keys}
    earlier = stored.get("transit_earlier")
    if isinstance(earlier, dict):
        rolled = {name: _key(path, earlier, name, _AES_KEY_BYTES) for name in MASTERS if name in earlier}
        generations[earlier.get("version", 0)] = keys | rolled
    return DeskKeys(Aes(), generations, lambda message: hmac_sha256(token_key, message), version)


def _read_private(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
        text = path.read_text()
    except OSError as error:
        raise Problem(
            f"the key file {path} cannot be read: {error.strerror}", "name the city's key file: --keys FILE"
        ) from None
    if status.st_mode & 0o077:
        raise Problem(f"the key file {path} can be read by others", f"run: chmod 600 {path}")
    if status.st_uid not in {0, os.geteuid()}:
        raise Problem(
            f"the key file {path} is somebody else's", "keys are used by their owner only: copy it, chmod 600"
        )
    try:
        stored = json.loads(text)
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise Problem(f"the key file {path} is damaged", "restore it from its backup")
    return stored


def _key(path: Path, stored: dict[str, Any], name: str, size: int) -> bytes:
    try:
        key = bytes.fromhex(stored[name])
    except (KeyError, TypeError, ValueError):
        key = b""
    if len(key) != size:
        raise Problem(f"the key file {path} has no {name} of {size} bytes", "it is of another kind or an older version")
    return key


class _ModuleAes:
    """AES with keys that stay in a module; a key is named by its label, a card's own key is a key in memory.

    Diversification encrypts under masters and never decrypts; everything else is done with the card's own keys.
    """

    def __init__(self, keys: Mapping[bytes, Any], mechanisms: Any) -> None:  # noqa: ANN401 - untyped
        self._keys = keys
        self._mechanisms = mechanisms

    def ecb_encrypt(self, key: bytes, data: bytes) -> bytes:
        return bytes(self._keys[key].encrypt(data, mechanism=self._mechanisms.AES_ECB))

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        return bytes(self._keys[key].encrypt(data, mechanism=self._mechanisms.AES_CBC, mechanism_param=iv))


def keys_from_module(library: Path, token_label: str, pin: str, version: int) -> DeskKeys:
    """Use the keys in a PKCS #11 module: secret keys with the labels that a key file has as names.

    Raises:
        Problem: no such module, token or key, or another PIN.
    """
    try:
        import pkcs11  # noqa: PLC0415 - only who has a module needs it
        from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415
    except ImportError:
        raise Problem("python-pkcs11 is not installed", "run: pip install 'jolaqy[bench]'") from None
    try:
        session = pkcs11.lib(str(library)).get_token(token_label=token_label).open(user_pin=pin)
        keys = {name: _module_key(session, pkcs11, name) for name in (*MASTERS, _TOKEN_KEY)}
    except PKCS11Error as error:
        # Only the kind of error is told: a library's own words may quote what it was given.
        raise Problem(
            f"the key module refuses: {type(error).__name__}", "check --pkcs11, --token and the PIN in JOLAQY_PIN"
        ) from None
    aes = _ModuleAes({name.encode(): keys[name] for name in MASTERS}, pkcs11.Mechanism)
    return DeskKeys(
        aes,
        {version: {name: name.encode() for name in MASTERS}},
        lambda message: bytes(keys[_TOKEN_KEY].sign(message, mechanism=pkcs11.Mechanism.SHA256_HMAC)),
        version,
    )


def _module_key(session: Any, pkcs11: Any, name: str) -> Any:  # noqa: ANN401 - untyped
    try:
        return session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=name)
    except pkcs11.exceptions.NoSuchKey:
        raise Problem(f"the key module has no key {name}", "import it under that label") from None
