"""The grammar, by an independent validator: it takes what we write and refuses what we refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pycddl import Schema, ValidationError

from protocol import cbor, cose
from tests.vectors.load import load

_GRAMMAR = Path(cbor.__file__).with_name("tapsync.cddl").read_text()
_VECTORS: dict[str, dict[str, str]] = load("wire")
_RULES = {
    "enrolment": "enrolment",
    "enrolled": "enrolled",
    "batch": "batch",
    "heartbeat": "batch",
    "ack": "ack",
    "error": "error",
    "fare-table": "fare-table",
    "fare-table rules": "fare-table",
    "list": "list",
    "list allow": "list",
    "list part": "list",
    "list-delta": "list-delta",
    "card-authorities": "card-authorities",
    "key-set": "key-set",
    "key-set next": "key-set",
    "rotation": "rotation",
    "retirement": "retirement",
    "key-bundle": "key-bundle",
    "shared key-bundle": "key-bundle",
    "top-up-request": "top-up-request",
    "top-up-command": "top-up-command",
    "enrolled with key set": "enrolled",
    "shared enrolment": "enrolment",
    "shared enrolled": "enrolled",
    "shared batch": "batch",
    "shared ack": "ack",
    "shared rotation": "rotation",
    "shared retirement": "retirement",
} | {name: "record" for name in _VECTORS if name.startswith("record ")}
_ENVELOPES = {
    "COSE_Sign1": ("sign1", "protected"),
    "COSE_Mac0": ("mac0", "mac-protected"),
    "COSE_Sign": ("sign", "sign-protected"),
}


def _schema(rule: str) -> Schema:
    """The grammar with another start."""
    lines = _GRAMMAR.splitlines()
    return Schema("\n".join(f"start = {rule}" if line.startswith("start = ") else line for line in lines))


def _payload(name: str) -> bytes:
    vector = _VECTORS[name]
    return bytes.fromhex(vector["record"] if "record" in vector else vector["payload"])


@pytest.mark.parametrize("name", _RULES)
def test_the_grammar_takes_what_we_write(name: str) -> None:
    _schema(_RULES[name]).validate_cbor(_payload(name))


@pytest.mark.parametrize("name", [name for name in _VECTORS if "message" in _VECTORS[name]])
def test_the_grammar_takes_our_envelopes(name: str) -> None:
    message = bytes.fromhex(_VECTORS[name]["message"])
    rule, header = _ENVELOPES[_VECTORS[name].get("form", "COSE_Sign1")]
    _schema(rule).validate_cbor(message)
    protected, _, _, proof = cbor.decode(message)
    _schema(header).validate_cbor(protected)
    for part in proof if rule == "sign" else ():
        _schema("signature-protected").validate_cbor(part[0])
    _schema("external-aad").validate_cbor(cose.external_aad(_VECTORS[name]["audience"]))
    for other in {each for each, _ in _ENVELOPES.values()} - {rule}:
        with pytest.raises(ValidationError):
            _schema(other).validate_cbor(message)


def test_every_vector_with_a_payload_is_held_against_the_grammar() -> None:
    assert set(_RULES) == {name for name, vector in _VECTORS.items() if "payload" in vector or "record" in vector}


@pytest.mark.parametrize("name", _RULES)
def test_the_grammar_knows_every_key_and_no_other(name: str) -> None:
    schema = _schema(_RULES[name])
    fields: dict[int, Any] = cbor.decode(_payload(name))
    counts = {
        "record": 7,
        "batch": 12,
        "ack": 9,
        "error": 0,
        "enrolled": 9,
        "list": 6,
        "fare-table": 6,
        "top-up-request": 7,
    }
    required = set(range(counts.get(_RULES[name], len(fields))))
    if _RULES[name] == "key-bundle":
        required = {0, 1, 2, 3, 5}
    for key in required:
        with pytest.raises(ValidationError):
            schema.validate_cbor(cbor.encode({each: value for each, value in fields.items() if each != key}))
    with pytest.raises(ValidationError):
        schema.validate_cbor(cbor.encode(fields | {24: 0}))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("record cash", 1, 0),
        ("record cash", 3, 4),
        ("record cash", 6, 16),
        ("record cash", 7, 8),
        ("record intent", 8, [1, bytes(15)]),
        ("record outcome", 10, bytes(3)),
        ("batch", 1, bytes(15)),
        ("batch", 4, 257),
        ("batch", 7, [bytes(493)]),
        ("ack", 7, 1000),
        ("ack", 10, 0),
        ("enrolment", 4, 4),
        ("enrolled", 6, bytes(191)),
        ("fare-table", 5, {1: {1: -1}}),
        ("fare-table rules", 6, {1: [60]}),
        ("fare-table rules", 6, {6: 3}),
        ("fare-table rules", 6, {9: [[1, 2, 17]]}),
        ("fare-table rules", 6, {9: [[1, 2]]}),
        ("list", 4, 3001),
        ("list", 1, 4),
        ("list part", 6, 0),
        ("list part", 6, 401),
        ("list part", 7, 1),
        ("card-authorities", 1, 0),
        ("card-authorities", 3, []),
        ("card-authorities", 3, [[bytes(5), 1, bytes(249), 3, bytes(2)]]),
        ("card-authorities", 3, [[bytes(5), 1, bytes(64), 5, bytes(2)]]),
        ("card-authorities", 4, bytes(1801)),
        ("list-delta", 3, 0),
        ("list-delta", 4, bytes(31)),
        ("list-delta", 5, bytes(8001)),
        ("key-set", 1, 0),
        ("key-set", 3, []),
        ("key-set", 3, [[bytes(8), bytes(75), 0]]),
        ("key-set", 4, 0),
        ("key-set", 4, 9),
        ("enrolled", 9, b""),
        ("rotation", 3, {1: 4, 2: bytes(7)}),
        ("retirement", 3, 1 << 40),
        ("key-bundle", 4, {1: 4, 2: bytes(8)}),
        ("key-bundle", 5, bytes(184)),
        ("key-bundle", 5, bytes(231)),
        ("top-up-request", 4, bytes(8)),
        ("top-up-request", 7, 0),
        ("top-up-command", 6, 0),
        ("top-up-command", 6, 1 << 31),
        ("top-up-command", 10, bytes(16)),
    ],
)
def test_the_grammar_has_the_limits_of_the_code(name: str, key: int, value: object) -> None:
    fields = cbor.decode(_payload(name)) | {key: value}
    with pytest.raises(ValidationError):
        _schema(_RULES[name]).validate_cbor(cbor.encode(fields))
