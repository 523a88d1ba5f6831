"""Running `jolaqy-bench`, the real command, as a person at a bench does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


class Bench:
    """Runs `jolaqy-bench`, with the reader and home of a test."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment | {"JOLAQY_HOME": str(folder / "home")}
        self._folder = folder

    def run(self, *arguments: str | Path, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            said, aside = process.communicate(timeout=120)
        finally:
            process.kill()
        assert process.returncode == exit_code, said + aside
        return subprocess.CompletedProcess(process.args, exit_code, said, aside)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = (str(BIN / "jolaqy-bench"), *map(str, arguments))
        return subprocess.Popen(
            command, env=self.environment, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def json(self, *arguments: str | Path, exit_code: int = 0) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.run(*arguments, "--json", exit_code=exit_code).stdout)
