"""Limits on everything that comes from outside."""

from __future__ import annotations

from protocol.compat import const

MESSAGE_BYTES_MAX = const(32768)
BATCH_RECORDS_MAX = const(256)
DEPTH_MAX = const(4)
RECORD_BYTES_MAX = const(492)
SEQUENCE_MAX = const(0xFFFFFFFFFF)
ITEMS_MAX = const(1024)
DENY_LIST_ENTRIES_MAX = const(1500)
