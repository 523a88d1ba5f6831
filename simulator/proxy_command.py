"""`jolaqy-sim proxy`: a bad network for validators on a desk."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from simulator.fault_proxy import BAD, FAULTS, FaultProxy, RatesError, parse_rates

if TYPE_CHECKING:
    from simulator.fault_proxy import Rates

_EXIT_ERROR = 1
_EXIT_USAGE = 2
_aside = Console(stderr=True)


def proxy(
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="The clearing service.")],
    listen: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="What befalls the n-th connection comes from it.")] = 1,
    rates: Annotated[
        str | None, typer.Option(metavar="FAULT=RATE,…", help="Probabilities; default: each fault 0.05.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")] = False,
) -> None:
    """Carry connections to a service as a bad network does, until Ctrl-C; then tell how often each fault struck.

    Faults: drop, reset, delay, cut_request, cut_answer, drip (bytes come a few at a time), half_open (accepted, nobody behind
    it), mute (the answer is lost, the connection stays open), garbage.

    Example: jolaqy-sim proxy --listen 9000 --to 127.0.0.1:8000 --seed 1 --rates drop=0.1,mute=0.05
    """
    host, _, port = to.rpartition(":")
    if not host or not port.isdigit():
        _fail(f"no address {to}", "write it as 127.0.0.1:8000", _EXIT_USAGE)
    try:
        chosen = BAD if rates is None else parse_rates(rates)
    except RatesError as error:
        _fail(str(error), "write them as drop=0.1,mute=0.05", _EXIT_USAGE)
    try:
        counts = asyncio.run(_run(FaultProxy((host, int(port)), seed, chosen, listen)))
    except OSError as error:
        _fail(f"cannot listen on port {listen}: {error.strerror}", "choose another port, or 0 for a free one")
    if as_json:
        print(json.dumps(counts, indent=2))
    else:
        for name, count in counts.items():
            print(f"{name:12} {count:6}  {FAULTS.get(name, '')}".rstrip())


async def _run(proxy: FaultProxy) -> dict[str, int]:
    is_over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, is_over.set)
    async with proxy:
        _aside.print("listening on {}:{}".format(*proxy.address), highlight=False)
        _aside.print(f"rates: {_in_words(proxy.rates)}", highlight=False)
        await is_over.wait()
    return proxy.counts


def _in_words(rates: Rates) -> str:
    return ", ".join(f"{name} {rate:g}" for name, rate in rates.items()) or "none"


def _fail(message: str, remedy: str, exit_code: int = _EXIT_ERROR) -> NoReturn:
    _aside.print(f"[bold red]error:[/] {message}", highlight=False)
    _aside.print(f"[dim]{remedy}[/]", highlight=False)
    raise typer.Exit(exit_code)
