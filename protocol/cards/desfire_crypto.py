"""Keys, MACs and vectors of DESFire EV2 secure messaging (NXP AN12343, AN10922; data sheet MF2DLHX0). AES is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cmac import Cmac, aes_cmac

if TYPE_CHECKING:
    from protocol.cmac import Aes, AesEncryption

_SESSION_ENC = b"\xa5\x5a\x00\x01\x00\x80"
_SESSION_MAC = b"\x5a\xa5\x00\x01\x00\x80"
_TRANSACTION_MAC = b"\x5a\x00\x01\x00\x80"
_TRANSACTION_ENC = b"\xa5\x00\x01\x00\x80"
_DIVERSIFY_AES128 = b"\x01"


def shortened(mac: bytes) -> bytes:
    """Return the 8 bytes of a CMAC that are sent: every second one."""
    return bytes((mac[1], mac[3], mac[5], mac[7], mac[9], mac[11], mac[13], mac[15]))


def short_mac(aes: Aes, key: bytes, message: bytes) -> bytes:
    """Return the 8-byte MAC of secure messaging."""
    return shortened(aes_cmac(aes, key, message))


def diversify(aes: AesEncryption, master: bytes, material: bytes) -> bytes:
    """Return a card's own AES-128 key (AN10922 section 2.2): `material` is UID, application and system, 1 to 31 bytes."""
    assert 1 <= len(material) <= 31
    return aes_cmac(aes, master, _DIVERSIFY_AES128 + material, padded_bytes=32)


def session_keys(aes: Aes, key: bytes, random_a: bytes, random_b: bytes) -> tuple[bytes, bytes]:
    """Return encryption and MAC key of a session from the two random numbers."""
    mixed = int.from_bytes(random_a[2:8], "big") ^ int.from_bytes(random_b[:6], "big")
    context = random_a[:2] + mixed.to_bytes(6, "big") + random_b[6:] + random_a[8:]
    cmac = Cmac(aes, key)
    return cmac.digest(_SESSION_ENC + context), cmac.digest(_SESSION_MAC + context)


def command_vector(aes: Aes, key: bytes, transaction: bytes, counter: int) -> bytes:
    """Return the vector that a command's data is encrypted with."""
    return aes.ecb_encrypt(key, b"\xa5\x5a" + transaction + counter.to_bytes(2, "little") + bytes(8))


def response_vector(aes: Aes, key: bytes, transaction: bytes, counter: int) -> bytes:
    """Return the vector that a response's data is encrypted with; `counter` is the one after the command."""
    return aes.ecb_encrypt(key, b"\x5a\xa5" + transaction + counter.to_bytes(2, "little") + bytes(8))


def transaction_mac_key(aes: Aes, key: bytes, counter_after: int, uid: bytes) -> bytes:
    """Return the MAC key of a transaction MAC: `counter_after` is the card's counter once it has committed."""
    return aes_cmac(aes, key, _TRANSACTION_MAC + counter_after.to_bytes(4, "little") + uid)


def reader_id_key(aes: Aes, key: bytes, counter_after: int, uid: bytes) -> bytes:
    """Return the key that a card enciphers the id of the reader before with, where readers leave one; ours leave an event."""
    return aes_cmac(aes, key, _TRANSACTION_ENC + counter_after.to_bytes(4, "little") + uid)


def pad(data: bytes) -> bytes:
    """Pad to whole blocks (ISO/IEC 9797-1 method 2)."""
    return data + b"\x80" + bytes(15 - len(data) % 16)
