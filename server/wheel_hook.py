"""Put the built widget into the wheel, or say what is missing: a wheel without it could serve nothing."""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WidgetHook(BuildHookInterface):
    """Copy `web/dist` (made by `build.py bundle`) and `web/docs` to `prelisten/_web` and `_docs` in the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        """Refuse to make a wheel that has no widget. An editable install reads `web/dist` in place."""
        if version == "editable":
            return
        dist = Path(self.root) / "web" / "dist"
        if not (dist / "manifest.json").is_file():
            raise FileNotFoundError(
                f"{dist / 'manifest.json'} is missing, so the wheel would have no widget to serve. "
                "Run `python3 build.py bundle` first, then `pip wheel .` again."
            )
        build_data["force_include"][str(dist)] = "prelisten/_web"
        build_data["force_include"][str(Path(self.root) / "web" / "docs")] = "prelisten/_docs"
