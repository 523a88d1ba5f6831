"""The city's keys in a real PKCS #11 module, SoftHSM: a card issued with them is the card that a key file would have made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardware.desk_keys import keys_from_file
from protocol.cards.desfire_issue import MASTERS
from simulator.keys import derive_keys, write_keys

_LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
_PIN = "1234"
_UID = bytes.fromhex("04514C4A010001")

# A module is configured by the environment, once a process: so each use is a process of its own.
_IMPORT = """
import json, sys
import pkcs11
library, keys = sys.argv[1], json.loads(sys.argv[2])
session = pkcs11.lib(library).get_token(token_label="jolaqy").open(rw=True, user_pin="1234")
for name, (kind, key) in keys.items():
    session.create_object({
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType[kind],
        pkcs11.Attribute.LABEL: name,
        pkcs11.Attribute.VALUE: bytes.fromhex(key),
        pkcs11.Attribute.TOKEN: True,
        pkcs11.Attribute.ENCRYPT: kind == "AES",
        pkcs11.Attribute.SIGN: kind != "AES",
        pkcs11.Attribute.SENSITIVE: True,
        pkcs11.Attribute.EXTRACTABLE: False,
    })
"""
_USE = """
import json, sys
from pathlib import Path
from hardware.desk_keys import keys_from_module
from hardware.problem import Problem
library, label, pin = sys.argv[1:4]
uid, number = bytes.fromhex(sys.argv[4]), b"JQ000001"
try:
    keys = keys_from_module(Path(library), label, pin, 3)
except Problem as problem:
    sys.exit(f"{problem} / {problem.remedy}")
of_card, token = keys.of_card(uid), keys.token(number)
print(json.dumps([of_card.version, of_card.card.hex(), [key.hex() for _, key in sorted(of_card.numbered.items())],
    of_card.transaction_mac.hex(), token.hex(), keys.masked_uid(token, uid).hex(), keys.chip_name(uid)]))
"""


def _run(environment: dict[str, str], program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", program, *arguments)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def empty_module(tmp_path: Path) -> dict[str, str]:
    """A token without keys; returns the environment in which it is found."""
    if not _LIBRARY.exists() or shutil.which("softhsm2-util") is None:
        pytest.fail("SoftHSM is needed: apt-get install softhsm2")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    environment = os.environ | {"SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}
    make = ("softhsm2-util", "--init-token", "--free", "--label", "jolaqy", "--pin", _PIN, "--so-pin", "4321")
    subprocess.run(make, env=environment, check=True, capture_output=True)
    return environment


@pytest.fixture
def module(empty_module: dict[str, str]) -> dict[str, str]:
    """A token with the keys of seed 7."""
    keys = derive_keys(7)
    kinds = {name: ("AES", keys[name].hex()) for name in MASTERS}
    kinds["token_key"] = ("GENERIC_SECRET", keys["token_key"].hex())
    done = _run(empty_module, _IMPORT, str(_LIBRARY), json.dumps(kinds))
    assert done.returncode == 0, done.stderr
    return empty_module


def test_a_module_gives_a_card_the_keys_that_a_file_gives(module: dict[str, str], tmp_path: Path) -> None:
    done = _run(module, _USE, str(_LIBRARY), "jolaqy", _PIN, _UID.hex())
    assert done.returncode == 0, done.stderr
    version, *told = json.loads(done.stdout)
    assert version == 3
    write_keys(tmp_path, 7)
    keys = keys_from_file(tmp_path / "keys.json")
    of_card, token = keys.of_card(_UID), keys.token(b"JQ000001")
    assert told == [
        of_card.card.hex(),
        [key.hex() for _, key in sorted(of_card.numbered.items())],
        of_card.transaction_mac.hex(),
        token.hex(),
        keys.masked_uid(token, _UID).hex(),
        keys.chip_name(_UID),
    ]


@pytest.mark.parametrize(
    ("label", "pin", "kind"), [("jolaqy", "9999", "PinIncorrect"), ("another", _PIN, "NoSuchToken"), ("jolaqy", "", "")]
)
def test_a_module_that_refuses_is_told_by_the_kind_of_error_and_the_pin_is_not(
    module: dict[str, str], label: str, pin: str, kind: str
) -> None:
    done = _run(module, _USE, str(_LIBRARY), label, pin, _UID.hex())
    assert done.returncode == 1
    assert f"the key module refuses: {kind}" in done.stderr
    assert "JOLAQY_PIN" in done.stderr
    assert pin == "" or pin not in done.stderr


def test_a_library_that_is_none_is_refused() -> None:
    done = _run(dict(os.environ), _USE, "/nowhere/module.so", "jolaqy", _PIN, _UID.hex())
    assert done.returncode == 1
    assert "check --pkcs11" in done.stderr


def test_a_key_that_is_not_there_is_named(empty_module: dict[str, str]) -> None:
    done = _run(empty_module, _USE, str(_LIBRARY), "jolaqy", _PIN, _UID.hex())
    assert done.returncode == 1
    assert "the key module has no key transit_card_master" in done.stderr
