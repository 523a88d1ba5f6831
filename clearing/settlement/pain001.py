"""Payment orders as an ISO 20022 customer credit transfer initiation, pain.001.001.09. Pure.

One group of payments (`PmtInf`) for each account that pays and day of payment. The codes of Kazakhstan's payments have no
element of their own: the BIN stands as a proprietary identification, КНП as a proprietary purpose, КБе beside the BIN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from xml.etree import ElementTree as ET

from clearing.money import format_minor
from clearing.settlement.payment_order import Account, PaymentOrder

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_NAME_MAX = 140
_DETAILS_MAX = 140
_ID_MAX = 35


def pain001(orders: Sequence[PaymentOrder], made_at_ms: int) -> bytes:
    """The message, in UTF-8; the orders are one at least."""
    assert orders
    root = ET.Element("Document", {"xmlns": NAMESPACE})
    initiation = ET.SubElement(root, "CstmrCdtTrfInitn")
    header = ET.SubElement(initiation, "GrpHdr")
    _text(header, "MsgId", _message_id(orders))
    _text(header, "CreDtTm", datetime.fromtimestamp(made_at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    _sums(header, orders)
    _party(ET.SubElement(header, "InitgPty"), orders[0].payer)
    ordered = sorted(orders, key=_group)
    for number, (_, group) in enumerate(groupby(ordered, key=_group), 1):
        _payments(initiation, f"{_message_id(orders)[: _ID_MAX - 4]}-{number}", list(group))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _group(order: PaymentOrder) -> tuple[str, str]:
    return order.payer.iban, order.pay_on.isoformat()


def _message_id(orders: Iterable[PaymentOrder]) -> str:
    """The same orders are the same message: a bank refuses it when it comes again."""
    digest = hashlib.sha256("\n".join(sorted(f"{order.payer.iban} {order.reference}" for order in orders)).encode())
    return digest.hexdigest()[:_ID_MAX].upper()


def _payments(parent: ET.Element, group_id: str, orders: Sequence[PaymentOrder]) -> None:
    group = ET.SubElement(parent, "PmtInf")
    _text(group, "PmtInfId", group_id)
    _text(group, "PmtMtd", "TRF")
    _sums(group, orders)
    _text(ET.SubElement(group, "ReqdExctnDt"), "Dt", orders[0].pay_on.isoformat())
    payer = orders[0].payer
    _party(ET.SubElement(group, "Dbtr"), payer)
    _iban(ET.SubElement(group, "DbtrAcct"), payer.iban)
    _agent(ET.SubElement(group, "DbtrAgt"), payer.bic)
    for order in orders:
        _transfer(ET.SubElement(group, "CdtTrfTxInf"), order)


def _transfer(transfer: ET.Element, order: PaymentOrder) -> None:
    identification = ET.SubElement(transfer, "PmtId")
    _text(identification, "InstrId", str(order.number))
    _text(identification, "EndToEndId", order.reference)
    amount = ET.SubElement(ET.SubElement(transfer, "Amt"), "InstdAmt", {"Ccy": order.currency})
    amount.text = format_minor(order.amount_minor)
    _agent(ET.SubElement(transfer, "CdtrAgt"), order.payee.bic)
    _party(ET.SubElement(transfer, "Cdtr"), order.payee)
    _iban(ET.SubElement(transfer, "CdtrAcct"), order.payee.iban)
    _text(ET.SubElement(transfer, "Purp"), "Prtry", order.purpose_code)
    _text(ET.SubElement(transfer, "RmtInf"), "Ustrd", _clean(order.details, _DETAILS_MAX))


def _sums(parent: ET.Element, orders: Sequence[PaymentOrder]) -> None:
    _text(parent, "NbOfTxs", str(len(orders)))
    _text(parent, "CtrlSum", format_minor(sum(order.amount_minor for order in orders)))


def _party(parent: ET.Element, account: Account) -> None:
    _text(parent, "Nm", _clean(account.name, _NAME_MAX))
    organisation = ET.SubElement(ET.SubElement(parent, "Id"), "OrgId")
    for scheme, value in (("BIN", account.bin), ("KBE", account.beneficiary_code)):
        other = ET.SubElement(organisation, "Othr")
        _text(other, "Id", value)
        _text(ET.SubElement(other, "SchmeNm"), "Prtry", scheme)


def _iban(parent: ET.Element, iban: str) -> None:
    _text(ET.SubElement(parent, "Id"), "IBAN", iban)


def _agent(parent: ET.Element, bic: str) -> None:
    _text(ET.SubElement(parent, "FinInstnId"), "BICFI", bic)


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _clean(text: str, characters_max: int) -> str:
    """Text that XML can carry, in one line, not longer than the element."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:characters_max]
