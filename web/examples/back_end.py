"""The back end of the examples: Flask with Prelisten, which listens to every recording, with a hint or without one."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, redirect, send_from_directory
from tus_files import make_tus

from prelisten import Prelisten, Screening
from prelisten.config import Config

HERE = Path(__file__).resolve().parent
ACTION = "voice-upload"
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data:; media-src 'self' blob:"
)


def create_app(built: Path, config: Config) -> Flask:
    """Make the application; `built` holds the bundled scripts of the pages."""
    app = Flask(__name__)
    prelisten = Prelisten(app, config)
    app.register_blueprint(make_tus(prelisten, config.data / "tus", action=ACTION))

    @app.post("/submit")
    @prelisten.screened("voice", action=ACTION)
    def submit(screening: Screening) -> dict:
        """Take a form, or what an upload library posts like one."""
        return screening.to_dict()

    @app.get("/")
    def start() -> Response:
        """Lead to one of the pages."""
        return redirect("/uppy/")

    @app.get("/page.css")
    def style() -> Response:
        """Serve the style that the pages share."""
        return send_from_directory(HERE, "page.css")

    @app.get("/<name>/")
    def page(name: str) -> Response:
        """Serve the page of an example, under a strict policy."""
        response = send_from_directory(HERE, f"{name}/index.html")
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/<name>/<file>")
    def script(name: str, file: str) -> Response:
        """Serve what was bundled for it."""
        return send_from_directory(built, f"{name}/{file}")

    return app
