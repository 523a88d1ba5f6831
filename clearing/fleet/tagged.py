"""Documents for validators of profile 3: the same content, with a tag by the key that the validator shares with us."""

from __future__ import annotations

from sqlalchemy.orm import Session

from clearing.fleet.keys import DOCUMENTS, KeyStore, verify_es256
from clearing.fleet.service import GONE, UnattributedError, find_key, shared_key
from protocol.cose import external_aad, parse, signature_input
from protocol.cose_mac import mac0


def tag_document(session: Session, keys: KeyStore, body: bytes, kid: str) -> bytes | None:
    """A signed document of ours with a tag instead; nothing for a key that shares no secret, or a document of another city."""
    try:
        key, validator = find_key(session, bytes.fromhex(kid))
    except (UnattributedError, ValueError):
        return None
    shared = shared_key(keys, key)
    if shared is None or key.revoked_at_ms is not None or validator.status in GONE:
        return None
    keys.reload()
    parsed = parse(body)
    structure = signature_input(parsed.protected, external_aad(validator.city), parsed.payload)
    if not any(verify_es256(each.x, each.y, structure, parsed.signature) for each in keys.signers(DOCUMENTS)):
        return None
    return mac0(parsed.payload, parsed.typ, validator.city, shared)
