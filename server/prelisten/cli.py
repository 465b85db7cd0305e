"""The `prelisten` command. Each subcommand is a thin door: parse, call, print."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from prelisten import __version__
from prelisten.config import Config, load_config
from prelisten.errors import PrelistenError
from wasm_detector.errors import DetectorError

Run = Callable[[argparse.Namespace], int]


def _config(arguments: argparse.Namespace) -> Config:
    named = {name: getattr(arguments, name, None) for name in ("data", "workers")}
    return load_config(**named)


def _port(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"a port is 1 to 65535, not {text}")
    return int(text)


def _workers(text: str) -> int:
    most = 64
    if not (text.isdigit() and int(text) <= most):
        raise argparse.ArgumentTypeError(f"a number of screening processes is 0 (none) to {most}, not {text}")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    from prelisten.serve import serve

    return serve(_config(arguments), arguments.host, arguments.port, lambda line: print(line, flush=True))


def _worker(arguments: argparse.Namespace) -> int:
    from prelisten.logs import set_up
    from prelisten.supervisor import end_with_parent
    from prelisten.wiring import wire
    from prelisten.worker import run_worker

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    end_with_parent(ended)
    config = _config(arguments)
    set_up(config)
    run_worker(wire(config), stop=ended)
    return 0


def _review_link(arguments: argparse.Namespace) -> int:
    from prelisten.keys import load_keys
    from prelisten.review.sign_in import new_link_code
    from prelisten.serve import last_address

    config = _config(arguments)
    load_keys(config)
    address = arguments.address or last_address(config)
    print(f"{address.rstrip('/')}/review/sign-in?code={new_link_code(config.data)}")
    return 0


def _add_server(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    serve = commands.add_parser("serve", parents=[data], help="run the server with its screening processes")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8000, help="port to listen on (default 8000)")
    serve.add_argument("--workers", type=_workers, default=None, help="screening processes (default 1)")
    serve.set_defaults(run=_serve)
    worker = commands.add_parser("worker", parents=[data], help="run one screening process")
    worker.set_defaults(run=_worker)
    link = commands.add_parser("review-link", parents=[data], help="make a new one-time link for a reviewer")
    link.add_argument("--address", help="where the server is reached (default: where it was last started)")
    link.set_defaults(run=_review_link)


def _add_keys(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    from prelisten.commands import api_keys, signing_keys

    keys = commands.add_parser(
        "keys", help="make, rotate and list the signing keys, and the API keys of back ends"
    ).add_subparsers(required=True)
    signing_keys.add_commands(keys, data)
    api_keys.add_commands(keys, data)


def _add_lab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from prelisten.lab import calibrate, evaluate, scan, train

    for name, module in {"scan": scan, "evaluate": evaluate, "train": train, "calibrate": calibrate}.items():
        summary = (module.__doc__ or name).partition("\n")[0]
        parser = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(parser)
        parser.set_defaults(run=module.run)


def _add_upkeep(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    from prelisten.commands import audit, backup, model, operation, outbox, policy, privacy

    for module in (policy, model, audit, outbox, privacy, backup, operation):
        module.add_commands(commands, data)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    root = argparse.ArgumentParser(
        prog="prelisten", description="Screen recordings for signs of synthetic speech."
    )
    root.add_argument("--version", action="version", version=f"prelisten {__version__}")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", type=Path, default=None, help="data folder (default $PRELISTEN_DATA, else ./data)"
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _add_server(commands, data)
    _add_keys(commands, data)
    _add_upkeep(commands, data)
    _add_lab(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status. What goes wrong is one sentence on standard error."""
    parsed = parser().parse_args(arguments)
    run: Run = parsed.run
    try:
        return run(parsed)
    except (PrelistenError, DetectorError) as error:
        print(f"prelisten: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:
        print(
            f"prelisten: {error.filename or 'The system'} cannot be used: {error.strerror or error}.",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
