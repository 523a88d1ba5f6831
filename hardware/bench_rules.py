"""What a validator decides by, for a bench: a fare table and a deny list, from files or from the clearing service.

They are what validators are sent (COSE_Sign1). Who signed them is a validator's question, not a bench's: nothing is sold here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from hardware.problem import EXIT_USAGE, Problem
from protocol import cose
from protocol.errors import ProtocolError
from protocol.fare_table import decode_fare_table
from protocol.medium_list import LIST_DENY, decode_list, decode_list_part, join_parts

if TYPE_CHECKING:
    from protocol.fare_table import FareTable
    from protocol.medium_list import MediumList

_DENY_LISTS = "/v1/lists/deny/"
_TIMEOUT_S = 20.0
_BYTES_MAX = 65_536


@dataclass(frozen=True)
class BenchRules:
    """What decides; a missing deny list denies nobody."""

    fare_table: FareTable
    deny_list: MediumList | None


def read_rules(fare_table: str, deny_list: str, server: str) -> BenchRules:
    """Read the rules; each is a file, or a number at the service.

    Raises:
        Problem: they are not there, or something else.
    """
    if not fare_table:
        raise Problem("no fare table is named", "give --fare-table FILE, or its number with --server URL", EXIT_USAGE)
    try:
        table = decode_fare_table(_payload("fare table", fare_table, server, "/v1/fare-tables/"))
        return BenchRules(table, _deny_list(deny_list, server) if deny_list else None)
    except ProtocolError as error:
        raise Problem(f"fare table or deny list cannot be read: {error}", "fetch them anew") from None


def _deny_list(named: str, server: str) -> MediumList:
    """Read a deny list; a long one comes from the service in parts."""
    if not named.isdigit():
        return decode_list(_payload("deny list", named, server, ""))
    first = decode_list_part(_payload("deny list", named, server, _DENY_LISTS), LIST_DENY)
    rest = (
        decode_list_part(_payload("deny list", str(number), server, f"{_DENY_LISTS}{named}/"), LIST_DENY)
        for number in range(2, first.parts + 1)
    )
    return join_parts([first, *rest])


def _payload(what: str, named: str, server: str, path: str) -> bytes:
    body = _fetch(what, server, path + named) if named.isdigit() else _read(what, Path(named))
    try:
        return cose.parse(body).payload
    except ProtocolError as error:
        raise Problem(f"the {what} {named} is none: {error}", "name one as validators are sent it") from None


def _read(what: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_BYTES_MAX)
    except OSError as error:
        raise Problem(f"the {what} {path} cannot be read: {error.strerror}", "name another file") from None


def _fetch(what: str, server: str, path: str) -> bytes:
    if not server:
        raise Problem(f"where is that {what}?", "give --server URL", EXIT_USAGE)
    try:
        response = httpx.get(server.rstrip("/") + path, timeout=_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise Problem(f"the service does not answer: {error}", "check --server") from None
    if response.is_error:
        raise Problem(f"the service has no such {what} ({response.status_code})", "ask a validator for its number")
    return response.content
