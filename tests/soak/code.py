"""Which code a result belongs to: a soak takes longer than people wait between two changes.

The code of a part is everything that it imports or starts, but for what lies beside the way of a tap from the light to the ack:
that changes daily, is held by tests of its own, and would discard hours of work that it has no part in. What lies beside has a
name as well, which each result keeps: the page tells how much was played with everything as it is now.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grimp

from tests.soak.shards import PARTS, TOP

if TYPE_CHECKING:
    from pathlib import Path

    from grimp import ImportGraph

    from tests.soak.shards import Part

_PACKAGES = ("protocol", "firmware", "simulator", "clearing", "tests")
# What is read beside modules.
_DATA_ENDINGS = {".toml", ".json", ".sql"}
# On the way of a tap in the back office; the rest of `clearing` reads what is stored, or is asked by people.
_OF_CLEARING = ("ingest", "fleet", "database.py", "checkpoint.py", "cose_response.py", "endpoint.py", "clock.py")
# What decides about a medium, or speaks with one or with people: before there is a record, or after it was stored.
_BESIDE = frozenset(
    {
        "clearing/fleet/api.py",
        "clearing/fleet/card_authorities.py",
        "clearing/fleet/commands.py",
        "clearing/fleet/documents.py",
        "clearing/fleet/key_commands.py",
        "clearing/fleet/key_file.py",
        "clearing/fleet/kept_lists.py",
        "clearing/fleet/keys.py",
        "clearing/fleet/lists.py",
        "clearing/ingest/commands.py",
        "clearing/ingest/exceptions.py",
        "clearing/ingest/service.py",
        "clearing/ingest/top_up_commands.py",
        "clearing/ingest/top_ups.py",
        "firmware/acquirer_keys.py",
        "firmware/app.py",
        "firmware/arguments.py",
        "firmware/authority_building.py",
        "firmware/bank_cards.py",
        "firmware/boards",
        "firmware/card_authorities.py",
        "firmware/card_rides.py",
        "firmware/decision.py",
        "firmware/fare_tables.py",
        "firmware/farebox.py",
        "firmware/feedback.py",
        "firmware/flash_image.py",
        "firmware/flash_report.py",
        "firmware/inspected_cards.py",
        "firmware/inspection.py",
        "firmware/inspector.py",
        "firmware/neighbours.py",
        "firmware/paid_taps.py",
        "firmware/place.py",
        "firmware/program.py",
        "firmware/readers",
        "firmware/rules.py",
        "firmware/screen.py",
        "firmware/serving.py",
        "firmware/starting.py",
        "firmware/texts",
        "firmware/tickets.py",
        "firmware/top_ups.py",
        "firmware/transit_cards.py",
        "firmware/usage.py",
        "firmware/validator.py",
        "protocol/card_authorities.py",
        "protocol/cards",
        "protocol/cmac.py",
        "protocol/decision_names.py",
        "protocol/decisions.py",
        "protocol/fare_rules.py",
        "protocol/fare_table.py",
        "protocol/qr",
        "protocol/top_up.py",
        "simulator/bus.py",
        "simulator/city.py",
        "simulator/counterparties",
        "simulator/desfire_application.py",
        "simulator/desfire_card.py",
        "simulator/desfire_files.py",
        "simulator/desfire_identity.py",
        "simulator/desfire_originality.py",
        "simulator/desfire_secure.py",
        "simulator/iso_dep.py",
        "simulator/phone.py",
        "simulator/pn532_chip.py",
        "simulator/pn532_settings.py",
        "simulator/pn532_target.py",
        "simulator/type_a.py",
        "simulator/virtual_card.py",
        # What is done with stored taps, and what a world is made of.
        "simulator/chaos/books.py",
        "simulator/chaos/parts.py",
        # Bugs and traps are played by the tests, not by the soak.
        "simulator/chaos/corpus.py",
        "simulator/chaos/mutants",
        "simulator/chaos/report.py",
        "simulator/chaos/restores.py",
        "simulator/chaos/scenario.py",
        "simulator/chaos/script.py",
    }
)


@dataclass(frozen=True)
class Code:
    """Names of the code of a part.

    Attributes:
        attacked: on the way of a tap; a result counts as long as it is the same.
        beside: everything else that runs.
    """

    attacked: str
    beside: str


def code_of_parts() -> dict[str, Code]:
    """Return the names of the code of each part as it is now."""
    graph = grimp.build_graph(*_PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    found = {}
    for name, part in PARTS.items():
        files = files_of(graph, part)
        beside = [path for path in files if lies_beside(path)]
        found[name] = Code(_digest([path for path in files if path not in beside]), _digest(beside))
    return found


def files_of(graph: ImportGraph, part: Part) -> list[Path]:
    """Return everything that can make a part come out differently, in order."""
    names = set(part.modules)
    for module in part.modules:
        names |= graph.find_upstream_modules(module)
    for package in part.packages:
        names |= {package} | graph.find_descendants(package)
    files = [_file_of(name) for name in names]
    for package in part.packages:
        files += [path for path in (TOP / package).rglob("*") if path.suffix in _DATA_ENDINGS]
    return sorted(files)


def lies_beside(path: Path) -> bool:
    """Whether a file has no part in what becomes of a record."""
    inside = path.relative_to(TOP)
    if inside.parts[0] == "clearing" and inside.parts[1] not in _OF_CLEARING:
        return True
    return any(str(place) in _BESIDE for place in (inside, *inside.parents))


def _file_of(module: str) -> Path:
    path = TOP.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(TOP)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
