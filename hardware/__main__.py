"""The `jolaqy-bench` command: what a technician does with cards, readers and validators on a bench."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from hardware.card_commands import app as card_app
from hardware.problem import Problem
from hardware.tap_commands import accept, tap

app = typer.Typer(
    name="jolaqy-bench",
    help="The technician's bench: cards, readers, validators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(card_app)
app.command("tap")(tap)
app.command("accept")(accept)


@app.callback()
def _bench() -> None:
    """The technician's bench: cards, readers, validators."""


def main() -> None:
    """Run the command line; what goes wrong is told with what to do."""
    try:
        app()
    except Problem as problem:
        aside = Console(stderr=True, soft_wrap=True)
        aside.print(f"[bold red]error:[/] {problem}", highlight=False)
        aside.print(f"[dim]{problem.remedy}[/]", highlight=False)
        sys.exit(problem.exit_code)


if __name__ == "__main__":
    main()
