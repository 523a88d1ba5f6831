"""The `jolaqy` command: the commands of all features in one tree.

A feature that has commands keeps them in `commands.py`, whose `add_to(app)` hangs them in.
"""

from __future__ import annotations

import typer

import clearing.commands
from clearing.tables import feature_modules


def build() -> typer.Typer:
    """The whole tree of commands."""
    app = typer.Typer(
        name="jolaqy",
        help="The back office of an electronic fare-collection system.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
    )
    clearing.commands.add_to(app)
    for module in feature_modules("commands"):
        module.add_to(app)
    return app


def main() -> None:
    """Run the command line."""
    build()()


if __name__ == "__main__":
    main()
