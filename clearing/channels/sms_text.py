"""What riders text and what they are answered. Pure.

A rider texts the code that is painted on the bus; people add spaces, leave out the hyphen and type Cyrillic letters that
look like Latin ones.
"""

from __future__ import annotations

import re

from clearing.money import format_minor

# Letters that look the same on a bus and are typed on a Kazakh or Russian keyboard.
_LOOKALIKES = str.maketrans("АВЕКМНОРСТХ", "ABEKMHOPCTX")
_MISREAD = str.maketrans("ILOU", "110V", " -")
_CODE = re.compile(r"([A-Z]{1,3})[\s\-]*([0-9]{1,6})")
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TICKET_CHARACTERS = 8


def vehicle_code(text: str) -> str | None:
    """The vehicle's code in a text message, as it is painted (`A-101`); absent when there is none."""
    match = _CODE.fullmatch(text.strip().upper().translate(_LOOKALIKES))
    return f"{match[1]}-{match[2]}" if match else None


def ticket_code(digest: bytes) -> str:
    """A short code to show an inspector, from the first 40 bits of a keyed digest."""
    number = int.from_bytes(digest[:5], "big")
    return "".join(_BASE32[number >> 5 * index & 31] for index in reversed(range(_TICKET_CHARACTERS)))


def typed_ticket(text: str) -> str:
    """A ticket code as an inspector types it: what is easily misread is read right."""
    return text.strip().upper().translate(_MISREAD)


def same_code(one: str, other: str) -> bool:
    """Whether two codes or number plates are the same to a reader: spaces, hyphens and the alphabet do not count."""
    return _plain(one) == _plain(other)


def _plain(code: str) -> str:
    return re.sub(r"[\s\-]", "", code.upper().translate(_LOOKALIKES))


def paid_reply(vehicle: str, fare_minor: int, ticket: str) -> str:
    """The answer to a paid ride, Kazakh and Russian, within one SMS of 70 UCS-2 characters."""
    return f"{vehicle} {format_minor(fare_minor).removesuffix('.00')} ₸ төленді/оплачено. Билет {ticket}"


def expired_reply(vehicle: str) -> str:
    """The answer to a message that came too late; nothing was charged."""
    return f"{vehicle}: SMS кеш жетті / SMS опоздало. 0 ₸"


def rejected_reply(text: str) -> str:
    """The answer to a text that is no vehicle's code; nothing was charged."""
    return f"{text.strip()[:12]}: код табылмады / код не найден. 0 ₸"
