"""The same fold by a compiler, where one is installed (`pip install 'jolaqy[scale]'`): the text of `clearing.pricing.fold`.

Compiling takes a few seconds, so a small day is folded plainly. Both give the same fares, to the tiyn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

from clearing.pricing.fold import Fares, Rides, Rules, fold
from clearing.pricing.walk import Fold, fold_plainly

# From so many records on compiling pays for itself.
COMPILED_FROM = 500_000


def has_compiler() -> bool:
    return find_spec("numba") is not None


@cache
def compiled() -> Callable[..., None]:
    """The fold as machine code, over NumPy columns of 64 bits."""
    from numba import njit  # noqa: PLC0415 - only where it is installed

    try:
        return cast("Callable[..., None]", njit(cache=True)(fold))
    except RuntimeError:  # nowhere to keep what was compiled
        return cast("Callable[..., None]", njit()(fold))


def fold_columns(rides: Rides, rules: Rules) -> Fares:
    """The compiled fold over NumPy columns; gives NumPy columns."""
    import numpy as np  # noqa: PLC0415 - only where it is installed

    count, places = len(rides.medium), len(rules.cap_period)
    fares: Any = Fares(*(np.zeros(count, np.int64) for _ in Fares._fields))  # type: ignore[arg-type]
    compiled()(rides, rules, fares, np.zeros(places, np.int64), np.full(places, -1, np.int64))
    return fares  # type: ignore[no-any-return]


def fold_compiled(rides: Rides, rules: Rules) -> Fares:
    """The same over any sequences."""
    import numpy as np  # noqa: PLC0415 - only where it is installed

    columns: Any = Rides(*(np.asarray(column, np.int64) for column in rides))  # type: ignore[arg-type]
    table: Any = Rules(*(np.asarray(column, np.int64) for column in rules))  # type: ignore[arg-type]
    return Fares(*(column.tolist() for column in fold_columns(columns, table)))  # type: ignore[attr-defined]


def best_fold(count: int) -> Fold:
    """The fold for so many records."""
    return fold_compiled if count >= COMPILED_FROM and has_compiler() else fold_plainly
