"""A GTFS feed as it is read: bounded, checked by the canonical rules of the format, every row with its line.

The library `gtfs-validator` reads and checks; it is an extra (`gtfs`). What it calls an error in a table refuses the feed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearing.endpoint import InvalidError, RefusedError
from clearing.network.faults import Fault, listed

LINE = "_row_number"
_FILES_MAX = 200
# Ten times what a city has; stop times of a whole country are larger, and are not for this.
_FEED_BYTES_MAX = 1 << 30
_ONLY = {"stop_times.txt": ("trip_id", "stop_id", "stop_sequence", LINE)}


@dataclass(frozen=True)
class Feed:
    """The rows of some tables, by name such as `routes.txt`. What is not said is an empty text; `LINE` is a row's line."""

    name: str
    tables: dict[str, list[dict[str, str]]]

    def rows(self, table: str) -> list[dict[str, str]]:
        return self.tables.get(table, [])


class FeedError(InvalidError):
    """A feed that cannot be taken; its message lists every fault."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        super().__init__(
            f"feed {name}: {len(faults)} to correct\n{listed(sorted(faults))}", "correct it where it is made"
        )


def read_feed(path: Path, tables: Sequence[str]) -> Feed:
    """Read some tables of a feed, a zip file or a folder.

    Raises:
        FeedError: it is no feed, is too large, or breaks a rule of the format in one of these tables.
        RefusedError: the library is not installed.
    """
    try:
        from gtfs_validator import open_feed_view, open_raw_view  # noqa: PLC0415 - an extra
    except ImportError:
        raise RefusedError(
            501, "not_installed", "what reads GTFS is not installed", "install the extra `gtfs`"
        ) from None
    _require_bounded(path)
    with open_feed_view(path, tables=tables) as loaded:
        notices = [*loaded.notices.in_order(), *loaded.system_errors.in_order()]
    faults = [_fault(notice) for notice in notices if notice.severity.name == "ERROR" and _is_about(notice, tables)]
    if faults:
        raise FeedError(path.name, faults)
    with open_raw_view(path) as view:
        return Feed(path.name, {name: _kept(name, view.rows(name)) for name in tables if not view.is_missing(name)})


def _kept(table: str, rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of a table; of the longest one only the columns that somebody asks for."""
    columns = _ONLY.get(table)
    return list(rows) if columns is None else [{name: row.get(name, "") for name in columns} for row in rows]


def _require_bounded(path: Path) -> None:
    remedy = "name the zip file or the folder that holds routes.txt and the others"
    try:
        if path.is_dir():
            sizes = [each.stat().st_size for each in path.iterdir()]
        else:
            with zipfile.ZipFile(path) as archive:
                sizes = [entry.file_size for entry in archive.infolist()]
    except FileNotFoundError:
        raise FeedError(path.name, [Fault(path.name, 0, "is not there", remedy)]) from None
    except (OSError, zipfile.BadZipFile) as error:
        raise FeedError(path.name, [Fault(path.name, 0, f"is no zip file: {error}", remedy)]) from None
    if len(sizes) > _FILES_MAX or sum(sizes) > _FEED_BYTES_MAX:
        what = f"has more than {_FILES_MAX} files or {_FEED_BYTES_MAX >> 20} MiB"
        raise FeedError(path.name, [Fault(path.name, 0, what, "cut it down to the city")])


def _is_about(notice: Any, tables: Sequence[str]) -> bool:  # noqa: ANN401 - of a library without types
    """Whether a notice speaks of a table that is wanted, and not of one that is merely not there."""
    table = notice.context.get("filename")
    return (table is None or table in tables) and notice.code != "missing_required_file"


def _fault(notice: Any) -> Fault:  # noqa: ANN401 - of a library without types
    said = {name: value for name, value in notice.context.items() if name not in {"filename", "csvRowNumber"}}
    what = notice.code.replace("_", " ") + "".join(f", {name} {value}" for name, value in said.items())
    line = notice.context.get("csvRowNumber", 0)
    return Fault(str(notice.context.get("filename", "feed")), line if isinstance(line, int) else 0, what, _REMEDY)


_REMEDY = "see this rule of the GTFS Schedule validator"


def require_tables(feed: Feed, tables: Sequence[str]) -> None:
    """Refuse a feed without some tables."""
    missing = [Fault(name, 0, "is missing or empty", "add it to the feed") for name in tables if not feed.rows(name)]
    if missing:
        raise FeedError(feed.name, missing)
