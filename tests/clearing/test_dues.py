"""What parties owe: dues by day, what has come for them, what is overdue, and what is booked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.channels.dues import Due, Paid, allocate, commission_of, commission_within, due_of
from clearing.channels.models import Remittance
from clearing.ledger.checks import check_ledger
from clearing.ledger.service import trial_balance
from clearing.network.parties import Agent, QrProvider
from tests.builders import CITY, DAY, NOW_S, Office, make_token
from tests.clearing import small_day
from tests.clearing.senders import agree, make_sender, party
from tests.clearing.test_qr_payments import notice

if TYPE_CHECKING:
    from tests.clearing.command import Command


def dues(*days: tuple[str, int]) -> list[Due]:
    return [due_of("agent", "kiosk", day, gross_minor, 0, 2) for day, gross_minor in days]


def test_money_that_names_its_day_pays_that_day_and_the_rest_the_oldest() -> None:
    owed = dues(("2024-05-01", 100), ("2024-05-02", 100), ("2024-05-03", 100))
    paid, beyond = allocate(owed, [Paid(100, "2024-05-02"), Paid(120, None)])
    assert ([due.open_minor for due in paid], beyond) == ([0, 0, 80], 0)
    paid, beyond = allocate(owed, [Paid(150, "2024-05-03"), Paid(200, "2024-04-01")])
    assert ([due.open_minor for due in paid], beyond) == ([0, 0, 0], 50)
    assert [due.is_overdue("2024-05-05") for due in allocate(owed, [])[0]] == [True, True, False]


_DAYS = st.sampled_from([f"2024-05-{day:02d}" for day in range(1, 6)])


@given(
    st.dictionaries(_DAYS, st.integers(1, 10**9), max_size=5),
    st.lists(st.builds(Paid, st.integers(1, 10**9), st.none() | _DAYS), max_size=6),
)
def test_nothing_that_came_is_lost_or_counted_twice(owed: dict[str, int], payments: list[Paid]) -> None:
    paid, beyond = allocate(dues(*owed.items()), payments)
    assert sum(due.paid_minor for due in paid) + beyond == sum(payment.amount_minor for payment in payments)
    assert all(0 <= due.paid_minor <= due.net_minor for due in paid)
    assert beyond == 0 or all(due.open_minor == 0 for due in paid)


@given(st.integers(1, 10**12), st.integers(0, 5_000))
def test_the_commission_within_what_has_come_is_that_of_what_was_taken(gross_minor: int, commission_bp: int) -> None:
    net_minor = gross_minor - commission_of(gross_minor, commission_bp)
    within = commission_within(net_minor, commission_bp)
    assert abs(within - commission_of(gross_minor, commission_bp)) <= 1
    assert commission_within(net_minor, 10_000) == 0


def remit(office: Office, **changes: Any) -> Any:  # noqa: ANN401 - JSON
    body = {
        "city": CITY,
        "party_kind": "qr_provider",
        "party": "wallet",
        "reference": "B-1",
        "amount_minor": 9_850,
        "banked_day": DAY,
        "service_day": DAY,
    }
    return office.client.post("/v1/remittances", json=body | changes)


@pytest.fixture
def day(office: Office) -> None:
    agree(
        office,
        qr_provider=(party(QrProvider, "wallet", commission_bp=150, settlement_days=1),),
        agent=(party(Agent, "kiosk", commission_bp=100, remittance_days=2, owes_maximum_minor=400_000),),
    )
    assert make_sender(office, "wallet", "provider").post("/v1/qr-payments", notice(office))[1]["status"] == "paid"
    order = {"reference": "T-1", "token": make_token(1).hex(), "amount_minor": 500_000, "at_s": NOW_S}
    assert make_sender(office, "kiosk", "agent", signed=False).post("/v1/top-ups", order)[0] == 200


@pytest.mark.usefixtures("day")
def test_a_remittance_is_booked_once_with_the_commission(office: Office) -> None:
    answers = [remit(office) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["commission_minor"] == 150
    assert remit(office, amount_minor=9_851).status_code == 409
    with office.database.reading() as session:
        balances = {each.account: each.amount_minor for each in trial_balance(session, CITY)}
        assert check_ledger(session) == []
    assert balances == {
        f"asset:bank:{CITY}": 9_850,
        f"asset:receivable:{CITY}:qr-provider:wallet": -10_000,
        f"expense:fees:{CITY}:wallet": 150,
    }


@pytest.mark.usefixtures("day")
def test_after_close_and_remittance_a_party_owes_nothing(office: Office) -> None:
    small_day.close(office)
    body = {"party_kind": "agent", "party": "kiosk", "amount_minor": 495_000, "reference": "B-2"}
    assert [remit(office).status_code, remit(office, **body).status_code] == [201, 201]
    with office.database.reading() as session:
        balances = {each.account: each.amount_minor for each in trial_balance(session, CITY)}
        assert check_ledger(session) == []
    assert balances[f"asset:bank:{CITY}"] == 9_850 + 495_000
    assert balances.get(f"asset:receivable:{CITY}:qr-provider:wallet", 0) == 0
    assert balances.get(f"asset:receivable:{CITY}:agents:kiosk", 0) == 0
    assert balances[f"liability:purses:{CITY}"] == -500_000


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"party": "nobody"}, 404),
        ({"party_kind": "carrier", "party": "nobody"}, 404),
        ({"party_kind": "bank"}, 422),
        ({"amount_minor": 0}, 422),
        ({"banked_day": "2024-05-16"}, 422),
        ({"service_day": "2024-06-01"}, 422),
        ({"city": "nowhere"}, 404),
    ],
)
@pytest.mark.usefixtures("day")
def test_a_remittance_that_cannot_be_is_refused(office: Office, changes: dict[str, Any], status: int) -> None:
    assert remit(office, **changes).status_code == status
    assert office.count(Remittance) == 0


@pytest.mark.usefixtures("day")
def test_what_is_due_and_overdue_is_listed(office: Office, command: Command) -> None:
    listed = office.client.get("/v1/remittances/dues", params={"city": CITY}).json()["parties"]
    standing = {each["party"]: (each["open_minor"], each["over_limit"]) for each in listed}
    assert standing == {"kiosk": (495_000, True), "wallet": (9_850, False), "alatau": (0, False), "medeu": (0, False)}
    late = command.json("channels", "dues", "--overdue", "--as-of", "2024-05-17T12:00")["dues"]
    assert [(each["party"], each["due_day"], each["open_minor"]) for each in late] == [("wallet", "2024-05-16", 9_850)]
    remit(office)
    late = command.json("channels", "dues", "--overdue", "--as-of", "2024-05-18T12:00")["dues"]
    assert [(each["party"], each["open_minor"]) for each in late] == [("kiosk", 495_000)]
    assert command.run("channels", "dues")[0] == 0


@pytest.mark.usefixtures("day")
def test_a_new_commission_changes_no_old_day(office: Office) -> None:
    agree(
        office,
        valid_from="2024-05-16",
        qr_provider=(party(QrProvider, "wallet", commission_bp=9_000, settlement_days=9),),
    )
    listed = office.client.get("/v1/remittances/dues", params={"city": CITY}).json()["parties"]
    (due,) = next(each["dues"] for each in listed if each["party"] == "wallet")
    assert (due["commission_minor"], due["due_day"]) == (150, "2024-05-16")
