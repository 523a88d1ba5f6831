from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from clearing.fleet.keys import open_keys
from simulator.keys import derive_keys, read_keys, write_keys
from simulator.service import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def test_derived_keys_are_those_that_a_service_takes(tmp_path: Path) -> None:
    write_keys(tmp_path, 7)
    written = tmp_path / "keys.json"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    before = written.read_bytes()
    store = open_keys(written)
    assert written.read_bytes() == before
    assert read_keys(tmp_path) == derive_keys(7)
    assert (store.version, store.token_key) == (1, derive_keys(7)["token_key"])
    assert store.ack.public_key() != store.documents.public_key()


def test_a_seed_has_keys_of_its_own_and_each_key_is_another() -> None:
    assert derive_keys(7) == derive_keys(7)
    keys = [*derive_keys(7).values(), *derive_keys(8).values()]
    assert len(set(keys)) == len(keys) == 22


def test_a_derived_private_key_lies_below_the_order_of_the_curve() -> None:
    for seed in range(50):
        for name in ("ack_private", "document_private"):
            assert 0 < int.from_bytes(derive_keys(seed)[name], "big") < _ORDER


def test_keys_that_are_there_are_not_replaced(tmp_path: Path) -> None:
    open_keys(tmp_path / "keys.json")
    before = (tmp_path / "keys.json").read_bytes()
    with pytest.raises(FileExistsError):
        write_keys(tmp_path, 7)
    assert (tmp_path / "keys.json").read_bytes() == before


def test_where_no_service_has_its_home_there_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="JOLAQY_HOME is not the folder"):
        read_keys(tmp_path)
