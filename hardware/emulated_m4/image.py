"""What the emulated Cortex-M4 finds in its memory: the size of its heap, and a ROMFS with its program, which runs in place."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mpremote.romfs import VfsRomWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = struct.Struct("<4I")


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the content of a folder by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_image(files: Mapping[str, bytes], heap_bytes: int) -> bytes:
    """Return the memory of a device with these files under `/rom`; it runs its `main`."""
    tree: dict[str, object] = {}
    for name, content in files.items():
        *folders, last = PurePosixPath(name).parts
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})  # type: ignore[assignment]
        place[last] = content
    writer = VfsRomWriter()
    _pack(writer, tree)
    rom = bytes(writer.finalise())
    return _HEAD.pack(heap_bytes, len(rom), 0, 0) + rom


def _pack(writer: VfsRomWriter, tree: Mapping[str, object]) -> None:
    for name, content in sorted(tree.items()):
        if isinstance(content, dict):
            writer.opendir(name)
            _pack(writer, content)
            writer.closedir()
        else:
            writer.mkfile(name, content)


@cache
def compiled(name: str, source: str) -> bytes:
    """Return what mpy-cross makes of a module; its name is told in tracebacks."""
    with tempfile.TemporaryDirectory(prefix="jolaqy-m4-") as folder:
        path = Path(folder) / "module.py"
        path.write_text(source)
        subprocess.run([sys.executable, "-m", "mpy_cross", "-O3", "-s", name, str(path)], check=True)
        return path.with_suffix(".mpy").read_bytes()
