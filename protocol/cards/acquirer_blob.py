"""What the acquirer needs to authorise a ride later, encrypted for it alone.

A blob is `01 ‖ initial key id (8) ‖ counter (4) ‖ ciphertext ‖ MAC (8)`: the data objects, padded by 80 00…, under AES-CBC with
the transaction's own encryption key and a zero IV (no key is used twice), and the first half of an AES-CMAC over all before
with its MAC key. Keys are those of AES-DUKPT (`dukpt`). Neither validator nor clearing service can open it afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.dukpt import KEY_ID_BYTES, USE_ENCRYPTION, USE_MAC, working_key
from protocol.cmac import ZERO_BLOCK, aes_cmac
from protocol.compat import const, constant_time_equal
from protocol.errors import CardError

if TYPE_CHECKING:
    from protocol.cards.dukpt import KeyBlock
    from protocol.cmac import Aes

# In this order: track 2, interchange profile, name, verification results, date, type, amounts, issuer data, country, cryptogram,
# its information, capabilities, cardholder verification, counter, unpredictable number, currency, sequence number of the card.
BLOB_TAGS = (0x57, 0x82, 0x84, 0x95, 0x9A, 0x9C, 0x9F02, 0x9F03, 0x9F10, 0x9F1A, 0x9F26, 0x9F27) + (
    (0x9F33, 0x9F34, 0x9F36, 0x9F37, 0x5F2A, 0x5F34)
)
BLOB_VERSION = const(1)
_HEAD_BYTES = const(13)
_MAC_BYTES = const(8)
_BLOCK_BYTES = const(16)


def seal_blob(aes: Aes, keys: KeyBlock, objects: bytearray) -> bytes:
    """Return the blob; `objects` (encoded data objects) is padded in place, and is the caller's to overwrite."""
    counter, encryption_key, mac_key = keys.next_keys()
    objects.extend(b"\x80" + bytes(-(len(objects) + 1) % _BLOCK_BYTES))
    head = bytes((BLOB_VERSION,)) + keys.key_id + counter.to_bytes(4, "big")
    sealed = head + aes.cbc_encrypt(encryption_key, ZERO_BLOCK, objects)  # type: ignore[arg-type] # any buffer
    return sealed + aes_cmac(aes, mac_key, sealed)[:_MAC_BYTES]


def key_id_of(blob: bytes) -> bytes:
    """Return the initial key id that a blob names, for whoever has to find the base key."""
    return blob[1 : 1 + KEY_ID_BYTES]


def open_blob(aes: Aes, initial_key: bytes, blob: bytes) -> bytes:
    """Return the data objects, encoded: the acquirer's half.

    Raises:
        CardError: it was not sealed with that key, or was changed.
    """
    if len(blob) < _HEAD_BYTES + _BLOCK_BYTES + _MAC_BYTES or blob[0] != BLOB_VERSION:
        raise CardError("not an acquirer's blob")
    key_id, counter = key_id_of(blob), int.from_bytes(blob[9:_HEAD_BYTES], "big")
    sealed, mac = blob[:-_MAC_BYTES], blob[-_MAC_BYTES:]
    mac_key = working_key(aes, initial_key, key_id, counter, USE_MAC)
    if not constant_time_equal(aes_cmac(aes, mac_key, sealed)[:_MAC_BYTES], mac):
        raise CardError("an acquirer's blob was changed, or is another terminal's")
    key = working_key(aes, initial_key, key_id, counter, USE_ENCRYPTION)
    padded = aes.cbc_decrypt(key, ZERO_BLOCK, sealed[_HEAD_BYTES:])
    return padded[: padded.rindex(b"\x80")]
