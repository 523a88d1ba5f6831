"""The label that is stuck inside a vehicle: a link with the vehicle's code and a short check (SPEC.md "Vehicle label").

Upper case and few signs, so that a QR code holds it in alphanumeric mode. The check is the service's; it tells a code that was
printed by the service from one that was invented or misread, and not a label from its copy.
"""

from __future__ import annotations

from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.errors import QrError

SCHEME = "JOLAQY://"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ALLOWED = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
_CHECK_CHARACTERS = const(6)
_PART_CHARACTERS_MAX = const(32)


class VehicleLabel:
    """What a label says.

    Attributes:
        city: its code, lower case.
        vehicle: the code painted on the vehicle.
        check: 6 characters.
    """

    __slots__ = ("check", "city", "vehicle")

    def __init__(self, city: str, vehicle: str, check: str) -> None:
        self.city = city
        self.vehicle = vehicle
        self.check = check


def label_check(qr_master: bytes, city: str, vehicle: str) -> str:
    """Return the check of a vehicle's label, 6 characters of Crockford's base 32."""
    number = int.from_bytes(hmac_sha256(qr_master, ("label/" + city + "/" + vehicle).encode())[:4], "big") >> 2
    text = ""
    for _ in range(_CHECK_CHARACTERS):
        text = _ALPHABET[number & 31] + text
        number >>= 5
    return text


def show_label(city: str, vehicle: str, check: str) -> str:
    """Return the link that a vehicle's label holds."""
    return SCHEME + city.upper() + "/" + vehicle + "/" + check


def read_label(text: str) -> VehicleLabel:
    """Return what a label says; the check is not checked yet.

    Raises:
        QrError: it is no label of ours.
    """
    parts = text.upper()[len(SCHEME) :].split("/")
    if not text.upper().startswith(SCHEME) or len(parts) != 3:
        raise QrError("not a vehicle's label")
    for part in parts:
        if not 0 < len(part) <= _PART_CHARACTERS_MAX or [sign for sign in part if sign not in _ALLOWED]:
            raise QrError("a label has city, vehicle and check, of letters, digits and hyphens")
    return VehicleLabel(parts[0].lower(), parts[1], parts[2])


def is_printed(label: VehicleLabel, qr_master: bytes) -> bool:
    """Return whether the service has printed this label."""
    return constant_time_equal(label_check(qr_master, label.city, label.vehicle).encode(), label.check.encode())
