"""Short names change nothing but names: what somebody may ask for by name keeps its own."""

from __future__ import annotations

import ast
import re

import pytest

from simulator.device_names import shorten


def shortened(*sources: str) -> list[str]:
    trees = [ast.parse(source) for source in sources]
    shorten(trees)
    return [ast.unparse(ast.fix_missing_locations(tree)) for tree in trees]


@pytest.mark.parametrize(
    ("source", "call", "value"),
    [
        ("def f(first, second=3):\n    return first - second", "f(5)", 2),
        ("_LIMIT = 4\ndef f(number):\n    return number < _LIMIT", "f(3)", True),
        ("def _own(a):\n    return a + 1\ndef f(a):\n    return _own(_own(a))", "f(1)", 3),
        ("def f(n):\n    def inner(n):\n        return n * 2\n    return inner(n + 1)", "f(1)", 4),
        ("def f(n):\n    def inner(m=n):\n        return m + n\n    return inner()", "f(2)", 4),
        ("def f(n):\n    return [n + m for m in range(n)]", "f(2)", [2, 3]),
        ("def f(items):\n    return sorted(items, key=lambda item: -item)", "f([1, 3])", [3, 1]),
        ("def f(n):\n    g = lambda n, other: n - other\n    return g(n, 1)", "f(3)", 2),
        ("def f(*parts, named=1, **others):\n    return (parts, named, others)", "f(1, x=2)", ((1,), 1, {"x": 2})),
        ("def f(n):\n    try:\n        return 1 // n\n    except ZeroDivisionError as n:\n        return 7", "f(0)", 7),
        ("class A:\n    def _a(self):\n        return 1\ndef _a():\n    return 2\ndef f():\n    return A()._a()", "f()", 1),
        ("def f(n):\n    n += 1\n    return n", "f(1)", 2),
    ],
)  # fmt: skip
def test_what_is_left_does_the_same(source: str, call: str, value: object) -> None:
    (text,) = shortened(source)
    names: dict[str, object] = {}
    exec(text, names)  # noqa: S102 - that is what is tested
    assert eval(call, names) == value  # noqa: S307


def test_names_are_the_same_few_in_all_modules() -> None:
    texts = shortened(
        "_ONE = 1\ndef f(first, second):\n    return first + second + _ONE",
        "_OTHER = 2\ndef g(third):\n    return third + _OTHER",
    )
    names = set(re.findall(r"[A-Za-z_]\w*", " ".join(texts))) - {"def", "return"}
    assert names == {"f", "g", "Z0", "Z1", "Z2"}


@pytest.mark.parametrize(
    "other",
    ["f(limit=1)", "g(**{'limit': 1})", "x.limit", "from m import limit"],
)
def test_an_argument_that_somebody_may_name_keeps_its_name(other: str) -> None:
    text, _ = shortened("def f(limit):\n    return limit", other)
    assert text == "def f(limit):\n    return limit"


def test_what_others_see_of_a_module_keeps_its_name() -> None:
    source = "LIMIT = 1\nclass Public:\n    _field = 2\ndef public():\n    return LIMIT"
    assert shortened(source) == [ast.unparse(ast.parse(source))]
