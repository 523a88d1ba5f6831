"""Seeds from the vectors: messages, payloads, records and codes by name, and published examples."""

from __future__ import annotations

from tests.vectors.load import load


def payloads(*names: str) -> list[bytes]:
    """Return the payloads of wire vectors."""
    wire = load("wire")
    return [bytes.fromhex(wire[name]["payload"]) for name in names]


def messages(*names: str) -> list[bytes]:
    """Return the envelopes of wire vectors."""
    wire = load("wire")
    return [bytes.fromhex(wire[name]["message"]) for name in names]


def messages_of(form: str) -> list[bytes]:
    """Return all envelopes of one kind of COSE; those without a form are COSE_Sign1."""
    vectors = load("wire").values()
    return [bytes.fromhex(each["message"]) for each in vectors if "message" in each and each.get("form", "") == form]


def records() -> list[bytes]:
    return [bytes.fromhex(vector["record"]) for vector in load("wire").values() if "record" in vector]


def everything_encoded() -> list[bytes]:
    """Return every piece of CBOR that stands in the vectors: ours, and appendix A of RFC 8949."""
    ours = [
        bytes.fromhex(vector[key])
        for vector in load("wire").values()
        for key in ("payload", "message", "record")
        if key in vector
    ]
    published = load("rfc8949")
    accepted = [each["encoded"] for each in published["in_profile"]]
    return ours + [bytes.fromhex(text) for text in accepted + published["refused"]]
