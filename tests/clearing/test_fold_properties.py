"""The fold against an oracle that is written another way, by any order of arrival, in any number of runs, and by a compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clearing.network.service_day import service_day
from clearing.pricing.compiled import fold_compiled
from clearing.pricing.walk import Before
from protocol.tap import PRODUCT_GROUP, PRODUCT_QUOTA, PRODUCT_TRANSFER
from tests.builders import make_token
from tests.clearing.tariff_day import ADULT, BANK, CARD, CASH, PRICES, PUPIL, ZONE, price, ride, tariff

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from clearing.pricing.facts import RideFacts
    from clearing.pricing.terms import DayTariff
    from clearing.pricing.walk import Priced

_DAYS = ("2024-05-15", "2024-05-16", "2024-05-17")
_RULES = st.fixed_dictionaries(
    {},
    optional={
        "transfer": st.fixed_dictionaries(
            {
                "within_s": st.sampled_from([600, 1800, 5400]),
                "rides": st.integers(1, 3),
                "fare_minor": st.sampled_from([0, 3_000]),
            },
            optional={"same_carrier": st.booleans(), "other_line": st.booleans(), "media": st.just([CARD])},
        ),
        "quotas": st.just({"2": 1}),
        "same_vehicle_s": st.just(120),
        "free_days": st.just(["2024-05-16"]),
        "group": st.just({"riders_max": 3}),
        "cap": st.lists(
            st.fixed_dictionaries(
                {"period": st.sampled_from(["day", "week", "month"]), "amount_minor": st.integers(1, 40_000)}
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda cap: cap["period"],
        ),
    },
)


@st.composite
def _rides(draw: st.DrawFn, doubt: bool = False) -> list[RideFacts]:
    """Rides of three days, of two cards and of cash, with no two of one moment."""
    minutes = draw(st.lists(st.integers(0, 3 * 24 * 60 - 1), max_size=14, unique=True))
    rides = []
    for number, minute in enumerate(minutes, 1):
        medium, category = draw(
            st.sampled_from([key for key in PRICES if key[0] in {CARD, BANK, CASH} and key[1] in {ADULT, PUPIL}])
        )
        before_s = draw(st.sampled_from([0, 0, 300, 86_400])) if doubt else 0
        rides.append(
            ride(
                minute,
                draw(st.sampled_from([0, 5_000, 10_000, 20_000, -1])),
                None if medium == CASH else draw(st.integers(1, 2)),
                number,
                medium=medium,
                category=category,
                product=draw(st.sampled_from([1, PRODUCT_TRANSFER, PRODUCT_QUOTA, PRODUCT_GROUP + 2, None])),
                carrier=draw(st.sampled_from(["alatau", "medeu"])),
                line=draw(st.integers(1, 2)),
                vehicle=draw(st.sampled_from(["A-1", "A-2"])),
                before_s=before_s,
            )
        )
    return rides


def _tariffs(rules: dict[str, Any]) -> list[DayTariff]:
    return [tariff(day, **rules) for day in ("2024-05-14", *_DAYS, "2024-05-18")]


class _Oracle:
    """One card's rides by the rules as a person would say them: it looks back over everything, and keeps no state."""

    def __init__(self, tariff_of: dict[str, DayTariff], is_known_again: bool) -> None:
        self._is_known_again = is_known_again
        self._tariff_of = tariff_of
        self.done: list[tuple[Any, int, str, int]] = []

    def take(self, facts: RideFacts, riders: int) -> int:
        due, rule = self._due(facts, riders)
        tariff_now = self._tariff_of[facts.day]
        scheduled = (
            tariff_now.prices[facts.medium, facts.category] + (riders - 1) * tariff_now.prices[facts.medium, ADULT]
        )
        on_spot = facts.medium != BANK
        taken = scheduled if facts.taken_minor < 0 else facts.taken_minor
        borne = min(taken, due) if on_spot else due
        if borne < due or (rule == "tariff" and borne < scheduled):
            rule = {PRODUCT_TRANSFER: "transfer", PRODUCT_QUOTA: "quota"}.get(facts.product or 1, "charged_less")
        self.done.append((facts, borne, rule, riders))
        return borne

    def _due(self, facts: RideFacts, riders: int) -> tuple[int, str]:
        tariff_now = self._tariff_of[facts.day]
        rules, single = tariff_now.rules, tariff_now.prices[facts.medium, facts.category]
        others = (riders - 1) * tariff_now.prices[facts.medium, ADULT]
        is_bus_right = (
            facts.medium != BANK
            or (facts.product == PRODUCT_TRANSFER and rules.transfer)
            or (facts.product == PRODUCT_QUOTA and rules.quotas)
        )
        if not is_bus_right and riders == 1 and facts.taken_minor >= 0:
            single = min(single, facts.taken_minor)
        if facts.day in rules.free_days:
            return 0, "free_day"
        rode = [each for each in self.done if each[2] != "same_vehicle"]
        if (
            rode
            and rules.same_vehicle_s
            and rode[-1][0].vehicle == facts.vehicle
            and facts.at_s - rode[-1][0].at_s < rules.same_vehicle_s
        ):
            return 0, "same_vehicle"
        if self._is_known_again and rules.quotas.get(facts.category, 0) > len(
            [each for each in rode if each[0].day == facts.day]
        ):
            return others, "quota"
        return self._by_transfer_and_caps(facts, riders, single, rode)

    def _by_transfer_and_caps(self, facts: RideFacts, riders: int, single: int, rode: list[Any]) -> tuple[int, str]:
        tariff_now = self._tariff_of[facts.day]
        transfer, adult = tariff_now.rules.transfer, tariff_now.prices[facts.medium, ADULT]
        due, rule, others = single, "tariff", (riders - 1) * adult
        paid = [each for each in rode if each[1] > 0 and each[2] != "transfer"]
        if paid and transfer is not None and transfer.whom.covers(facts.medium, facts.category):
            first = paid[-1][0]
            since = [each for each in rode[rode.index(paid[-1]) :] if each[2] == "transfer"]
            if (
                len(since) < transfer.rides
                and facts.at_s - first.at_s <= transfer.within_s
                and (not transfer.same_carrier or first.carrier == facts.carrier)
                and (not transfer.other_line or first.line != facts.line)
            ):
                if transfer.fare_minor < single:
                    due, rule = transfer.fare_minor, "transfer"
                along = min(riders, paid[-1][3]) - 1
                others = (riders - 1 - along) * adult + along * min(adult, transfer.fare_minor)
        if riders == 1 and self._is_known_again:
            for cap in tariff_now.rules.caps:
                left = max(0, cap.amount_minor - self._spent(cap.period, facts.day))
                if left < due:
                    due, rule = left, "cap"
        return due + others, rule

    def _spent(self, period: str, day: str) -> int:
        # The three days are of one week and one month.
        return sum(
            borne for facts, borne, _, riders in self.done if riders == 1 and (period != "day" or facts.day == day)
        )


