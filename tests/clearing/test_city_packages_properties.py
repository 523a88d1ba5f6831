"""Packages under arbitrary changes: they are read or refused with places and remedies, and nothing else happens."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clearing.network.consistency import FILES
from clearing.network.identifiers import bin_check_digit, iban_check_digits, is_bin, is_kz_iban
from clearing.network.package import examine, package_folder
from clearing.network.toml_lines import key_lines, line_of
from clearing.network.toml_writing import toml_text

_VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["true", "[]", "{}", '""', "[[]]", '["x", 1]', "{ 1 = {} }", "2024-01-01", "'''\n'''", "nan", "-1"]
    ),
    st.text("aZ09-_ ₸Қ", max_size=40).map(lambda text: f'"{text}"'),
)
_TEXTS = {(city, name): (package_folder(city) / name).read_text() for city in ("astana", "karaganda") for name in FILES}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(_TEXTS)), st.integers(0, 10**6), _VALUES, st.sampled_from(["value", "line", "key"]))
def test_a_package_with_anything_in_any_place_is_read_or_refused(
    where: tuple[str, str], place: int, value: str, how: str
) -> None:
    city, name = where
    lines = _TEXTS[where].split("\n")
    index = place % len(lines)
    key = lines[index].partition("=")[0]
    lines[index] = {"value": f"{key}= {value}", "line": value, "key": f"{value} = 1"}[how]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(package_folder(city), Path(scratch) / city))
        (folder / name).write_text("\n".join(lines))
        examined = examine(folder)
    assert (examined.package is None) == bool(examined.faults)
    for fault in (*examined.faults, *examined.warnings):
        assert fault.file in FILES
        assert 0 <= fault.line <= len(lines) + 400
        assert fault.what
        assert fault.remedy


_KEYS = st.text("abc", min_size=1, max_size=2)
_SCALARS = st.one_of(st.integers(), st.booleans(), st.text('ab"\n#[]=', max_size=6))
_TABLES = st.dictionaries(_KEYS, st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3)), max_size=4)
_DOCUMENTS = st.dictionaries(
    _KEYS,
    st.one_of(
        _SCALARS, _TABLES, st.lists(st.fixed_dictionaries({"t": _TABLES, "n": _SCALARS}), min_size=1, max_size=3)
    ),
)


@given(_DOCUMENTS)
def test_every_key_of_a_file_is_found_on_a_line_that_names_it(document: dict[str, Any]) -> None:
    text = toml_text("a comment\n[not a table]", document)
    assert tomllib.loads(text) == document
    lines, found = text.split("\n"), key_lines(text)
    for path in _paths(document):
        named = next(step for step in reversed(path) if isinstance(step, str))
        assert path in found, (path, text)
        assert named in lines[found[path] - 1], (path, text)
    assert line_of(found, ("nowhere", 3)) == 1


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in [(*path, key), *_paths(inner, (*path, key))]]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [each for n, inner in enumerate(value) for each in _paths(inner, (*path, n))]
    return []


@given(st.text("0123456789", min_size=11, max_size=11))
def test_the_last_digit_of_a_bin_follows_from_the_others(digits: str) -> None:
    check = bin_check_digit(digits)
    assert [last for last in range(10) if is_bin(f"{digits}{last}")] == ([] if check is None else [check])
    assert not is_bin(digits)
    assert not is_bin(f"{digits}x")


@given(
    st.text("0123456789", min_size=3, max_size=3),
    st.text("0123456789", min_size=13, max_size=13),
    st.integers(0, 12),
)
def test_one_wrong_digit_of_an_iban_is_always_noticed(bank: str, account: str, place: int) -> None:
    iban = "KZ" + iban_check_digits("KZ", bank + account) + bank + account
    assert is_kz_iban(iban)
    other = "7" if account[place] != "7" else "8"
    assert not is_kz_iban(iban[:7] + account[:place] + other + account[place + 1 :])
    assert not is_kz_iban(iban.lower())
    assert not is_kz_iban(f"{iban[:4]} {iban[4:]}")


def test_numbers_of_known_firms_and_of_the_standard_are_right() -> None:
    # Published: the BIN of Kazakhtelecom; the example of the IBAN registry.
    assert is_bin("941240000193")
    assert is_kz_iban("KZ86125KZT5004100100")
    assert not is_kz_iban("KZ86125KZT5004100101")
    assert not is_kz_iban("GB82WEST12345698765432")
