"""In the place of numpy's LAPACK, which no screening needs: fetched when one of its functions is asked for."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_ilp64 = False


def __getattr__(name: str) -> Any:
    """Become the shared object, then give what it has under that name."""
    if name.startswith("__"):
        raise AttributeError(name)
    from _on_demand import fetch_module

    fetch_module(__name__)
    own = sys.modules.pop(__name__)
    try:
        real = importlib.import_module(__name__)  # A shared object comes before bytecode of the same name.
    except BaseException:
        sys.modules[__name__] = own
        raise
    globals().update({key: value for key, value in vars(real).items() if not key.startswith("__")})
    return getattr(real, name)
