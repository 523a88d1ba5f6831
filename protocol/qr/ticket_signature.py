"""The service's signature of a ticket, for whoever holds its public keys only: an inspector, an app, another carrier.

It is that of a COSE_Sign1 with typ "ticket" whose header and payload the code does not repeat: the payload is the encoding of
keys 0 to 4. A validator does not check it: in Python that takes a good part of a second, and the code has proved more by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cose import KID_BYTES, external_aad, protect, signature_input

if TYPE_CHECKING:
    from protocol.cose import Signer, Verifier
    from protocol.qr.ticket import QrTicket

_TYP_TICKET = "ticket"


def _signed_bytes(ticket: QrTicket, audience: str, kid: bytes) -> bytes:
    fields = ticket.fields()
    payload = cbor.encode({key: fields[key] for key in range(5)})
    return signature_input(protect(kid, _TYP_TICKET), external_aad(audience), payload)


def sign_ticket(ticket: QrTicket, audience: str, signer: Signer) -> bytes:
    """Return what a ticket carries as key 7, 72 bytes; its step and code do not matter."""
    return signer.kid + signer.sign(_signed_bytes(ticket, audience, signer.kid))


def is_signed(ticket: QrTicket, audience: str, verifier: Verifier) -> bool:
    """Return whether the service has issued this ticket; it says nothing of who shows it.

    Args:
        ticket: as it was read.
        audience: the city's code.
        verifier: of keys that may sign tickets, and of no others.

    Raises:
        UnknownKid: signed with a key that the verifier has not.
    """
    kid, signature = ticket.signature[:KID_BYTES], ticket.signature[KID_BYTES:]
    return verifier.verify(kid, _signed_bytes(ticket, audience, kid), signature)
