"""An inspector can check and by construction never charge: what charges cannot be reached from its program."""

from __future__ import annotations

import ast
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# What decides on a fare, takes it, gives money or passes, or makes what an acquirer could charge by.
_CHARGING = {
    "firmware.acquirer_keys",
    "firmware.bank_cards",
    "firmware.card_rides",
    "firmware.decision",
    "firmware.farebox",
    "firmware.recorder",
    "firmware.screen",
    "firmware.tickets",
    "firmware.top_ups",
    "firmware.transit_cards",
    "firmware.validator",
    "protocol.cards.desfire_credit",
    "protocol.cards.desfire_debit",
    "protocol.cards.ride_event",
}
_NEVER_ON_A_BUS = {"protocol.cards.desfire_issue"}


def imported_when_run(module: str) -> set[str]:
    """Return the modules of ours that a module imports, also in functions, but not those for type checkers only."""
    path = TOP / Path(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():
        return set()
    tree = ast.parse(source.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] in {"firmware", "protocol"}}


def reachable_from(module: str) -> set[str]:
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += imported_when_run(name)
    return reached


def test_nothing_that_charges_is_reachable_from_the_inspectors_program() -> None:
    reached = reachable_from("firmware.inspection")
    assert {"firmware.inspector", "protocol.cards.desfire_inspect", "firmware.uploader"} <= reached
    assert reached & (_CHARGING | _NEVER_ON_A_BUS) == set()


def test_all_of_it_is_reachable_from_the_validators_program() -> None:
    assert reachable_from("firmware.app") >= _CHARGING
    assert not reachable_from("firmware.app") & _NEVER_ON_A_BUS


def test_the_inspectors_program_names_no_key_but_the_read_key() -> None:
    for name in ("inspection", "inspected_cards", "inspector"):
        source = (TOP / "firmware" / f"{name}.py").read_text()
        assert "KEY_DEBIT" not in source
        assert "KEY_CREDIT" not in source
    assert "layout.KEY_READ" in (TOP / "firmware" / "inspected_cards.py").read_text()
