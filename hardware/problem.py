"""What goes wrong at a bench, in words for whoever stands there: what it is, what to do, and the command's exit code."""

from __future__ import annotations

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_NOTHING_FOUND = 3
EXIT_CHECK_FAILED = 4
EXIT_CONFLICT = 5


class Problem(Exception):  # noqa: N818 - most are not errors of a program
    """Something that a person must do something about.

    Attributes:
        remedy: what to do.
        exit_code: of the command.
    """

    def __init__(self, message: str, remedy: str, exit_code: int = EXIT_ERROR) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.exit_code = exit_code
