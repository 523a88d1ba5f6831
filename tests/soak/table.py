"""The results of a soak as a page: what was done, on which machine, and what of the whole that is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.bench.table import Table
from tests.soak.schedules import BETWEEN_COMMIT_AND_ACK
from tests.soak.shards import BROKEN, PARTS, plan

if TYPE_CHECKING:
    from tests.soak.code import Code
    from tests.soak.shards import Result

_HEAD = """# Soak

`make soak` holds the promises of the tests for hours: a tenth of the whole by default, all of it with `FULL=1`. It can be stopped
at any time: results are kept in `.cache/soak/`, and a second run goes on from there.

A result counts as long as the code that it belongs to is the same; the column *code* names it. That is everything on the way of a
tap from the light to the ack (journal, recorder, session, documents, codec, ingest, fleet, database), the simulation that attacks
it, and what plays and counts here. What lies beside that way may change meanwhile: media and readers, fares, and what the back
office does with taps once they are stored (pricing, ledger, settlement, channels, pages, cities, migrations). It runs in every
shard, and the books must balance there; *as now* says in how many it was as it is now. [`code.py`](soak/code.py) has the list.
`.venv/bin/python -m tests.soak --table` makes this page from what is kept, `--help` says the rest.
"""
_NOTE = """*Lost*: a green light that is not in the books, or a record that was promised to a rider and is neither on flash nor
acknowledged. *Doubled*: cleared twice, or a number used twice. *Phantom*: cleared or recorded, and nobody paid. *Dark*: recorded,
and the power failed before the light; each is one press of the driver's key. *Excused*: the flash rotted, the validator was
copied, or the backup was older than what the validator still had; these are on the exceptions list, or among the conflicts.
*False alarm*: the journal reports one record as lost that nobody was promised: after a cut that left the bits of its last record
programmed in no order, it cannot be told from one that rotted."""
_PEERS = """## Beside it

| who | what they say |
| --- | --- |
| littlefs | its own power-loss tests: 28 741 cuts in a run |
| FoundationDB | tens of thousands of simulations each night |
"""
_Machine = dict[str, str | int | float]


def page(results: list[Result], machine: _Machine, codes: dict[str, Code], others: dict[str, int]) -> str:
    """Return the page.

    Args:
        results: what counts.
        machine: on which it was played.
        codes: names of the code of each part.
        others: how many results of other code are kept, by part.
    """
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(results, machine).items())
    told = [
        _HEAD,
        _share(results, others),
        "",
        "| | |",
        "| --- | --- |",
        facts,
        "",
        _table(results, codes).as_text(),
        "",
    ]
    return "\n".join([*told, _PEERS])


def _share(results: list[Result], others: dict[str, int]) -> str:
    shards = list(plan())
    weight = sum(PARTS[result.shard.part].seconds for result in results)
    share = 100 * weight / sum(PARTS[shard.part].seconds for shard in shards)
    told = (
        "**This is the whole soak.**"
        if len(results) == len(shards)
        else f"**This is {share:.1f} per cent of the whole soak**, by time: {len(results)} of its {len(shards)} shards."
    )
    played = {(result.shard.part, result.shard.variant) for result in results}
    missing = dict.fromkeys(
        f"{shard.part} {shard.variant}".strip() for shard in shards if (shard.part, shard.variant) not in played
    )
    if results and missing:
        told += f" Nothing was played yet of {', '.join(missing)}."
    if others:
        names = ", ".join(f"{count} of {name}" for name, count in others.items())
        told += f" Not counted are results of other code: {names}."
    return told


def _facts(results: list[Result], machine: _Machine) -> dict[str, str | int | float]:
    dates = sorted(result.date for result in results)
    names = {"processor": "cpu", "cores": "cores", "memory, GB": "memory_gb", "system": "system", "Python": "python"}
    return {
        "from, to": f"{dates[0]}, {dates[-1]}" if dates else "nothing was played yet",
        "hours of work": round(sum(result.seconds for result in results) / 3600, 2),
        **{title: machine[name] for title, name in names.items()},
    }


def _table(results: list[Result], codes: dict[str, Code]) -> Table:
    columns = ("what", "of all", "seeds", "events", "rides", *BROKEN, "other faults", "minutes", "code", "as now")
    rows = [
        _row(f"{name} {variant}".strip(), _of(results, name, variant), codes[name])
        for name, part in PARTS.items()
        for variant in part.variants
    ]
    return Table("Results", columns, [row for row in rows if row is not None], _NOTE)


def _of(results: list[Result], part: str, variant: str) -> list[Result]:
    return [result for result in results if (result.shard.part, result.shard.variant) == (part, variant)]


def _row(name: str, results: list[Result], code: Code) -> tuple[str | int | float | None, ...] | None:
    if not results:
        return None
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts)
    part = PARTS[results[0].shard.part]
    seeds = sorted(result.shard.seed for result in results)
    return (
        name,
        f"{100 * len(results) / part.seeds:.1f} %",
        f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0]),
        _events(results[0].shard.part, counts),
        counts["records"] or counts["accepted"] or counts["green"],
        *(counts[kind] for kind in BROKEN),
        sum(len(result.faults) for result in results),
        sum(result.seconds for result in results) / 60,
        code.attacked,
        f"{sum(result.beside == code.beside for result in results)} of {len(results)}",
    )


def _events(part: str, counts: Counter[str]) -> str:
    if part == "journal":
        return f"{_number(counts['cuts'])} power cuts; {_number(counts['false alarms'])} false alarms"
    if part == "kills":
        return f"{counts['crashes']} kills of the service, {counts['power cuts']} of validators; {counts['dark']} dark rides"
    between = sum(counts[point] for point in BETWEEN_COMMIT_AND_ACK)
    return (
        f"{_number(counts['schedules'])} schedules, {_number(counts['taps'])} taps, {_number(counts['power cuts'])} power cuts, "
        f"{_number(counts['crashes'])} crashes ({_number(between)} between COMMIT and ack), {counts['restores']} restores; "
        f"{counts['excused']} excused"
    )


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
