"""What the files of a city package are made of: values with their bounds, tables that refuse what they do not know. Pure."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from clearing.network.identifiers import is_bin, is_kz_iban

# Before every ride; for what has always been so.
FIRST_DAY = "2000-01-01"
Medium = Literal["transport_card", "bank_card", "phone_nfc", "qr", "qr_screen", "sms", "cash"]


def _with_check_digit(text: str) -> str:
    if not is_bin(text):
        raise ValueError(
            "is no BIN, or its check digit is wrong: copy the 12 digits from the certificate of registration"
        )
    return text


def _with_check_digits(text: str) -> str:
    if not is_kz_iban(text):
        raise ValueError(
            "is no IBAN of Kazakhstan, or its check digits are wrong: copy it from the bank, without spaces"
        )
    return text


def _real_day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("is no day: write it as 2024-08-03")


# What a pattern looks like to people, for messages.
EXAMPLES: dict[str, str] = {}


def looks_like(pattern: str, example: str) -> Any:  # noqa: ANN401 - a field's bound, as pydantic has it
    """A text of a pattern, and one that is right."""
    EXAMPLES[pattern] = example
    return Field(pattern=pattern)


Code = Annotated[str, looks_like(r"^[a-z][a-z0-9-]{0,31}$", "small letters, digits and hyphens, such as qr-provider")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Bin = Annotated[str, AfterValidator(_with_check_digit)]
Iban = Annotated[str, AfterValidator(_with_check_digits)]
Bic = Annotated[
    str,
    looks_like(r"^[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$", "the 8 or 11 characters of a bank, such as DEMOKZA0"),
]
Day = Annotated[str, AfterValidator(_real_day)]
LocalTime = Annotated[str, looks_like(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "a time of day, such as 03:00")]
BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
Days = Annotated[int, Field(ge=0, le=366)]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
AmountMinor = Annotated[int, Field(ge=0, le=10**15)]
Line = Annotated[int, Field(ge=1, le=65_535)]
Category = Annotated[int, Field(ge=1, le=65_535)]


class Record(BaseModel):
    """A table of a package: what it does not know is refused, what was read does not change, a text is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Names(Record):
    """A name in the three languages."""

    kk: Text
    ru: Text
    en: Text
