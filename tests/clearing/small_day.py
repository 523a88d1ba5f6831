"""A small service day of two carriers with a bit of everything, sent to the service as validators and agents send it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from clearing.settlement.totals import AgentLine, Line, Totals
from protocol.ack import STATUS_OK, STATUS_OK_FLAGGED
from protocol.decisions import DECISION_COMMITTED, DECISION_DENIED
from protocol.tap import (
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_SINGLE,
    MEDIUM_BANK_CARD,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
)
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office, make_token

if TYPE_CHECKING:
    from collections.abc import Sequence

NEXT_MORNING_MS = NOW_MS + 86_400_000
COMMISSION_BP = 1000
TOTALS = Totals(
    lines=(
        Line("alatau", "bank_card", 1, 10_000, 0, "acquirer", "oper", COMMISSION_BP),
        Line("alatau", "cash", 2, 40_000, 0, "", "oper", COMMISSION_BP),
        Line("alatau", "sms", 1, 10_000, 0, "sms-aggregator", "oper", COMMISSION_BP),
        Line("alatau", "transport_card", 1, 10_000, 0, "", "oper", COMMISSION_BP),
        Line("medeu", "qr", 1, 10_000, 0, "qr-provider", "oper", COMMISSION_BP),
        Line("medeu", "transport_card", 1, 10_000, 2_000, "", "oper", COMMISSION_BP),
    ),
    refused=1,
    unknown=1,
    unknown_minor=10_000,
    exceptions=0,
    top_ups=1,
    top_ups_minor=500_000,
    agents=(AgentLine("agents", 1, 500_000, 0),),
)
UNKNOWN_CARD = 2
UNKNOWN_COUNTER = 40


def debit(
    device: Device, card: int, counter: int, *, fare_minor: int = 10_000, at_s: int = NOW_S, ended: int | None = None
) -> list[bytes]:
    """A debit of a transport card: its intent, and its outcome when there is one."""
    fields: dict[str, Any] = {"token": make_token(card), "token_key_version": 1, "medium": MEDIUM_TRANSPORT_CARD}
    intent = device.next_sequence
    records = [device.record(kind=KIND_INTENT, counter=counter, fare_minor=fare_minor, tapped_at_s=at_s, **fields)]
    if ended is not None:
        records.append(device.record(kind=KIND_OUTCOME, reference=intent, decision=ended, tapped_at_s=at_s, **fields))
    return records


def tap(device: Device, medium: int, fare_minor: int, at_s: int = NOW_S) -> bytes:
    """A single tap that was accepted."""
    return device.record(kind=KIND_SINGLE, medium=medium, fare_minor=fare_minor, tapped_at_s=at_s)


def send(office: Office, device: Device, records: Sequence[bytes]) -> None:
    """Send records just made, in the order in which they were made."""
    device.now_s = office.clock.now_ms() // 1000
    ack = office.send(device, device.message(list(records)))
    assert ack.status in {STATUS_OK, STATUS_OK_FLAGGED}


def play(office: Office) -> tuple[Device, Device]:
    """Send the day in; return its validators, one of each carrier."""
    alatau, medeu = office.enrol(Device(seed=1), "A-101"), office.enrol(Device(seed=2), "A-107")
    records = [alatau.record(), alatau.record(), *debit(alatau, 1, 5, ended=DECISION_COMMITTED)]
    records += [*debit(alatau, UNKNOWN_CARD, UNKNOWN_COUNTER), alatau.refusal(DECISION_DENIED)]
    records += [tap(alatau, MEDIUM_BANK_CARD, 10_000), alatau.record(reference=True)]
    send(office, alatau, records)
    records = debit(medeu, 3, 1, fare_minor=12_000, ended=DECISION_COMMITTED)
    send(office, medeu, [*records, tap(medeu, MEDIUM_QR_TICKET, 10_000)])
    text_message(office, "S-1")
    order = {"reference": "T-1", "token": make_token(1).hex(), "amount_minor": 500_000, "at_s": NOW_S}
    assert office.client.post("/v1/top-ups", json=order).status_code == 200
    return alatau, medeu


def text_message(office: Office, reference: str, at_s: int = NOW_S) -> None:
    """Pay a ride in bus A-101 by SMS, each from a telephone of its own."""
    msisdn = f"7701{zlib.crc32(reference.encode()) % 10_000_000:07d}"
    message = {"reference": reference, "msisdn": msisdn, "text": "A-101", "sent_at_s": at_s}
    assert office.client.post("/v1/sms", json=message).json()["status"] == "paid"


def prove_unknown(office: Office, device: Device) -> None:
    """Let another validator see, a day later, that the debit which nobody knew the end of was committed."""
    send(office, device, debit(device, UNKNOWN_CARD, UNKNOWN_COUNTER + 1, at_s=NOW_S + 86_000))


def close(office: Office, day: str = DAY) -> dict[str, Any]:
    """Close a day by the interface, the morning after or later."""
    office.clock.at_ms = max(office.clock.at_ms, NEXT_MORNING_MS)
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": day})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())
