"""How a command line names a city package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearing.cli import EXIT_USAGE, fail
from clearing.network.package import known_cities, package_folder

PackageArgument = Annotated[
    str, typer.Argument(help="Folder of a package, or the code of a city that comes with Jolaqy.")
]


def folder_of(code_or_path: str) -> Path:
    """The folder that an argument names, or the end of the command."""
    folder = package_folder(code_or_path) if code_or_path in known_cities() else Path(code_or_path)
    if not folder.is_dir():
        fail(f"no city package {code_or_path}", f"name a folder, or one of: {', '.join(known_cities())}", EXIT_USAGE)
    return folder
