"""Limits on everything that comes from outside."""

from __future__ import annotations

from protocol.compat import const

MESSAGE_BYTES_MAX = const(32768)
BATCH_RECORDS_MAX = const(256)
DEPTH_MAX = const(4)
RECORD_BYTES_MAX = const(492)
SEQUENCE_MAX = const(0xFFFFFFFFFF)
ITEMS_MAX = const(1024)
TEXT_BYTES_MAX = const(255)
ZONE_RANGES_MAX = const(64)
LIST_ENTRY_BYTES = const(8)
LIST_PART_ENTRIES_MAX = const(3000)
LIST_PARTS_MAX = const(400)
LIST_ENTRIES_MAX = const(1200000)
LIST_DELTA_ENTRIES_MAX = const(1000)
SIGNATURES_MAX = const(16)
KEY_SET_BYTES_MAX = const(4096)
CARD_AUTHORITIES_MAX = const(24)
CARD_REVOCATIONS_MAX = const(200)
KEY_SET_KEYS_MAX = const(16)
KEY_SET_ROOTS_MAX = const(8)
