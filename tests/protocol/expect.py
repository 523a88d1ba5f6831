"""What stands for `pytest.raises` where there is no pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def refusal(error: type[Exception] | tuple[type[Exception], ...], function: Callable[..., Any], *arguments: Any) -> str:  # noqa: ANN401
    """Return the words with which a call is refused; it must be refused, and with that error."""
    try:
        function(*arguments)
    except error as raised:
        return str(raised)
    raise AssertionError("not refused: " + repr(arguments))
