"""Gives names that nobody outside sees the same few short ones, in all modules of a device.

MicroPython keeps every name that it has ever met, for ever, in tables that grow by doubling: a name in use nowhere else costs a
device some twenty bytes, and one too many costs ten thousand in a row. So what a module keeps for itself (names with an
underscore) and what functions call their arguments is renamed: `Z0`, `Z1` and so on, in each module anew.

An argument keeps its name where somebody may pass it by that name: it stands as a keyword, or as a string, anywhere.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_PREFIX = "Z"


def shorten(trees: Iterable[ast.Module]) -> None:
    """Rename in place; the modules are all of a program."""
    trees = list(trees)
    spoken = {name for tree in trees for name in _spoken_names(tree)}
    for tree in trees:
        shortener = _Shortener(spoken, _own_names(tree))
        shortener.visit(tree)


def _spoken_names(tree: ast.Module) -> Iterable[str]:
    """Yield the names by which something may be asked for: keywords, strings, attributes of modules, imported names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name
            yield node.asname or node.name


def _own_names(tree: ast.Module) -> list[str]:
    """Return the names that a module defines for itself."""
    names = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return [name for name in dict.fromkeys(names) if name.startswith("_") and not name.startswith("__")]


class _Shortener(ast.NodeTransformer):
    def __init__(self, spoken: set[str], own: list[str]) -> None:
        self._spoken = spoken
        self._names = {
            name: f"{_PREFIX}{index}" for index, name in enumerate(each for each in own if each not in spoken)
        }
        self._taken = len(self._names)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.name = self._names.get(node.name, node.name)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._visit_function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        self._visit_function(node)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._visit_function(node)
        return node

    def _visit_function(self, node: _Function) -> None:
        arguments = node.args
        # Defaults and decorators belong to the scope around.
        arguments.defaults = [self.visit(default) for default in arguments.defaults]
        arguments.kw_defaults = [default and self.visit(default) for default in arguments.kw_defaults]
        if not isinstance(node, ast.Lambda):
            node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
            if node.name in self._names and not _is_method(node):
                node.name = self._names[node.name]
        outside, taken = self._names, self._taken
        self._names = dict(outside)
        caught = {each.name for each in ast.walk(node) if isinstance(each, ast.ExceptHandler) and each.name}
        for argument in _all_arguments(arguments):
            self._names.pop(argument.arg, None)
        for argument in arguments.posonlyargs + arguments.args:
            if argument.arg != "self" and argument.arg not in self._spoken | caught:
                old, argument.arg = argument.arg, f"{_PREFIX}{self._taken}"
                self._names[old] = argument.arg
                self._taken += 1
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = [self.visit(statement) for statement in node.body]
        self._names, self._taken = outside, taken


def _is_method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.args.args) and node.args.args[0].arg == "self"


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    others = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    return arguments.posonlyargs + arguments.args + arguments.kwonlyargs + others
