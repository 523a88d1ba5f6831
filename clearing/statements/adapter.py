"""Adapters: a small TOML file says how a counterparty's file is read. How to write one: `clearing/reconciliation/README.md`."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

KINDS = ("acquirer", "qr_provider", "sms_aggregator", "agent", "bank")
_FOLDER = Path(__file__).parent.parent / "reconciliation" / "adapters"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

Column = Annotated[str, Field(min_length=1, max_length=100)]
Word = Annotated[str, Field(min_length=1, max_length=100)]


class AdapterError(Exception):
    """An adapter that is not there or cannot be used; the message lists every fault."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Columns(_Table):
    """The header of the column in which each thing stands; what the file does not have is left out."""

    reference: Column
    amount: Column
    date: Column
    fee: Column | None = None
    currency: Column | None = None
    state: Column | None = None
    kind: Column | None = None
    own_reference: Column | None = None
    account: Column | None = None
    party: Column | None = None
    text: Column | None = None
    token: Column | None = None


class States(_Table):
    """The counterparty's words for what became of a line."""

    settled: tuple[Word, ...] = ()
    declined: tuple[Word, ...] = ()
    refunded: tuple[Word, ...] = ()


class Total(_Table):
    """The last line, by which a file that was cut is noticed.

    Attributes:
        marker: what its first cell says.
        count, amount, fee: the columns in which it has the number of lines, and the sums over settled lines.
    """

    marker: Word
    count: Column | None = None
    amount: Column
    fee: Column | None = None


class Adapter(_Table):
    """How one counterparty's file is read.

    Attributes:
        name: of the adapter, as its file is called.
        date: `strptime` format; a moment without an offset is of the city's zone.
        signed: amounts may be negative; in a file where they may not, a negative amount is a fault.
    """

    name: str
    kind: Literal["acquirer", "qr_provider", "sms_aggregator", "agent", "bank"]
    format: Literal["csv", "camt053"]
    encoding: Literal["utf-8", "windows-1251", "kz-1048"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ";"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", " ", ",", "."] = ""
    date: Annotated[str, Field(min_length=2, max_length=40)] = "%Y-%m-%d"
    signed: bool = False
    columns: Columns | None = None
    states: States = States()
    total: Total | None = None

    @field_validator("delimiter")
    @classmethod
    def _one_that_separates(cls, text: str) -> str:
        if text not in ";,\t|":
            raise ValueError("is none of ; , | and tab")
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> Adapter:
        if self.format == "csv" and (self.columns is None or self.total is None):
            raise ValueError(
                "a CSV adapter has the tables [columns] and [total]; without a total a cut file is not noticed"
            )
        if self.format == "camt053" and self.kind != "bank":
            raise ValueError("camt.053 is a statement of a bank")
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are the same sign")
        return self


def parse_adapter(name: str, text: str) -> Adapter:
    """An adapter from the text of its file.

    Raises:
        AdapterError: it says what no adapter can, or lacks something.
    """
    try:
        return Adapter.model_validate_json(json.dumps({"name": name} | tomllib.loads(text), default=str))
    except tomllib.TOMLDecodeError as error:
        raise AdapterError(f"adapter {name}: {error}") from None
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()]
        raise AdapterError(f"adapter {name}: {'; '.join(faults)}") from None


def known_adapters() -> list[str]:
    """Names of the adapters that come with Jolaqy."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def find_adapter(name: str) -> Adapter:
    """An adapter by its name, or by the path of a file of one's own that ends in `.toml`.

    Raises:
        AdapterError: there is none, or it cannot be used.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not name.endswith(".toml") and _NAME.fullmatch(name) is None:
        raise AdapterError("an adapter's name has small letters, digits and hyphens")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise AdapterError(f"there is no adapter {name[:80]}; there are: {', '.join(known_adapters())}") from None
    return parse_adapter(path.stem, text)
