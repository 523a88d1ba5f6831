"""Protocol, firmware and their tests as mpy-cross compiles them, and as an image that a device executes in place.

Unlike a device's build (`simulator.device_build`) nothing is left out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from simulator.device_build import pack

if TYPE_CHECKING:
    from pathlib import Path

_ROOMS = ("protocol", "firmware", "tests/protocol", "tests/firmware", "tests/vectors")
_DEVICE_ROOT = "firmware/device_root"


def compile_all(top: Path, cache: Path) -> Path:
    """Return a folder with everything compiled; what was compiled before is taken from the cache."""
    sources = [path for room in _ROOMS for path in sorted((top / room).rglob("*")) if path.is_file()]
    sources.append(top / "tests" / "__init__.py")
    wanted = {}
    for path in sources:
        if "__pycache__" not in path.parts:
            relative = path.relative_to(top)
            name = relative.relative_to(_DEVICE_ROOT) if relative.is_relative_to(_DEVICE_ROOT) else relative
            wanted[str(name)] = (path, hashlib.sha256(str(name).encode() + b"\0" + path.read_bytes()).hexdigest())
    digest = hashlib.sha256("".join(sha for _, sha in wanted.values()).encode()).hexdigest()[:16]
    folder = cache / digest
    if not folder.exists():
        _fill(folder, cache / "files", wanted)
    return folder


def image_of(folder: Path) -> Path:
    """Return what was compiled as a ROMFS image."""
    file = folder.with_suffix(".romfs")
    if not file.exists():
        pack(folder, file)
    return file


def _fill(folder: Path, files: Path, wanted: dict[str, tuple[Path, str]]) -> None:
    files.mkdir(parents=True, exist_ok=True)
    # Somebody else may be doing the same.
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda item: _put(draft, files, item[0], *item[1]), wanted.items()))
    if folder.exists():
        shutil.rmtree(draft)
    else:
        draft.rename(folder)


def _put(draft: Path, files: Path, name: str, source: Path, sha: str) -> None:
    target = draft / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".py":
        shutil.copyfile(source, target)
        return
    compiled = files / f"{sha}.mpy"
    if not compiled.exists():
        made = files / f"{sha}.{os.getpid()}"
        # As for a device; but tests without asserts would test nothing.
        level = "-O0" if name.startswith("tests/") else "-O3"
        command = [sys.executable, "-m", "mpy_cross", level, "-s", name, "-o", str(made), str(source)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            shutil.copyfile(source, target)  # only CPython understands it; who loads it all the same is told why
            return
        made.rename(compiled)
    shutil.copyfile(compiled, target.with_suffix(".mpy"))
