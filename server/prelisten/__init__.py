"""Prelisten's server: verify what the browser claimed, listen again, decide by a written policy.

Importing the package loads nothing heavy: the names below are resolved when they are first used, so that
`import prelisten.policy` never loads Flask.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prelisten.extension import Prelisten as Prelisten
    from prelisten.extension import Screening as Screening

__version__ = "0.1.0"
__all__ = ["Prelisten", "Screening", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("Prelisten", "Screening"):
        from prelisten import extension

        return getattr(extension, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