def _by_oracle(rides: Sequence[RideFacts], rules: dict[str, Any]) -> dict[str, int]:
    tariff_of = {each.day: each for each in _tariffs(rules)}
    cards: dict[object, _Oracle] = {}
    found = {}
    for facts in sorted(rides, key=lambda each: each.order):
        card = cards.setdefault(facts.token or facts.source_key, _Oracle(tariff_of, facts.token is not None))
        riders = 2 if facts.product == PRODUCT_GROUP + 2 and "group" in rules else 1
        found[facts.source_key] = card.take(facts, riders)
    return found


@settings(max_examples=300, deadline=None)
@given(_rides(), _RULES)
def test_the_fold_says_what_an_oracle_says_that_keeps_no_state(rides: list[RideFacts], rules: dict[str, Any]) -> None:
    told = price(rides, *_tariffs(rules))
    assert {each.facts.source_key: each.charged_minor for each in told} == _by_oracle(rides, rules)


@given(_rides(doubt=True), _RULES, st.randoms(use_true_random=False))
def test_the_order_in_which_rides_are_given_means_nothing(
    rides: list[RideFacts], rules: dict[str, Any], chance: random.Random
) -> None:
    once = price(rides, *_tariffs(rules))
    chance.shuffle(rides)
    assert price(rides, *_tariffs(rules)) == once


def _as_before(priced: Priced) -> Before:
    facts = priced.facts
    assert facts.token is not None
    return Before(
        facts.token, facts.day, facts.medium, facts.category, facts.carrier, facts.vehicle, facts.line, facts.at_s,
        priced.charged_minor, priced.rule, f"tap/{facts.source_key}", priced.journey_key, priced.riders - 1,
    )  # fmt: skip


def _sums(priced: Sequence[Priced]) -> list[Before]:
    return [
        Before(
            each.facts.token,
            each.facts.day,
            each.facts.medium,
            each.facts.category,
            "",
            "",
            None,
            0,
            each.charged_minor,
            "tariff",
        )
        for each in priced
        if each.facts.token is not None and each.riders == 1
    ]


@given(_rides(), _RULES)
def test_a_day_by_itself_with_what_the_days_before_have_cost_is_a_part_of_the_whole(
    rides: list[RideFacts], rules: dict[str, Any]
) -> None:
    whole = price(rides, *_tariffs(rules))
    told: list[Priced] = []
    for day in _DAYS:
        before = [_as_before(each) for each in told if each.facts.token is not None]
        told += price([each for each in rides if each.day == day], *_tariffs(rules), before=[*before, *_sums(told)])
    assert told == whole


@given(_rides(doubt=True), _RULES)
def test_no_rule_and_no_doubt_makes_a_ride_dearer(rides: list[RideFacts], rules: dict[str, Any]) -> None:
    told = price(rides, *_tariffs(rules))
    for each in told:
        assert 0 <= each.charged_minor <= each.terms.scheduled_minor
        if each.facts.medium != BANK and each.facts.taken_minor >= 0:
            assert each.charged_minor + each.correction_minor == each.facts.taken_minor
        assert service_day(ZONE, each.facts.at_s) == each.facts.day


@given(_rides(doubt=True), _RULES)
def test_doubt_about_the_time_never_costs_a_rider_more_than_certainty(
    rides: list[RideFacts], rules: dict[str, Any]
) -> None:
    """With one tariff for all days; of doubtful orders and windows the rider gets the cheaper."""
    rules = {name: value for name, value in rules.items() if name != "free_days"}
    for card in (1, 2):
        own = [each for each in rides if each.token == make_token(card)]
        sure = [each._replace(before_s=0) for each in own]
        doubted, certain = (sum(each.charged_minor for each in price(some, *_tariffs(rules))) for some in (own, sure))
        assert doubted <= certain


@settings(max_examples=25, deadline=None)
@given(_rides(), _RULES)
def test_a_compiler_makes_the_same_of_the_same_text(rides: list[RideFacts], rules: dict[str, Any]) -> None:
    assert price(rides, *_tariffs(rules), run=fold_compiled) == price(rides, *_tariffs(rules))
