"""Python imports this at its start: modules that no screening needs are fetched when one of them is imported."""

import sys

from _on_demand import Finder

sys.meta_path.append(Finder())
