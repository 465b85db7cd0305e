"""The build's own modules lie in `web/`, which is no package of the server."""

from __future__ import annotations

import sys
from pathlib import Path

WEB = Path(__file__).resolve().parents[3] / "web"
sys.path.insert(0, str(WEB))
