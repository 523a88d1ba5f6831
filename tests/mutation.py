"""How many seeded faults the fast tests notice: `python -m tests.mutation [--count N] [--seed S] [--json]`.

cosmic-ray knows what can be changed in the wire modules and in the journal; a seeded sample of that is tried, one at a time, in
a copy of the sources, by the plain tests that import the module. A change to what only type checkers read is none. A mutant is
caught by a test that fails or by the time that it takes. The score and who survived stand in `tests/MUTATION.md`.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.run_on_micropython import test_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).resolve().parents[1]
TREE = TOP / ".cache" / "mutation"
JOURNAL = ("chain", "journal", "recovery", "ring", "sectors", "slots")
JOURNAL_TESTS = ("slots", "journal", "journal_recovery", "journal_formats")
# They only draw or name or set a number; and on `compat` everything stands, the tests of the other Python, too.
NOT_MUTATED = {"__init__", "compat", "decision_names", "errors", "limits", "sync_drawing"}
# What other modules use is tested by their tests.
_INDIRECT = {"fields": ("tap", "ack", "batch"), "key_ring": ("enrolment", "rotation"), "cbor": ("tap", "ack")}
_TIMEOUT_S = 60

_CHILD = """
import sys
for name in sys.argv[1:]:
    module = __import__(name, fromlist=["x"])
    for each in sorted(dir(module)):
        if each.startswith("test_"):
            getattr(module, each)()
"""


@dataclass(frozen=True)
class Mutant:
    """A change to one place.

    Attributes:
        path: of the module, from the top.
        operator: of cosmic-ray.
        code: the module with the change.
        change: the line before and after.
    """

    path: str
    operator: str
    code: str
    change: str


class _WhatRuns(ast.NodeTransformer):
    """Leaves out what only type checkers read."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return ast.Assign([node.target], node.value) if node.value is not None else None

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        is_for_checkers = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if is_for_checkers else node


def _what_runs(code: str) -> str:
    return ast.dump(_WhatRuns().visit(ast.parse(code)))


def mutated_paths() -> list[str]:
    """Return the modules that are mutated, from the top."""
    wire = sorted(path.stem for path in (TOP / "protocol").glob("*.py"))
    return [f"protocol/{name}.py" for name in wire if name not in NOT_MUTATED] + [f"firmware/{n}.py" for n in JOURNAL]


def places(path: str) -> Iterator[tuple[str, str, int]]:
    """Yield (path, operator, occurrence) of all that could be changed in a module."""
    nodes = list(ast_nodes(get_ast((TOP / path).read_text())))
    for name in operator_names():
        if "Decorator" in name or "Variable" in name:
            continue
        operator = get_operator(name)()
        count = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        for occurrence in range(count):
            yield path, name, occurrence


def make(path: str, name: str, occurrence: int) -> Mutant | None:
    """Return the mutant, or None where nothing that runs is changed."""
    before = (TOP / path).read_text()
    code = mutate_code(before, get_operator(name)(), occurrence)
    try:
        if code is None or _what_runs(code) == _what_runs(before):
            return None
    except SyntaxError:
        return None
    lines = list(difflib.unified_diff(before.splitlines(), code.splitlines(), n=0, lineterm=""))
    return Mutant(path, name.removeprefix("core/"), code, " ".join(f"`{line.strip()}`" for line in lines[3:]))


def tests_of(path: str) -> list[str]:
    """Return the plain test modules for a module: its own first, then the others that import it."""
    name = Path(path).stem
    if path.startswith("firmware/"):
        return [f"tests.firmware.test_{each}" for each in JOURNAL_TESTS]
    found = [f"tests.protocol.test_{each}" for each in _INDIRECT.get(name, ())]
    for module in test_modules():
        if module.startswith("tests.protocol.") and "test_card" not in module:
            text = (TOP / module.replace(".", "/")).with_suffix(".py").read_text()
            if f"protocol.{name} import" in text or f"import {name}" in text or f", {name}" in text:
                found.append(module)
    found.append("tests.protocol.test_wire_vectors")
    return sorted(dict.fromkeys(found), key=lambda module: not module.endswith(f"test_{name}"))


def is_caught(path: str, code: str) -> bool:
    """Return whether a module's tests notice that it is another."""
    target = TREE / path
    whole = target.read_text()
    target.write_text(code)
    try:
        command = [sys.executable, "-B", "-c", _CHILD, *tests_of(path)]
        environment = os.environ | {"PYTHONPATH": str(TREE)}
        ran = subprocess.run(command, cwd=TREE, env=environment, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return True
    else:
        return ran.returncode != 0
    finally:
        target.write_text(whole)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Try a sample; exit code 1 when the tests fail without any change."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Count the faults that tests notice.")
    parser.add_argument("--count", type=int, default=300, help="how many mutants (300)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    shutil.rmtree(TREE, ignore_errors=True)
    for room in ("protocol", "firmware", "simulator", "tests"):
        shutil.copytree(TOP / room, TREE / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path in {tuple(tests_of(path)): path for path in mutated_paths()}.values():
        if is_caught(path, (TOP / path).read_text()):
            _tell(f"the tests of {path} fail without any change: {', '.join(tests_of(path))}")
            return 1
    everything = [place for path in mutated_paths() for place in places(path)]
    random.Random(options.seed).shuffle(everything)
    caught = 0
    survivors: list[Mutant] = []
    for place in everything:
        if caught + len(survivors) == options.count:
            break
        if caught and caught % 25 == 0:
            _tell(f"{caught} of {caught + len(survivors)} caught")
        mutant = make(*place)
        if mutant is None:
            continue
        if is_caught(mutant.path, mutant.code):
            caught += 1
            continue
        survivors.append(mutant)
        _tell(f"survived: {mutant.path} {mutant.operator} {mutant.change}")
    told = {
        "places": len(everything),
        "seed": options.seed,
        "tried": caught + len(survivors),
        "caught": caught,
        "survivors": [{"path": each.path, "operator": each.operator, "change": each.change} for each in survivors],
    }
    if options.json:
        print(json.dumps(told, indent=2))
    else:
        print(f"{told['caught']} of {told['tried']} caught, of {told['places']} that could be tried")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
