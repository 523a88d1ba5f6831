"""Why a ride costs what it costs, step by step: what is stored of it, and what is said of it in three languages. Pure.

Stored is canonical JSON: `reason`, `day` (of the tariff) and `taken_minor`, and `steps` where the price did not follow from the
tariff alone. A step is an object with its `step` and the values that its sentence needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clearing.money import format_minor
from clearing.network.tariff_rules import PERIODS
from clearing.pricing.fold import ON_SPOT
from clearing.pricing.reasons import CODES, STEPS, explain
from clearing.pricing.terms import DayTariff, RuleTable
from clearing.pricing.walk import Priced

Step = dict[str, Any]


def derive(priced: Priced, tariffs: Mapping[str, DayTariff], table: RuleTable) -> dict[str, Any]:
    """What is stored of a fare's derivation."""
    facts = priced.facts
    said: dict[str, Any] = {"reason": priced.rule, "day": priced.terms.day, "taken_minor": facts.taken_minor}
    steps = [*_first_steps(priced, tariffs[priced.terms.day]), *_rule_steps(priced, tariffs[facts.day], table)]
    if steps:
        said["steps"] = steps + _refund(priced)
    return said


def _first_steps(priced: Priced, tariff: DayTariff) -> list[Step]:
    """How the price was found before any rule."""
    facts = priced.facts
    steps: list[Step] = []
    if priced.terms.day != facts.day:
        steps.append({"step": "clock_doubt", "day": priced.terms.day})
    zones = tariff.rules.zones
    if zones is not None and tariff.is_by_way(facts):
        start, end = zones.stops.get(facts.stop or 0), zones.stops.get(facts.off_stop or 0)
        if start is not None:
            steps.append(
                {"step": "zones", "start": start, "end": end} if end else {"step": "zones_open", "start": start}
            )
    if priced.riders > 1:
        steps.append({"step": "group", "riders": priced.riders})
    return steps


def _rule_steps(priced: Priced, tariff: DayTariff, table: RuleTable) -> list[Step]:
    """The rule by which it is cheaper."""
    rules, facts = tariff.rules, priced.facts
    if priced.rule == "transfer" and priced.earlier_key is not None and rules.transfer is not None:
        times = {"after_s": priced.after_s, "within_s": rules.transfer.within_s}
        return [{"step": "transfer", "of": priced.earlier_key, "number": priced.number, **times}]
    if priced.rule == "same_vehicle" and priced.earlier_key is not None:
        return [
            {
                "step": "same_vehicle",
                "of": priced.earlier_key,
                "after_s": priced.after_s,
                "within_s": rules.same_vehicle_s,
            }
        ]
    if priced.rule == "quota" and priced.number:
        return [{"step": "quota", "number": priced.number, "rides": rules.quotas[facts.category]}]
    named = rules.pass_for(facts.product, facts.medium, facts.category)
    if priced.rule == "pass" and named is not None:
        return [{"step": "pass", "product": named.product, "names": dict(named.names)}]
    if priced.rule == "cap":
        period, whom = table.places[priced.number]
        amount_minor = next(
            cap.amount_minor for cap in rules.caps if cap.period == PERIODS[period] and cap.whom == whom
        )
        return [{"step": f"cap_{PERIODS[period]}", "amount_minor": amount_minor, "left_minor": priced.due_minor}]
    return []


def _refund(priced: Priced) -> list[Step]:
    """What was taken beyond the fare is owed back; of an account it was only shown."""
    if not priced.correction_minor:
        return []
    step = "refund" if priced.terms.flags & ON_SPOT else "shown"
    amounts = {"taken_minor": priced.terms.taken_minor, "correction_minor": priced.correction_minor}
    return [{"step": step, **amounts}]


def say(explanation: Mapping[str, Any], fare: Mapping[str, object], language: str) -> list[str]:
    """The derivation in words, a sentence each; `fare` has `medium`, `category`, `scheduled_minor` and `charged_minor`."""
    values = {
        "day": explanation["day"],
        "medium": fare["medium"],
        "category": fare["category"],
        "scheduled": format_minor(int(str(fare["scheduled_minor"]))),
        "charged": format_minor(int(str(fare["charged_minor"]))),
    }
    reason = explanation["reason"]
    assert reason in CODES
    sentences = [] if reason == "tariff" else [explain("tariff", language, values)]
    if reason in {"not_in_tariff", "implausible"}:
        sentences = []
    sentences += [_step(step, language) for step in explanation.get("steps", ())]
    return [*sentences, explain(reason, language, values)]


def _step(step: Mapping[str, Any], language: str) -> str:
    values = {
        name.removesuffix("_minor"): format_minor(value) if name.endswith("_minor") else value
        for name, value in step.items()
        if name not in {"step", "names"}
    }
    if "names" in step:
        values["name"] = step["names"][language]
    return STEPS[step["step"]][language].format(**values)
