"""Open Mic: people sign in and post short recordings. An example of an application that uses Prelisten.

Everything here is the application's own: its layout, its Content-Security-Policy, its sign-in, its database. Of
Prelisten it uses three lines (the import, `Prelisten(app)`, `@prelisten.screened(...)`) and, to see later what became
of a post, `look_up` and `open_recording`.
"""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from flask import Flask, abort, flash, redirect, render_template, request, send_file, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from open_mic.database import Database, Post
from prelisten import Prelisten
from prelisten.errors import NotFoundError

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data:; media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MIN_PASSWORD_CHARACTERS = 8
MAX_NAME_CHARACTERS = 40
MAX_TITLE_CHARACTERS = 80


def create_app(folder: str | None = None) -> Flask:
    """Make the application; its database and its cookie's key lie in `folder`, or in OPEN_MIC_DATA."""
    data = Path(folder or os.environ.get("OPEN_MIC_DATA", "open-mic-data"))
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    app = Flask(__name__)
    app.config.update(SECRET_KEY=cookie_key(data / "cookie.key"), SESSION_COOKIE_SAMESITE="Lax")
    database = Database(data / "open_mic.sqlite3")
    prelisten = Prelisten(app)

    def signed_in(view: Callable[..., Any]) -> Callable[..., Any]:
        """Lead those who are not signed in to the sign-in; above `screened`, before anything is received."""

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if "name" not in session:
                return redirect(url_for("sign_in"), code=303)
            return view(*args, **kwargs)

        return guarded

    def up_to_date(post: Post) -> Post:
        """Return a post with what has become of it: a `hold` ends sooner or later."""
        if post.decision != "hold":
            return post
        try:
            found = prelisten.look_up(post.submission_id)
        except NotFoundError:  # Erased by the people who run the site.
            return database.decide(post, "reject", [])
        if found.decision == "hold":
            return post
        return database.decide(post, found.decision.value, [(r.title, r.text) for r in found.reasons])

    @app.get("/")
    def wall() -> str:
        """Show what was published, and one's own posts wherever they are."""
        posts = [up_to_date(post) for post in database.posts()]
        return render_template(
            "wall.html", posts=[post for post in posts if post.is_seen_by(session.get("name"))]
        )

    @app.get("/sign-in")
    def sign_in() -> str:
        """Ask for a name and a password; a new name makes an account."""
        return render_template("sign_in.html")

    @app.post("/sign-in")
    def enter() -> Response:
        """Begin a session of our own. Its id binds the hints that are made in it."""
        name, password = request.form.get("name", "").strip(), request.form.get("password", "")
        if not 0 < len(name) <= MAX_NAME_CHARACTERS or len(password) < MIN_PASSWORD_CHARACTERS:
            flash(f"A name, and a password of at least {MIN_PASSWORD_CHARACTERS} characters, please.")
            return redirect(url_for("sign_in"), code=303)
        known = database.password_hash(name)
        right = (
            check_password_hash(known, password)
            if known
            else database.add_person(name, generate_password_hash(password))
        )
        if not right:
            flash("This name has another password.")
            return redirect(url_for("sign_in"), code=303)
        session.clear()
        session.update(name=name, id=secrets.token_hex(16))
        return redirect(url_for("new_post"), code=303)

    @app.post("/sign-out")
    def sign_out() -> Response:
        """End the session."""
        session.clear()
        return redirect(url_for("wall"), code=303)

    @app.get("/new")
    @signed_in
    def new_post() -> str:
        """Show the form. Its key makes a double click, or a reload, one post."""
        return render_template("new.html", key=secrets.token_hex(16), session_id=session["id"])

    @app.post("/new")
    @signed_in
    @prelisten.screened("voice", action="open-mic", session=lambda: session["id"], wait_s=2)
    def publish(screening: Any) -> Response:
        """Keep the post with the decision about its recording, and lead to it."""
        title = request.form.get("title", "").strip()[:MAX_TITLE_CHARACTERS] or "Untitled"
        post = database.add_post(
            author=session["name"],
            title=title,
            submission_id=screening.submission.id,
            decision=screening.decision.value,
            reasons=[(reason.title, reason.text) for reason in screening.reasons],
        )
        return redirect(url_for("one_post", post_id=post.id), code=303)

    @app.get("/posts/<int:post_id>")
    def one_post(post_id: int) -> str:
        """Show one post; while its recording is listened to, the page follows that."""
        post = seen_post(post_id)
        status_url = url_for("prelisten_api.status", submission_id=post.submission_id)
        return render_template("post.html", post=post, status_url=status_url)

    @app.get("/posts/<int:post_id>/recording")
    def recording(post_id: int) -> Response:
        """Play a post's recording, as it was sent."""
        post = seen_post(post_id)
        try:
            stored = prelisten.open_recording(post.submission_id)
        except NotFoundError:
            abort(404, "This recording is no longer kept.")
        return send_file(stored, mimetype="application/octet-stream", download_name="recording")

    def seen_post(post_id: int) -> Post:
        """Return a post that this visitor may see; what is not published is its author's business."""
        post = database.post(post_id)
        post = post and up_to_date(post)
        if post is None or not post.is_seen_by(session.get("name")):
            abort(404, "There is no such post.")
        return post

    @app.errorhandler(HTTPException)
    def problem(error: HTTPException) -> tuple[str, int, dict[str, str]]:
        """Show every refusal in our own layout: also those of `screened`, which say what to do."""
        wait_s = getattr(error, "retry_after", None)
        headers = {"Retry-After": str(wait_s)} if wait_s else {}
        return render_template("problem.html", error=error), error.code or 500, headers

    @app.after_request
    def protect(response: Response) -> Response:
        """Add our policy to our pages. The worker's file brings its own, which must stay as it is."""
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    return app


def cookie_key(path: Path) -> bytes:
    """Return the key of the session cookies, made at the first start."""
    if not path.exists():
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with suppress(FileExistsError):  # Another process that started at the same moment was first.
            os.link(made, path)
        made.unlink()
    return path.read_bytes()
