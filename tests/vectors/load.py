"""Reading the vectors, on both Pythons. Byte strings are hexadecimal text in the files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_FOLDER = __file__.rsplit("/", 1)[0] + "/"


def load(name: str) -> Any:  # noqa: ANN401 - whatever is in the file
    """Return what is in `tests/vectors/NAME.json`."""
    with open(_FOLDER + name + ".json") as file:  # noqa: PTH123 - MicroPython has no pathlib
        return json.load(file)


def from_json(value: Any) -> Any:  # noqa: ANN401
    """Return the value that a file describes: {"bytes": hex} and {"map": [[key, value], …]} are what JSON has no words for."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        if "bytes" in value:
            return bytes.fromhex(value["bytes"])
        return {key: from_json(item) for key, item in value["map"]}
    return value
