"""Counterparties' files: read whole by their adapters, or refused whole with every fault."""

from __future__ import annotations

import pytest

from clearing.statements.adapter import Adapter, AdapterError, find_adapter, known_adapters, parse_adapter
from clearing.statements.reading import read_statement
from clearing.statements.statement import DECLINED, REFUNDED, SETTLED, UNKNOWN, Statement, StatementError
from tests.clearing.statement_files import AGENT, CAMT, QR, SMS, camt, entry, lines_of


def read(body: str | bytes, name: str) -> Statement:
    content = body.encode() if isinstance(body, str) else body
    return read_statement(content, find_adapter(name), "KZT", "Asia/Almaty")


def faults(body: str | bytes, name: str) -> list[str]:
    with pytest.raises(StatementError) as refused:
        read(body, name)
    return refused.value.faults


def test_every_adapter_that_comes_along_can_be_used() -> None:
    assert known_adapters() == ["acquirer", "agent", "bank-camt053", "bank-csv", "qr-provider", "sms-aggregator"]
    assert {find_adapter(name).name for name in known_adapters()} == set(known_adapters())


def test_a_statement_is_read_as_its_adapter_says() -> None:
    statement = read(QR, "qr-provider")
    assert [(line.reference, line.state, line.amount_minor, line.fee_minor) for line in statement.lines] == [
        ("P-1", SETTLED, 10_000, 150),
        ("P-2", DECLINED, 10_000, 0),
        ("P-3", REFUNDED, 10_000, 0),
        ("P-4", UNKNOWN, 10_000, 0),
    ]
    assert (statement.first_day, statement.last_day, statement.total_minor) == ("2024-05-15", "2024-05-15", 10_000)
    assert statement.lines[0].at_s == 1_715_742_000


def test_an_old_encoding_and_local_signs_are_read_as_well() -> None:
    statement = read(SMS.encode("cp1251"), "sms-aggregator")
    assert [(line.reference, line.amount_minor, line.day) for line in statement.lines] == [
        ("M-1", 10_000, "2024-05-15"),
        ("M-2", 123_456_789, "2024-05-15"),
    ]


def test_a_register_names_cards_by_their_tokens_only() -> None:
    assert read(AGENT, "agent").lines[0].token == "ab" * 16
    assert "by its token" in " ".join(faults(AGENT.replace("ab" * 16, "4400430212345678"), "agent"))


def test_a_file_that_was_cut_at_any_byte_is_refused() -> None:
    body = QR.encode()
    for length in range(len(body) - 1):
        assert faults(body[:length], "qr-provider")


def test_a_wrong_total_a_wrong_count_and_wrong_fees_are_named() -> None:
    wrong = QR.replace("TOTAL;4;;100.00;1.50", "TOTAL;5;;100.01;1.49")
    assert len(faults(wrong, "qr-provider")) == 3
    assert "the lines add up to 100.00" in " ".join(faults(wrong, "qr-provider"))


def test_all_faults_of_a_file_are_named_at_once() -> None:
    bad = "\n".join(
        (
            *QR.splitlines()[:1],
            "P-1;T-1;SUCCESS;-100.00;1.50;KZT;2024-05-15T08:00:00+05:00",
            "P-2;T-2;SUCCESS;100,00;1.50;KZT;2024-05-15T08:00:00+05:00",
            "P-3;T-3;SUCCESS;100.00;1.50;USD;2024-05-15T08:00:00+05:00",
            "P-4;T-4;SUCCESS;100.00;1.50;KZT;15.05.2024",
            "P-5;T-5;SUCCESS;100.00",
            f"{'P' * 200};T-6;SUCCESS;100.00;1.50;KZT;2024-05-15T08:00:00+05:00",
            "TOTAL;6;;600.00;9.00;KZT;",
            "P-7;T-7;SUCCESS;100.00;1.50;KZT;2024-05-15T08:00:00+05:00",
        )
    )
    named = faults(bad, "qr-provider")
    assert [fault.split(":")[0] for fault in named] == [f"line {number}" for number in (2, 3, 4, 5, 6, 7, 9)]
    assert "negative" in named[0]
    assert "USD" in named[2]


def test_a_fault_repeats_nothing_that_may_be_a_telephone_number() -> None:
    shifted = QR.replace(";KZT;2024", ";77011234567;2024").replace("TOTAL;4", "TOTAL;77011234567")
    assert "77011234567" not in " ".join(faults(shifted, "qr-provider"))


def test_of_very_many_faults_the_first_are_named_and_the_others_counted() -> None:
    bad = QR.splitlines()[0] + "\n" + "x\n" * 80
    assert faults(bad, "qr-provider")[-1] == "and 31 more"


@pytest.mark.parametrize("body", [b"", b"  \n ", b"\xff\xfe\x00", b"\0" * 100, b'"', QR.splitlines()[0].encode()])
def test_what_is_no_statement_is_refused(body: bytes) -> None:
    for name in known_adapters():
        assert faults(body, name)


