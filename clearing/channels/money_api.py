"""HTTP of the channels' money: registers, remote top-ups that end, tills, remittances, and the keys that senders sign with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.models import Principal
from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.channels.dues import Due
from clearing.channels.registers import take_register
from clearing.channels.remittances import RemittanceTold, take_remittance
from clearing.channels.senders import find_principal, issue_key, list_keys, revoke_key, secret_of
from clearing.channels.standing import PartyDues, list_dues
from clearing.channels.tills import TillCounted, count_till
from clearing.channels.top_up_check import ThreeWay
from clearing.channels.top_up_ends import expire_top_ups, refund_top_up
from clearing.channels.top_up_report import top_up_report
from clearing.endpoint import ClockOf, DatabaseOf, Day, InvalidError, Number
from clearing.network.service import city_of
from clearing.network.service_day import service_day
from clearing.statements.adapter import Adapter, AdapterError, find_adapter

router = APIRouter(prefix="/v1")

_AMOUNT_MINOR_MAX = 1_000_000_000_000_00
Reference = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
CityCode = Annotated[str, Field(max_length=32)]
Code = Annotated[str, Field(min_length=1, max_length=32)]
AmountMinor = Annotated[int, Field(gt=0, le=_AMOUNT_MINOR_MAX)]


class TopUpsExpire(BaseModel):
    """Of which city top-ups that have waited too long shall expire."""

    model_config = ConfigDict(extra="forbid")

    city: CityCode


class TopUpGivenBack(BaseModel):
    """A top-up that never came onto its card, by who took it and the reference then."""

    model_config = ConfigDict(extra="forbid")

    agent: str = Field(min_length=1, max_length=64)
    reference: str = Field(min_length=1, max_length=64)


class TillHasBeenCounted(BaseModel):
    """Cash of a service day as somebody counted it."""

    model_config = ConfigDict(extra="forbid")

    reference: Reference
    city: CityCode
    carrier: Code
    day: Day
    counted_minor: int = Field(ge=0, le=_AMOUNT_MINOR_MAX)
    vehicle: Code | None = None
    shift: int | None = Field(default=None, ge=0, le=0xFFFFFFFF)


class MoneyHasCome(BaseModel):
    """Money that a party has passed on to the bank."""

    model_config = ConfigDict(extra="forbid")

    city: CityCode
    party_kind: Literal["qr_provider", "sms_aggregator", "agent", "carrier"]
    party: Code
    reference: Reference
    amount_minor: AmountMinor
    banked_day: Day
    service_day: Day | None = None


class KeyAsked(BaseModel):
    """Who shall get a key to sign with; its own public key (x and y, hexadecimal), or a shared secret without."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    public: str = Field(default="", max_length=130)


def adapter_or_refuse(name: str) -> Adapter:
    """An adapter that comes with the service; over HTTP no path is taken.

    Raises:
        InvalidError: there is none.
    """
    try:
        return find_adapter(name.replace(".", "?"))
    except AdapterError as error:
        raise InvalidError(str(error), "name one of these") from None


async def _body(request: Request) -> bytes:
    return await request.body()


BodyOf = Annotated[bytes, Depends(_body)]


