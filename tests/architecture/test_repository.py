"""What must hold of the repository as a whole: rooms, words, and what a reader is promised."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("protocol", "firmware", "simulator", "clearing", "hardware")
_DEVICE_MODULES = {"machine", "network", "esp32", "rp2"}
_NOT_ON_THE_DEVICE = {
    "abc",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "logging",
    "pathlib",
    "typing_extensions",
}


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    return [TOP / name for name in listed.stdout.splitlines() if (TOP / name).is_file()]


def imports_when_run(path: Path) -> set[str]:
    """Return the top names that a module imports, those below `if TYPE_CHECKING:` apart."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def modules_of(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in (TOP / room).rglob("*.py") if "device_root" not in path.parts]


def test_only_boards_touch_the_hardware_modules() -> None:
    guilty = [
        path.relative_to(TOP)
        for path in modules_of("protocol", "firmware")
        if path.parent.name != "boards" and imports_when_run(path) & _DEVICE_MODULES
    ]
    assert guilty == []


def test_what_runs_on_the_bus_imports_nothing_that_the_bus_lacks() -> None:
    guilty = {
        str(path.relative_to(TOP)): found
        for path in modules_of("protocol", "firmware")
        if path.name != "crypto_cpython.py"  # in its place a device loads crypto_micropython
        if (found := imports_when_run(path) & _NOT_ON_THE_DEVICE)
    }
    assert guilty == {}


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_says_what_it_is_for(room: str) -> None:
    silent = [
        path.relative_to(TOP)
        for path in modules_of(room)
        if "versions" not in path.parts and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    words = re.compile(
        "|".join(
            (
                "registry" + r"\.npmjs",
                r"files\.python" + "hosted",
                "deb" + r"\.debian\.org",
                "/ho" + "me/",
                "/wo" + "rk/",
            )
        )
    )
    guilty = []
    for path in committed_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if words.search(text):
            guilty.append(path.relative_to(TOP))
    assert guilty == []


def test_every_link_of_a_page_leads_to_a_file() -> None:
    pages = [path for path in committed_files() if path.suffix == ".md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())]
    broken = [
        f"{page.relative_to(TOP)}: {link}"
        for page, link in links
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []
