"""What a device is given of the sources: only what its program reaches, compiled.

Memory on a bus is short, and MicroPython keeps every name and every function of a loaded module. So, before mpy-cross compiles:

- what is only there for type checkers or for CPython goes: annotations, `if TYPE_CHECKING:`, `if not MICROPYTHON:`;
- numbers declared with `const` are written where they are used, also across modules;
- names that nobody outside sees become short and few (`simulator.device_names`);
- functions, classes and constants that nothing reaches from the program's entry are left out, such as the service's half of a
  codec; so is every module that nothing loads.

Statements of a module that are none of these are its work when it is loaded, and stay. The sources must not look up what they
define by a name in a string; attributes of objects are not touched.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mpremote.romfs import VfsRomWriter

from simulator import device_names

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("firmware", "protocol")
_NO_MODULES = {"__future__", "typing"}
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# A name in a module.
_Key = tuple[str, str]


@dataclass
class _Module:
    """One source.

    Attributes:
        work: statements that are carried out when it is loaded.
        definitions: what it defines, by name.
        imports: (module, name) by local name; without a name the module itself.
    """

    name: str
    tree: ast.Module
    work: list[ast.stmt] = field(default_factory=list)
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


class _OnlyForDevices(ast.NodeTransformer):
    """Takes away what only type checkers or CPython read, docstrings and slots, which MicroPython ignores."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        verdict = _is_true(node.test)
        if verdict is None:
            return node
        return node.body if verdict else node.orelse

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        verdict = _is_true(node.test)
        if verdict is None:
            return node
        return node.body if verdict else node.orelse

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value is not None else None

    def _definition(self, node: _Definition) -> ast.AST:
        if not isinstance(node, ast.ClassDef):
            node.returns = None
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        node.body = [each for each in node.body if _assigned_name(each) != "__slots__"] or [ast.Pass()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _definition  # noqa: N815 - names of the library


def _is_true(test: ast.expr) -> bool | None:
    """Return what a condition is on every device, or None where that is not known."""
    if isinstance(test, ast.Name):
        return {"TYPE_CHECKING": False, "MICROPYTHON": True}.get(test.id)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        verdict = _is_true(test.operand)
        return None if verdict is None else not verdict
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        verdicts = [_is_true(value) for value in test.values]
        return True if True in verdicts else None if None in verdicts else False
    return None


def _read(path: Path, name: str) -> _Module:
    tree = _OnlyForDevices().visit(ast.parse(path.read_text()))
    module = _Module(name, tree)
    for statement in tree.body:
        if isinstance(statement, _Definition):
            module.definitions[statement.name] = statement
        elif (name_of := _assigned_name(statement)) is not None:
            module.definitions[name_of] = statement
        elif isinstance(statement, ast.ImportFrom | ast.Import):
            module.imports |= dict(_imported(statement))
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            module.work.append(statement)
    return module


def _assigned_name(statement: ast.stmt) -> str | None:
    """Return the name of an assignment to one name."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def _imported(statement: ast.ImportFrom | ast.Import) -> Iterator[tuple[str, tuple[str, str | None]]]:
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            yield alias.asname or alias.name, (alias.name, None)
        else:
            yield alias.asname or alias.name, (statement.module or "", alias.name)


def _module_of(node: ast.Attribute, source: _Module) -> str | None:
    """Return the module whose attribute this is, if it is that of an imported module."""
    if not isinstance(node.value, ast.Name) or node.value.id not in source.imports:
        return None
    of, name = source.imports[node.value.id]
    return of if name is None else f"{of}.{name}"


class DeviceSources:
    """The sources of a device, less what it does not need.

    Args:
        top: of the repository.
        entries: modules whose loading is the program.
    """

    def __init__(self, top: Path, entries: tuple[str, ...]) -> None:
        self._modules: dict[str, _Module] = {}
        for package in PACKAGES:
            for path in sorted((top / package).rglob("*.py")):
                parts = path.relative_to(top).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                if "device_root" not in parts:
                    self._modules[name] = _read(path, name)
        self._numbers = self._find_numbers()
        for module in self._modules.values():
            self._write_numbers(module)
        self._kept: set[_Key] = set()
        self._loaded: set[str] = set()
        for entry in entries:
            self._load(entry)
            for name in self._modules[entry].definitions:
                self._keep(entry, name)

    # Numbers.

    def _find_numbers(self) -> dict[_Key, ast.Constant | ast.UnaryOp]:
        numbers: dict[_Key, ast.Constant | ast.UnaryOp] = {}
        for module in self._modules.values():
            for name, statement in module.definitions.items():
                value = getattr(statement, "value", None)
                if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
                    number = value.args[0]
                    if isinstance(number, ast.Constant | ast.UnaryOp):
                        numbers[module.name, name] = number
        return numbers

    def _write_numbers(self, module: _Module) -> None:
        numbers = self._numbers
        here = {name: number for (of, name), number in numbers.items() if of == module.name}
        for local, (source, name) in module.imports.items():
            if name is not None and (source, name) in numbers:
                here[local] = numbers[source, name]

        class Writer(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                return here[node.id] if isinstance(node.ctx, ast.Load) and node.id in here else node

            def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
                of = _module_of(node, module)
                return numbers[of, node.attr] if of and (of, node.attr) in numbers else self.generic_visit(node)

        writer = Writer()
        module.work = [writer.visit(statement) for statement in module.work]
        module.definitions = {name: writer.visit(statement) for name, statement in module.definitions.items()}

    # Reaching.

    def _load(self, name: str) -> None:
        if name in self._loaded or name not in self._modules:
            return
        self._loaded.add(name)
        if "." in name:
            self._load(name.rpartition(".")[0])
        for statement in self._modules[name].work:
            self._reach(name, statement)

    def _keep(self, module: str, name: str) -> None:
        """Keep a name of a module: its definition and all that this reaches, or where it is imported from."""
        if (module, name) in self._kept or module not in self._modules:
            return
        source = self._modules[module]
        if name in source.definitions:
            self._kept.add((module, name))
            self._reach(module, source.definitions[name])
        elif name in source.imports:
            self._kept.add((module, name))
            self._follow(*source.imports[name])

    def _follow(self, module: str, name: str | None) -> None:
        self._load(module)
        if name is None:
            return
        self._load(f"{module}.{name}")
        self._keep(module, name)

    def _reach(self, module: str, statement: ast.stmt) -> None:
        source = self._modules[module]
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                self._keep(module, node.id)
            elif isinstance(node, ast.ImportFrom | ast.Import):
                for _, origin in _imported(node):
                    self._follow(*origin)
            elif isinstance(node, ast.Attribute) and (of := _module_of(node, source)):
                self._keep(of, node.attr)

    # Writing.

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield name and source of each module that is loaded."""
        trees = {name: self._lessened(self._modules[name]) for name in sorted(self._loaded)}
        device_names.shorten(trees.values())
        for name, tree in trees.items():
            yield name, ast.unparse(ast.fix_missing_locations(tree))

    def _lessened(self, module: _Module) -> ast.Module:
        body: list[ast.stmt] = []
        for statement in module.tree.body:
            if isinstance(statement, ast.ImportFrom | ast.Import):
                body += self._lessened_import(module.name, statement)
            else:
                name = statement.name if isinstance(statement, _Definition) else _assigned_name(statement)
                if name is not None and name in module.definitions:
                    if (module.name, name) in self._kept and (module.name, name) not in self._numbers:
                        body.append(module.definitions[name])
                elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                    body.append(statement)
        return ast.Module(body, [])

    def _lessened_import(self, module: str, statement: ast.ImportFrom | ast.Import) -> list[ast.stmt]:
        source = statement.module if isinstance(statement, ast.ImportFrom) else None
        if source in _NO_MODULES:
            return []
        names = [alias for alias in statement.names if (module, alias.asname or alias.name) in self._kept]
        if not names:
            return []
        if isinstance(statement, ast.ImportFrom):
            return [ast.ImportFrom(statement.module, names, statement.level)]
        return [ast.Import(names)]


def image(top: Path, target: Path) -> Path:
    """Build the firmware as a ROMFS image, from which a device runs it in place, and return the file."""
    folder = build(top, target)
    file = folder.with_suffix(".romfs")
    if not file.exists():
        pack(folder, file)
    return file


def pack(folder: Path, file: Path) -> None:
    """Write a folder as a ROMFS image."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    writer = VfsRomWriter()
    _pack(writer, folder)
    draft.write_bytes(writer.finalise())
    draft.rename(file)


def _pack(writer: VfsRomWriter, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            writer.opendir(path.name)
            _pack(writer, path)
            writer.closedir()
        else:
            writer.mkfile(path.name, path.read_bytes())


def build(top: Path, target: Path) -> Path:
    """Compile the firmware of a repository for a device and return the folder; what is up to date is left alone."""
    sources = [path for package in PACKAGES for path in sorted((top / package).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in [Path(__file__), Path(device_names.__file__), *sources]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    folder = target / digest.hexdigest()[:16]
    if not folder.exists():
        # Somebody else may be doing the same.
        draft = target / f"{folder.name}.{os.getpid()}"
        for name, text in DeviceSources(top, ("firmware.__main__",)).texts():
            _compile(top, draft, name, text)
        if folder.exists():
            shutil.rmtree(draft)
        else:
            draft.rename(folder)
    return folder


def _compile(top: Path, folder: Path, name: str, text: str) -> None:
    relative = Path(*name.split("."))
    if (top / relative).is_dir():
        relative /= "__init__"
    source = folder / relative.with_suffix(".py")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text + "\n")
    if relative.name == "__main__":
        return  # MicroPython's `-m` wants it as source
    compiled = str(source.with_suffix(".mpy"))
    subprocess.run([sys.executable, "-m", "mpy_cross", "-O3", "-s", name, "-o", compiled, str(source)], check=True)
    source.unlink()
