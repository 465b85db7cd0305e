"""Which token of a form is about which of its files."""

from __future__ import annotations

from collections.abc import Sequence

from prelisten.hints.verify import read_token
from prelisten.keys import Keys


def paired(tokens: Sequence[str], files: Sequence[str], keys: Keys) -> list[str | None]:
    """Return a token, or `None`, for each of the files, which are named by their SHA-256.

    An element posts one entry for each of its files, in their order, an empty one for a file without a token. Where
    the numbers differ (several elements of one name, one of them without a token) each file gets the first token
    left that says it is about it. What a token is worth, `verify` says: this trusts none.
    """
    if len(tokens) == len(files):
        return [token or None for token in tokens]
    left = [(sealed.claim.file.sha256, token) for token in tokens if (sealed := read_token(token, keys))]
    found: list[str | None] = []
    for sha256 in files:
        mine = next((pair for pair in left if pair[0] == sha256), None)
        if mine is not None:
            left.remove(mine)
        found.append(None if mine is None else mine[1])
    return found
