"""The audit log's hash chain. Pure.

Each record's hash covers the hash before it and every field, each with its length before it, so that no two different
records have the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GENESIS = hashlib.sha256(b"Jolaqy audit log").digest()


@dataclass(frozen=True)
class Line:
    """What is said in one record of the log; `detail_json` is canonical JSON."""

    at_ms: int
    principal_id: str
    action: str
    subject: str
    detail_json: str


def canonical_json(value: Mapping[str, object]) -> str:
    """JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def next_hash(previous: bytes, line: Line) -> bytes:
    """The hash of a record that follows the record with hash `previous`."""
    hasher = hashlib.sha256(previous)
    for field in (str(line.at_ms), line.principal_id, line.action, line.subject, line.detail_json):
        data = field.encode()
        hasher.update(len(data).to_bytes(8, "big") + data)
    return hasher.digest()


def chain_faults(records: Sequence[tuple[Line, bytes, bytes]]) -> list[str]:
    """Every fault in a log of (line, previous hash, hash), oldest first."""
    faults = []
    expected = GENESIS
    for number, (line, previous, own) in enumerate(records, 1):
        if previous != expected:
            faults.append(f"record {number}: does not follow the one before it")
        if next_hash(previous, line) != own:
            faults.append(f"record {number}: was changed")
        expected = own
    return faults