def test_missing_and_doubled_columns_are_named() -> None:
    assert "no column payment_id" in faults(QR.replace("payment_id", "id"), "qr-provider")[0]
    assert faults(QR.replace("terminal_reference", "amount"), "qr-provider")[-1] == "two columns are called amount"


def test_kazakh_in_the_wrong_encoding_is_never_read_in_silence() -> None:
    kazakh = SMS.replace("A-101", "Қазақ Ә")
    assert "Windows-1251" in faults(kazakh.encode("kz1048"), "qr-provider")[0]
    named = faults(kazakh.encode("kz1048"), "sms-aggregator")
    assert "KZ-1048" in named[0]
    notes = read(kazakh.encode("cp1251", errors="replace"), "sms-aggregator").notes
    assert notes == ("line 2: a question mark within a name, where Windows-1251 has no Kazakh letter",)
    adapter = find_adapter("sms-aggregator")
    assert adapter.columns is not None
    columns = adapter.columns.model_copy(update={"text": "Текст"})
    adapter = adapter.model_copy(update={"encoding": "kz-1048", "columns": columns})
    assert read_statement(kazakh.encode("kz1048"), adapter, "KZT", "Asia/Almaty").lines[0].text == "Қазақ Ә"


def test_what_riders_wrote_is_not_taken_along() -> None:
    assert {line.text for line in read(SMS.encode("cp1251"), "sms-aggregator").lines} == {""}


def test_a_banks_statement_in_xml_is_read() -> None:
    statement = read(CAMT, "bank-camt053")
    assert lines_of(statement) == [
        ("B1", 9_850, "KZ86125KZT5004100100", "Kaspi 2024-05-15"),
        ("PAYOUT-1", -5_000, "KZ75125KZT1001300335", ""),
    ]


def test_a_batch_booking_becomes_one_line_for_each_payment() -> None:
    both = entry("B1", 300, details=(100, 200))
    statement = read(camt(0, [both], 300), "bank-camt053")
    assert [line.amount_minor for line in statement.lines] == [10_000, 20_000]
    wrong = camt(0, [entry("B1", 300, details=(100, 100))], 300)
    assert faults(wrong, "bank-camt053") == ["entry 1: its payments do not add up to it"]


def test_a_banks_statement_that_does_not_add_up_is_refused() -> None:
    assert "closing balance" in faults(camt(100, [entry("B1", 50)], 100), "bank-camt053")[0]
    assert "no opening or no closing" in faults(camt(None, [entry("B1", 50)], 50), "bank-camt053")[0]
    assert "3 entries" in faults(camt(0, [entry("B1", 50)], 50, said=3), "bank-camt053")[0]
    assert "currency is USD" in faults(CAMT.replace('Ccy="KZT">98', 'Ccy="USD">98'), "bank-camt053")[0]
    assert "neither credit nor debit" in " ".join(faults(CAMT.replace(">DBIT<", ">OUT<"), "bank-camt053"))


def test_a_pending_entry_does_not_count() -> None:
    pending = entry("B2", 70).replace(">BOOK<", ">PDNG<")
    assert len(read(camt(0, [entry("B1", 50), pending], 50), "bank-camt053").lines) == 1


def test_xml_that_attacks_its_reader_is_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + CAMT.removeprefix(CAMT.split("<Document")[0])
    assert "safely" in faults(bomb, "bank-camt053")[0]
    assert "not a camt.053" in faults("<Document xmlns='urn:other'/>", "bank-camt053")[0]
    assert "no statement in it" in faults(CAMT.split("<BkTo")[0] + "</Document>", "bank-camt053")[0]


def test_a_banks_table_may_have_negative_amounts() -> None:
    statement = read(
        "Референс;Дата;Сумма;Валюта;ИИК корреспондента;Корреспондент;Назначение платежа\n"
        "1;15.05.2024;1 000,50;KZT;KZ1;Қазпошта;ақы\n2;15.05.2024;-0,50;KZT;KZ2;b;c\nИтого;;1 000,00;;2;;\n",
        "bank-csv",
    )
    assert lines_of(statement) == [("1", 100_050, "KZ1", "ақы"), ("2", -50, "KZ2", "c")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind = 1", "kind"),
        ("kind = 'bank'\nformat = 'csv'", r"\[total\]"),
        ("kind = 'agent'\nformat = 'camt053'", "of a bank"),
        ("kind = 'bank'\nformat = 'camt053'\nextra = 1", "extra"),
        ("kind = 'bank'\nformat = 'camt053'\ndelimiter = 'x'", "delimiter"),
        ("kind = 'bank'\nformat = 'camt053'\nthousands = '.'", "same sign"),
        ("kind = ", "adapter mine"),
    ],
)
def test_an_adapter_that_cannot_work_says_why(text: str, words: str) -> None:
    with pytest.raises(AdapterError, match=words):
        parse_adapter("mine", text)


@pytest.mark.parametrize("name", ["none", "../models", "A", "", "/etc/passwd", "no.toml"])
def test_an_adapter_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(AdapterError):
        find_adapter(name)


def test_an_adapter_of_ones_own_is_a_file() -> None:
    assert isinstance(parse_adapter("mine", "kind = 'bank'\nformat = 'camt053'"), Adapter)
