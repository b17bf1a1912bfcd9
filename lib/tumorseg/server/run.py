"""``tumorseg serve``: listen, say what to open, serve until stopped.

Programs that start a server of their own run ``python -m tumorseg.server.run STUDIES [key=value …]``, with the keys
of :class:`tumorseg.config.AppConfig`, and read from its output where it listens.
"""

from __future__ import annotations

import logging
import socket
import sys
from typing import TYPE_CHECKING

from tumorseg.errors import InputError, TumorSegError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

_ANY_ADDRESS = ("0.0.0.0", "::")


def serve(config: AppConfig) -> None:
    """Serve until the process is told to stop.

    Raises:
        InputError: the studies cannot be used, or the address is taken.
    """
    listener = listen(config.host, config.port)
    with listener:
        import uvicorn

        from tumorseg.server.app import create_app

        logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
        app = create_app(config)
        port = listener.getsockname()[1]
        sys.stdout.write(welcome(config, port, app.state.workplace.source.is_dicom) + "\n")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Take the address before anything else is done, so that a taken one is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror}): choose another with --port") from None
    return listener


def welcome(config: AppConfig, port: int, is_dicom: bool) -> str:
    """Say what to open."""
    host = "127.0.0.1" if config.host in _ANY_ADDRESS else config.host
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    ohif = f"{address}/ohif/" if is_dicom else "(shows DICOM only; these studies are files)"
    lines = ["tumorseg is ready", f"  OHIF       {ohif}", f"  3D Slicer  {address}", f"  API docs   {address}/docs"]
    if config.host in _ANY_ADDRESS:
        lines.append("  Everyone in this network can reach it, without a password.")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Serve what the arguments say; an error of the user's is one line and exit code 2."""
    from tumorseg.config import AppConfig

    conf = dict(argument.partition("=")[::2] for argument in arguments[1:])
    try:
        serve(AppConfig.parse(arguments[0] if arguments else "", conf))
    except TumorSegError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
