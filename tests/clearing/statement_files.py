"""Small statements as counterparties send them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clearing.statements.statement import Statement

QR = """payment_id;terminal_reference;status;amount;fee;currency;paid_at
P-1;T-1;SUCCESS;100.00;1.50;KZT;2024-05-15T08:00:00+05:00
P-2;T-2;FAILED;100.00;0.00;KZT;2024-05-15T08:01:00+05:00
P-3;T-3;REFUNDED;100.00;0.00;KZT;2024-05-15T08:02:00+05:00
P-4;T-4;SLEEPS;100.00;0.00;KZT;2024-05-15T08:03:00+05:00
TOTAL;4;;100.00;1.50;KZT;
"""
SMS = """Номер сообщения;Статус;Сумма;Дата и время;Текст
M-1;Списано;100,00;15.05.2024 08:00:00;A-101
M-2;Списано;1 234 567,89;15.05.2024 23:59:59;"а;101"
ИТОГО;2;1 234 667,89;;
"""
AGENT = f"""receipt;card_token;amount;currency;taken_at;point
A-1;{"ab" * 16};500.00;KZT;2024-05-15 07:30:00;Қазпошта
A-2;{"cd" * 16};1000.00;KZT;2024-05-15 07:31:00;Қазпошта
TOTAL;2;1500.00;;;
"""


def camt(opening: int | None, entries: Sequence[str], closing: int, said: int | None = None) -> str:
    """A camt.053 message; amounts in tenge."""
    balances = "" if opening is None else _balance("OPBD", opening)
    summary = ""
    if said is not None:
        summary = f"<TxsSummry><TtlNtries><NbOfNtries>{said}</NbOfNtries></TtlNtries></TxsSummry>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>'
        f"{balances}{_balance('CLBD', closing)}{summary}{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    )


def _balance(code: str, amount: int) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="KZT">{abs(amount)}.00</Amt>'
        f"<CdtDbtInd>{'CRDT' if amount >= 0 else 'DBIT'}</CdtDbtInd></Bal>"
    )


def entry(
    reference: str,
    amount: float,
    account: str = "",
    text: str = "",
    end_to_end: str = "NOTPROVIDED",
    day: str = "2024-05-16",
    details: Sequence[int] = (),
) -> str:
    """A booked entry; amounts in tenge."""
    other = "Dbtr" if amount >= 0 else "Cdtr"
    head = (
        f'<Ntry><Amt Ccy="KZT">{abs(amount):.2f}</Amt><CdtDbtInd>{"CRDT" if amount >= 0 else "DBIT"}</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef><NtryDtls>"
    )
    refs = f"<Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>"
    parties = f"<RltdPties><{other}Acct><Id><IBAN>{account}</IBAN></Id></{other}Acct></RltdPties>"
    tail = f"{parties}<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"
    if details:
        body = "".join(f'<TxDtls>{refs}<Amt Ccy="KZT">{each}.00</Amt>{tail}' for each in details)
    else:
        body = f"<TxDtls>{refs}{tail}"
    return f"{head}{body}</NtryDtls></Ntry>"


CAMT = (
    camt(
        1000,
        [
            entry("B1", 98.50, "KZ86125KZT5004100100", "Kaspi 2024-05-15"),
            entry("B2", -50.00, "KZ75125KZT1001300335", end_to_end="PAYOUT-1"),
        ],
        0,
    )
    .replace("1000.00", "951.50", 1)
    .replace('Ccy="KZT">0.00', 'Ccy="KZT">1000.00', 1)
)


def lines_of(statement: Statement) -> list[tuple[str, int, str, str]]:
    return [(line.reference, line.amount_minor, line.account, line.text) for line in statement.lines]
