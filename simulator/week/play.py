"""The days of a week: riders by every channel, and in the night what a city's operator does; then the count.

Each night the day is closed, the acquirer is asked for the money, counterparties bring their statements, the bank its own, and
everything is reconciled. One bus has no network for two days, so that its taps come after their days were closed. At the end
every difference that was made on purpose must be a break, and there must be no other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from protocol.qr.vehicle_label import label_check, show_label
from simulator.library.street import VirtualNetwork, VirtualStreet
from simulator.wallet import msisdn
from simulator.week.town import Difference, Town

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.library.street import VirtualBus
    from simulator.week.office import CityOffice

_BUSES = 3
_RUNS_A_NIGHT = 4
_SETTLE_DAYS = 4
_UTC_OFFSET = timedelta(hours=5)
_MINUTE_MS = 60_000
# The bus that loses its network, from one day on for so many.
_CUT_OFF = (2, 2)
_SHORT_MINOR = 5_000


@dataclass
class Counts:
    """What happened in a week.

    Attributes:
        lights: taps at validators, by medium and light.
        closes: versions by day.
    """

    lights: Counter[str] = field(default_factory=Counter)
    sms: int = 0
    qr_payments: int = 0
    closes: dict[str, int] = field(default_factory=dict)


class Week:
    """One week of one city.

    Args:
        folder: for the validators' state.
        progress: told how much has passed, 0 to 1, and what is going on.
    """

    def __init__(
        self,
        office: CityOffice,
        seed: int,
        days: int,
        riders: int,
        runtime: str,
        folder: Path,
        progress: Callable[[float, str], None],
    ) -> None:
        self._office = office
        self._days = days
        self._riders = riders
        self._progress = progress
        self._street = VirtualStreet(office, VirtualNetwork(), folder, runtime)  # type: ignore[arg-type] # as one of the library
        self._town = Town(office, seed, riders)
        self._chance = self._street.world.chance(f"week {seed}")
        self._buses: list[VirtualBus] = []
        self._lines: dict[str, int] = {row["code"]: row["line"] for row in office.network["vehicles"]}
        self._carriers: dict[str, str] = {row["code"]: row["carrier"] for row in office.network["vehicles"]}
        # What drivers took, by day and carrier: the truth, whatever has come to the service by then.
        self._tills: Counter[tuple[str, str]] = Counter()
        self.counts = Counts()

    def run(self) -> dict[str, Any]:
        """Play it and count."""
        try:
            self._town.acquirer.start()
            vehicles = sorted(self._lines)
            for code in vehicles[:: max(1, len(vehicles) // _BUSES)][:_BUSES]:
                self._buses.append(self._street.bus(code))
            for number in range(self._days):
                self._progress(number / (self._days + 1), f"day {number + 1} of {self._days}")
                self._play_day(number)
                self._night()
            self._progress(self._days / (self._days + 1), "the last statements")
            for bus in self._buses:
                bus.drive_on(20)
            self._street.close()
            for _ in range(_SETTLE_DAYS):
                self._night()
            return self._count()
        finally:
            self._street.close()
            self._town.close()

    # By day.

    @property
    def _today(self) -> date:
        local = datetime.fromtimestamp(self._street.world.now_ms / 1000, UTC) + _UTC_OFFSET
        return local.date()

    def _play_day(self, number: int) -> None:
        cut_off, days = _CUT_OFF
        for bus in self._buses:
            bus.stop_at(self._lines[bus.code], stop=1, trip=number + 1)
        self._buses[0].bus.network.covered = not cut_off <= number < cut_off + days
        for turn in range(self._riders):
            bus = self._buses[turn % len(self._buses)]
            self._ride(bus, number, turn)
            self._pay_by_phone(bus.code, number * self._riders + turn)
            bus.drive_on(4)
        self._give_back_some()
        for bus in self._buses:
            bus.drive_on(15)
        self._town.provider.deliver()
        self._town.aggregator.deliver()

    def _ride(self, bus: VirtualBus, number: int, turn: int) -> None:
        medium = ("transport card", "bank card", "cash")[(number + turn) % 3]
        if medium == "transport card":
            seen = bus.hold(self._town.transport[turn])
        elif medium == "bank card":
            seen = bus.hold(self._town.bank_cards[turn])
        else:
            seen = bus.press_cash()
            if seen.light == "green":
                self._tills[self._today.isoformat(), self._carriers[bus.code]] += seen.fare_minor or 0
        self.counts.lights[f"{medium}, {seen.light or 'dark'}"] += 1

    def _pay_by_phone(self, vehicle: str, number: int) -> None:
        """Every second turn somebody scans the label of the bus, every second one texts its code; some mistype it."""
        if number % 2:
            check = label_check(self._office.keys["qr_master"], self._office.city, vehicle)
            code = show_label(self._office.city, vehicle, check)
            amount_minor = self._town.prices["qr"]
            if number % 9 == 0:
                amount_minor -= 1_000
            self._town.provider.pay(f"payer {number}", code, vehicle, amount_minor)
            self.counts.qr_payments += 1
        else:
            self._town.aggregator.send(msisdn(number), vehicle if number % 8 else "hello")
            self.counts.sms += 1

    def _give_back_some(self) -> None:
        """Riders complain about payments of the day, and some get their money back."""
        today = self._today.isoformat()
        for reference, payment in sorted(self._town.provider.payments.items()):
            is_paid = payment.answer is not None and payment.answer["status"] == "paid"
            if payment.day == today and is_paid and self._chance.random() < 0.1:
                self._town.provider.give_back(reference)

    # By night.

    def _night(self) -> None:
        """From the evening to the next morning, 08:00."""
        day = self._today
        self._until(day + timedelta(days=1), 4)
        self._close_what_waits()
        for run in range(_RUNS_A_NIGHT):
            self._until(day + timedelta(days=1), 5, 10 * run)
            self._ask_acquirer()
        self._until(day + timedelta(days=1), 6)
        self._count_cash(day.isoformat())
        self._bring_statements(day)
        self._pay_out(day.isoformat())
        self._office.post("/v1/reconciliations", {"city": self._office.city, "day": day.isoformat()})
        self._until(day + timedelta(days=1), 8)

    def _until(self, day: date, hour: int, minute: int = 0) -> None:
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC) - _UTC_OFFSET
        left_ms = int(moment.timestamp() * 1000) - self._street.world.now_ms
        self._street.run_for(max(0, left_ms))

    def _close_what_waits(self) -> None:
        """Close what the page of closes shows as waiting."""
        for day in self._office.get("/v1/closes/waiting", city=self._office.city)["days"]:
            close = self._office.post("/v1/closes", {"city": self._office.city, "day": day["day"]})
            self.counts.closes[day["day"]] = close["version"]

    def _ask_acquirer(self) -> None:
        now = datetime.fromtimestamp(self._street.world.now_ms / 1000, UTC)
        asked = ("acquiring", "run", "--city", self._office.city, "--url", self._town.acquirer.url)
        self._office.command(*asked, "--timeout-s", "5", "--as-of", now.isoformat(), "--json")

    def _count_cash(self, day: str) -> None:
        """Every carrier counts what its drivers took; once, one has less than that."""
        for (of_day, carrier), taken_minor in sorted(self._tills.items()):
            if of_day != day:
                continue
            counted_minor = taken_minor
            if not self._town.shortages and counted_minor > _SHORT_MINOR:
                counted_minor -= _SHORT_MINOR
                self._town.shortages.append(Difference("till_short", day))
            asked = {"city": self._office.city, "carrier": carrier, "day": day, "counted_minor": counted_minor}
            self._office.post("/v1/till-counts", asked | {"reference": f"{day}-{carrier}"})
            self._bank_cash(carrier, day, counted_minor)

    def _bank_cash(self, carrier: str, day: str, amount_minor: int) -> None:
        account = next(each for each in self._town.parties["carrier"] if each["code"] == carrier)
        banked = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        self._town.bank.credit(
            banked, amount_minor, account["iban"], carrier, f"JQ {day}", f"carrier {day}", cause="not_banked"
        )

    def _bring_statements(self, day: date) -> None:
        """Those of the day from whoever tells at once; of the day before from the acquirer and the bank."""
        town, told, before = self._town, day.isoformat(), (day - timedelta(days=1)).isoformat()
        paid_on = (day + timedelta(days=1)).isoformat()
        if told in self.counts.closes:
            takers = (
                (town.provider, "qr-provider", town.parties["qr_provider"][0]),
                (town.aggregator, "sms-aggregator", town.parties["sms_aggregator"][0]),
                (town.agent, "agent", town.parties["agent"][0]),
            )
            for taker, adapter, party in takers:
                self._office.bring(taker.statement(told), adapter)
                net_minor = taker.net_minor(told)
                if net_minor and adapter != "sms-aggregator":
                    kind = "agent" if adapter == "agent" else adapter.replace("-", "_")
                    town.bank.credit(paid_on, net_minor, party["iban"], party["code"], f"JQ {told}", f"{kind} {told}")
        self._bring_acquirers(told)
        self._office.bring(town.bank.statement(before), "bank-camt053")

    def _bring_acquirers(self, day: str) -> None:
        """The acquirer's statement, and the money that it says it pays out."""
        statement = self._town.acquirer.statement(day)
        self._office.bring(statement, "acquirer")
        *_, amount, fee, _currency = statement.decode().splitlines()[-1].split(";")
        net_minor = round(100 * (Decimal(amount) - Decimal(fee)))
        if net_minor:
            acquirer = self._town.parties["acquirer"]
            self._town.bank.credit(day, net_minor, acquirer["iban"], acquirer["code"], f"JQ {day}", is_sure=True)

    def _pay_out(self, day: str) -> None:
        """Pay carriers what they are owed: one person proposes, another approves, the bank pays."""
        city = self._office.city
        self._office.post("/v1/payouts", {"city": city, "last_day": day})
        for payout in self._office.get("/v1/payouts", city=city, state="proposed")["payouts"]:
            self._office.decide(f"/v1/payouts/{payout['number']}/decision", approve=True)
            amount_minor, reference = payout["amount_minor"], payout["reference"]
            if amount_minor:
                self._town.bank.debit(payout["pay_on"], amount_minor, payout["iban"], payout["party"], reference)

    # At the end.

    def _count(self) -> dict[str, Any]:
        city = self._office.city
        found = [
            Difference(each["cause"], each["reference"])
            for state in ("open", "assigned")
            for each in self._office.get("/v1/breaks", city=city, state=state)["breaks"]
        ]
        made = self._town.made()
        missing, false = Counter(made) - Counter(found), Counter(found) - Counter(made)
        balance = self._office.get("/v1/ledger/trial-balance", city=city)
        books = self._office.get("/v1/ledger/check")
        return {
            "city": city,
            "days": self._days,
            "taps": dict(sorted(self.counts.lights.items())),
            "sms": self.counts.sms,
            "qr_payments": self.counts.qr_payments,
            "top_ups": len(self._town.agent.sales),
            "closes": self.counts.closes,
            "close_sha256": {
                day: self._office.get(f"/v1/closes/{city}/{day}")["sha256"] for day in sorted(self.counts.closes)
            },
            "ledger_imbalance_minor": balance["imbalance_minor"],
            "ledger_faults": books["faults"],
            "breaks_injected": len(made),
            "breaks_found": len(made) - missing.total(),
            "breaks_missing": [vars(each) for each in missing.elements()],
            "false_breaks": false.total(),
            "false": [vars(each) for each in false.elements()],
        }
