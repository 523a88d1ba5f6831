"""Everything that stands in `wire.json`: one message of each kind and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ack, enrolment
from protocol.cose import TYP_ENROLLED, sign1
from tests.vectors.wire_keys import make_authenticated, make_first_key_set, make_signed_by_several
from tests.vectors.wire_messages import (
    AUDIENCE,
    SERVICE_PRIVATE,
    make_enrolled,
    make_invitation,
    make_key_bundle,
    make_payloads,
    make_records,
    make_signer,
)

if TYPE_CHECKING:
    from protocol.cmac import Aes


def make_all(aes: Aes) -> dict[str, dict[str, str]]:
    """Return everything, as it stands in `wire.json`."""
    written = {"invitation": {"text": enrolment.print_invitation(make_invitation())}}
    for name, record in make_records().items():
        written["record " + name] = {"record": record.hex()}
    payloads = make_payloads(aes)
    enrolled = make_enrolled(aes)
    enrolled.key_set = make_first_key_set()
    with_key_set = enrolment.encode_enrolled(enrolled)
    payloads["enrolled with key set"] = (with_key_set, TYP_ENROLLED, AUDIENCE, make_signer(SERVICE_PRIVATE))
    for name, (payload, typ, audience, signer) in payloads.items():
        message = sign1(payload, typ, audience, signer)
        written[name] = {"typ": typ, "audience": audience, "payload": payload.hex(), "message": message.hex()}
    written.update(make_signed_by_several())
    written.update(make_authenticated(aes))
    written["error"] = {"payload": ack.encode_error(ack.ErrorAnswer(ack.STATUS_BUSY, 30)).hex()}
    written["key bundle"] = {"plain": make_key_bundle().encode().hex()}
    return written
