"""Open the data folder of a site that is there; a typing error in its name must not make a new one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from prelisten.config import Config, load_config
from prelisten.storage.sql import SqlStorage, open_existing


def config_of(arguments: argparse.Namespace) -> Config:
    """Return the settings, with the data folder of the command line."""
    return load_config(data=getattr(arguments, "data", None))


@contextmanager
def opened(config: Config) -> Iterator[SqlStorage]:
    """Open the site's database as it is. Raises `StorageError` when there is none, or one of another version."""
    storage = open_existing(config.database_url)
    try:
        yield storage
    finally:
        storage.close()
