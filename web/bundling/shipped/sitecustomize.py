"""Python imports this at its start: modules that no screening needs are fetched when one of them is imported."""

import sys

from _on_demand import Finder

# The tables of these are not in the main module: the encodings that need them are unknown ones.
for _name in ("cn", "hk", "iso2022", "jp", "kr", "tw"):
    sys.modules[f"_codecs_{_name}"] = None
sys.meta_path.append(Finder())
