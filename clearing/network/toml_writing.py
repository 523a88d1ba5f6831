"""Files of a city package as they are written by a program for a person to go on with. Pure.

The library `tomlkit` writes; it is an extra (`gtfs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clearing.endpoint import RefusedError

if TYPE_CHECKING:
    from clearing.network.fares_v2_import import TariffsImport
    from clearing.network.gtfs_import import NetworkImport


def toml_text(comment: str, tables: Mapping[str, Any]) -> str:
    """A TOML file: a comment, and tables; lists of tables with sub-tables, small tables in one line."""
    try:
        import tomlkit  # noqa: PLC0415 - an extra
    except ImportError:
        raise RefusedError(
            501, "not_installed", "what writes TOML is not installed", "install the extra `gtfs`"
        ) from None
    document = tomlkit.document()
    for line in comment.splitlines():
        document.add(tomlkit.comment(line))
    for name, value in tables.items():
        document.add(name, _item(tomlkit, value, in_line=False))
    return tomlkit.dumps(document)


def _item(tomlkit: Any, value: Any, in_line: bool) -> Any:  # noqa: ANN401 - whatever TOML can hold
    if isinstance(value, Mapping):
        flat = in_line or all(
            not isinstance(each, (Mapping, Sequence)) or isinstance(each, str) for each in value.values()
        )
        table = tomlkit.inline_table() if flat else tomlkit.table()
        for key, each in value.items():
            table.add(str(key), _item(tomlkit, each, flat))
        return table
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and isinstance(value[0], Mapping) and not in_line:
            array = tomlkit.aot()
            for each in value:
                table = tomlkit.table()
                for key, inner in each.items():
                    table.add(str(key), _item(tomlkit, inner, in_line=False))
                array.append(table)
            return array
        line = tomlkit.array()
        line.extend(_item(tomlkit, each, in_line=True) for each in value)
        return line
    return value


def network_text(found: NetworkImport, feed_name: str) -> str:
    """A `network.toml` of what was imported, with its notes on top."""
    said = [f"Imported from the GTFS feed {feed_name}. Look through it, then let it take the place of network.toml."]
    comment = "\n".join([*said, *(f"- {note}" for note in found.notes)])
    tables: dict[str, Any] = {
        "carrier": [{"code": code, "names": names.model_dump()} for code, names in found.carriers.items()],
        "route": [route.model_dump(exclude_none=True, exclude_defaults=True) for route in found.routes],
        "vehicle": [group.model_dump(exclude_defaults=True) for group in found.vehicles],
        "stop": [stop.model_dump(exclude_none=True) for stop in found.stops],
    }
    return toml_text(comment, {name: rows for name, rows in tables.items() if rows})


def tariffs_text(found: TariffsImport, feed_name: str) -> str:
    """A `tariffs.toml` of what was imported, with its notes on top."""
    said = [f"Imported from the GTFS feed {feed_name}. Look through it, then let it take the place of tariffs.toml."]
    tables: dict[str, Any] = {"tariff": list(found.tariffs)}
    if found.categories:
        tables["categories"] = found.categories
    return toml_text("\n".join([*said, *(f"- {note}" for note in found.notes)]), tables)