@router.post("/registers", status_code=201)
def receive_register(
    body: BodyOf,
    caller: Annotated[Caller, Depends(require("top_up.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str,
    agent: Annotated[str, Query(max_length=64)] = "",
    adapter: Annotated[str, Query(max_length=64)] = "agent",
) -> dict[str, Any]:
    """Take in an agent's register: the file is the body. Who is no agent names the one whose it is."""
    with database.writing() as session:
        whose = find_principal(session, agent) if agent else session.get_one(Principal, caller.principal_id)
        if whose.id != caller.principal_id:
            must_reach(caller, "statement.import", city)
        taken = take_register(session, caller, clock.now_ms(), city, whose, body, adapter_or_refuse(adapter))
    register = taken.register
    return {
        "sha256": register.sha256,
        "top_ups": register.top_ups,
        "top_ups_minor": register.top_ups_minor,
        "added": register.added,
        "is_repeated": taken.is_repeated,
        "notes": taken.notes,
    }


@router.post("/top-ups/expire")
def expire(
    asked: TopUpsExpire,
    request: Request,
    caller: Annotated[Caller, Depends(require("top_up.refund"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        return asdict(expire_top_ups(session, request.app.state.keys, caller, clock.now_ms(), asked.city))


@router.post("/top-ups/refund")
def refund(
    asked: TopUpGivenBack,
    request: Request,
    caller: Annotated[Caller, Depends(require("top_up.refund"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        keys = request.app.state.keys
        pending = refund_top_up(session, keys, caller, clock.now_ms(), asked.agent, asked.reference)
        return {"reference": asked.reference, "status": pending.status, "amount_minor": pending.amount_minor}


@router.get("/top-ups/check")
def read_top_up_check(
    _caller: Annotated[Caller, Depends(require("channel.read"))],
    database: DatabaseOf,
    city: str,
    first_day: Day,
    last_day: Day,
) -> dict[str, Any]:
    """Top-ups sold, applied, and on the cards by their own balances."""
    with database.reading() as session:
        return three_way_as_dict(top_up_report(session, city, first_day, last_day))


def three_way_as_dict(report: ThreeWay) -> dict[str, Any]:
    """The three-way check for JSON."""
    value = asdict(report)
    value["differences"] = [each | {"token": each["token"].hex()} for each in value["differences"]]
    return value


@router.post("/till-counts", status_code=201)
def receive_till_count(
    counted: TillHasBeenCounted,
    caller: Annotated[Caller, Depends(require("cash.count"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        count = count_till(session, caller, clock.now_ms(), TillCounted(**counted.model_dump()))
    return {"reference": count.reference, "counted_minor": count.counted_minor}


@router.post("/remittances", status_code=201)
def receive_remittance(
    told: MoneyHasCome,
    caller: Annotated[Caller, Depends(require("remittance.record"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        remittance = take_remittance(session, caller, clock.now_ms(), RemittanceTold(**told.model_dump()))
    return {
        "reference": remittance.reference,
        "amount_minor": remittance.amount_minor,
        "commission_minor": remittance.commission_minor,
        "entry_key": remittance.entry_key,
    }


@router.get("/remittances/dues")
def read_dues(
    _caller: Annotated[Caller, Depends(require("channel.read"))], database: DatabaseOf, clock: ClockOf, city: str
) -> dict[str, Any]:
    """What every party owes, by service day."""
    with database.reading() as session:
        today = service_day(city_of(session, city).zone, clock.now_ms() // 1000)
        return {"today": today, "parties": [dues_as_dict(each, today) for each in list_dues(session, city)]}


def dues_as_dict(party: PartyDues, today: str) -> dict[str, Any]:
    """Where a party stands, for JSON."""
    return {
        "party_kind": party.party_kind,
        "party": party.party,
        "open_minor": party.open_minor,
        "beyond_minor": party.beyond_minor,
        "over_limit": party.over_limit,
        "dues": [due_as_dict(due, today) for due in party.dues],
    }


def due_as_dict(due: Due, today: str) -> dict[str, Any]:
    """What is due of one day, for JSON."""
    return asdict(due) | {
        "net_minor": due.net_minor,
        "open_minor": due.open_minor,
        "is_overdue": due.is_overdue(today),
    }


@router.post("/channel-keys", status_code=201)
def give_channel_key(
    asked: KeyAsked,
    request: Request,
    caller: Annotated[Caller, Depends(require("channel_key.write"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    """Give a sender a key; of a shared one the secret is in the answer, for the sender alone."""
    with database.writing() as session:
        key = issue_key(session, caller, clock.now_ms(), asked.name, asked.public)
        secret = secret_of(request.app.state.keys, key).hex() if key.x is None else None
        return {"number": key.id, "name": asked.name, "kind": key.kind, "secret": secret}


@router.delete("/channel-keys/{number}")
def end_channel_key(
    number: Number,
    caller: Annotated[Caller, Depends(require("channel_key.write"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        key = revoke_key(session, caller, clock.now_ms(), number)
        return {"number": key.id, "revoked_at_ms": key.revoked_at_ms}


@router.get("/channel-keys")
def read_channel_keys(
    _caller: Annotated[Caller, Depends(require("channel.read"))], database: DatabaseOf
) -> dict[str, Any]:
    with database.reading() as session:
        return {
            "keys": [
                {"number": key.id, "name": name, "kind": key.kind, "revoked_at_ms": key.revoked_at_ms}
                for key, name in list_keys(session)
            ]
        }
