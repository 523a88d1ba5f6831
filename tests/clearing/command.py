"""The `jolaqy` command in a test's own installation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from clearing.__main__ import build

if TYPE_CHECKING:
    from pathlib import Path


class Command:
    """The `jolaqy` command with an installation of its own."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.home = home
        self._environment = {"JOLAQY_HOME": str(home), "JOLAQY_DATABASE_URL": database_url, "COLUMNS": "200"}
        self._runner = CliRunner()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        result = self._runner.invoke(build(), list(arguments), env=self._environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        code, output, errors = self.run(*arguments, "--json")
        assert code == 0, errors
        return json.loads(output)
