"""Reads a counterparty's file by its adapter, or refuses it as a whole. Pure."""

from __future__ import annotations

import hashlib

from clearing.statements.adapter import Adapter
from clearing.statements.camt053 import read_camt053
from clearing.statements.csv_statement import read_csv
from clearing.statements.statement import FILE_BYTES_MAX, Statement, StatementError


def read_statement(body: bytes, adapter: Adapter, currency: str, zone: str) -> Statement:
    """What a file says.

    Args:
        body: the file as it came.
        adapter: how it is read.
        currency: the city's; a line in another one is a fault.
        zone: name of the city's time zone, for moments without an offset.

    Raises:
        StatementError: with every fault that was found; nothing of such a file is used.
    """
    if not body.strip():
        raise StatementError(["the file is empty"])
    if len(body) > FILE_BYTES_MAX:
        raise StatementError([f"the file is over {FILE_BYTES_MAX} bytes; ask for it in parts"])
    notes: list[str] = []
    if adapter.format == "camt053":
        lines = read_camt053(body, currency)
    else:
        lines, notes = read_csv(body, adapter, currency, zone)
    if not lines:
        raise StatementError(["the file has no line in it; a day without any needs no file"])
    days = sorted(line.day for line in lines)
    digest = hashlib.sha256(body).hexdigest()
    return Statement(adapter.kind, adapter.name, digest, days[0], days[-1], tuple(lines), tuple(notes))
