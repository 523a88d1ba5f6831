"""Any bytes are a statement or are refused with reasons; what was written is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearing.money import format_minor
from clearing.statements.adapter import Adapter, find_adapter, known_adapters
from clearing.statements.reading import read_statement
from clearing.statements.statement import StatementError
from tests.clearing.statement_files import AGENT, CAMT, QR, SMS

_ADAPTERS = [find_adapter(name) for name in known_adapters()]
_FILES = [QR.encode(), AGENT.encode(), SMS.encode("cp1251"), SMS.encode(), CAMT.encode()]


@given(st.binary(max_size=400), st.sampled_from(_ADAPTERS))
def test_any_bytes_are_read_or_refused_with_reasons(body: bytes, adapter: Adapter) -> None:
    _read(body, adapter)


@given(
    st.sampled_from(_FILES),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=12)), max_size=4),
    st.sampled_from(_ADAPTERS),
)
def test_a_damaged_file_is_read_or_refused_with_reasons(
    body: bytes, damages: list[tuple[int, int, bytes]], adapter: Adapter
) -> None:
    for start, length, instead in damages:
        body = body[: start % (len(body) + 1)] + instead + body[start % (len(body) + 1) + length :]
    _read(body, adapter)


def _read(body: bytes, adapter: Adapter) -> None:
    try:
        statement = read_statement(body, adapter, "KZT", "Asia/Almaty")
    except StatementError as error:
        # Not `pytest.raises`: either it is read, or it is refused with reasons.
        assert error.faults  # noqa: PT017
        assert all(0 < len(fault) < 1000 for fault in error.faults)  # noqa: PT017
        return
    assert statement.lines
    assert all(line.currency == "KZT" and line.day for line in statement.lines)


_REFERENCES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=1, max_size=20)


@given(st.dictionaries(_REFERENCES, st.tuples(st.integers(0, 10**12), st.integers(0, 10**6)), min_size=1, max_size=20))
def test_what_was_written_is_read(payments: dict[str, tuple[int, int]]) -> None:
    rows = [
        f"{reference};;SUCCESS;{format_minor(amount)};{format_minor(fee)};KZT;2024-05-15T08:00:00+05:00"
        for reference, (amount, fee) in payments.items()
        if reference != "TOTAL"
    ]
    amounts = [payments[row.split(";")[0]] for row in rows]
    total = (
        f"TOTAL;{len(rows)};;{format_minor(sum(a for a, _ in amounts))};{format_minor(sum(f for _, f in amounts))};;"
    )
    body = "\n".join((QR.splitlines()[0], *rows, total)).encode()
    if not rows:
        return
    statement = read_statement(body, find_adapter("qr-provider"), "KZT", "Asia/Almaty")
    assert [(line.amount_minor, line.fee_minor) for line in statement.lines] == amounts
