"""A rider's phone: holds a QR ticket and renders its rotating code, at any moment, as the picture a scanner would see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import qrcode

from firmware.boards.crypto_cpython import Es256Signer, public_point
from protocol.cose import ec2_key, key_thumbprint
from protocol.qr.ticket import DAY_S, SIGNATURE_BYTES, QrTicket, day_key, show_ticket, ticket_key
from protocol.qr.ticket_signature import sign_ticket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_PIXELS_PER_MODULE = 4
_BORDER_MODULES = 4


@dataclass(frozen=True)
class PhoneTicket:
    """A ticket in a phone.

    Attributes:
        ticket_id: 8 bytes.
        city, category: numbers.
        expires_s: unix seconds.
        qr_master: from which this ticket's key of the day is made; an app would be handed the key alone.
        signature: the service's; zeros are none, and nobody at a tap looks.
    """

    ticket_id: bytes
    city: int
    category: int
    expires_s: int
    qr_master: bytes
    signature: bytes = bytes(SIGNATURE_BYTES)

    def text(self, now_s: int) -> str:
        """Return what the phone shows at that moment."""
        key = ticket_key(day_key(self.qr_master, now_s // DAY_S), self.ticket_id)
        return show_ticket(self.ticket_id, self.city, self.category, self.expires_s, key, now_s, self.signature)


def issue_ticket(
    keys: Mapping[str, bytes], audience: str, ticket_id: bytes, city: int, category: int, expires_s: int
) -> PhoneTicket:
    """Issue a ticket as the service does, with its keys."""
    private = int.from_bytes(keys["document_private"], "big")
    signer = Es256Signer(key_thumbprint(ec2_key(*public_point(private))), private)
    signature = sign_ticket(QrTicket(ticket_id, city, category, expires_s, 0), audience, signer)
    return PhoneTicket(ticket_id, city, category, expires_s, keys["qr_master"], signature)


def render(text: str) -> NDArray[np.uint8]:
    """Return a QR code as a grey picture: 0 black, 255 white."""
    code = qrcode.QRCode(
        error_correction=qrcode.constants.ERROR_CORRECT_L, box_size=_PIXELS_PER_MODULE, border=_BORDER_MODULES
    )
    code.add_data(text)
    code.make(fit=True)
    modules = np.array(code.get_matrix(), dtype=np.uint8)
    picture = np.kron(1 - modules, np.ones((_PIXELS_PER_MODULE, _PIXELS_PER_MODULE), dtype=np.uint8)) * 255
    return picture.astype(np.uint8)
