"""``tumorseg serve``: listen, say what to open, serve until stopped.

Programs that start a server of their own run ``python -m tumorseg.server.run STUDIES [key=value …]``, with the keys
of :class:`tumorseg.config.AppConfig`, and read from its output where it listens.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from tumorseg.errors import TumorSegError
from tumorseg.server import logs, tls
from tumorseg.server.exposure import is_exposed, listen

if TYPE_CHECKING:
    from tumorseg.access.gate import Access
    from tumorseg.config import AppConfig

#: How long a thread that prepares a study may keep Python's lock from the one that answers; Python's own is 5 ms, and
#: one answer asks for the lock several times.
SWITCH_S = 0.0005
_ANY_ADDRESS = ("0.0.0.0", "::")


def serve(config: AppConfig) -> None:
    """Serve until the process is told to stop.

    Raises:
        InputError: the studies cannot be used, the address is taken, or others would reach a server that is not safe.
    """
    if config.tls_cert and config.tls_key:
        tls.check(config.tls_cert, config.tls_key)
    listener = listen(config.host, config.port, config)
    with listener:
        import uvicorn

        from tumorseg.server import watch
        from tumorseg.server.app import create_app
        from tumorseg.server.graceful import GracefulServer
        from tumorseg.server.patience import PatientProtocol

        logs.configure(config)
        sys.setswitchinterval(SWITCH_S)
        app = create_app(config, exposed=is_exposed(listener))
        watch.hide_names(app)
        port = listener.getsockname()[1]
        sys.stdout.write(welcome(config, port, app.state.workplace.source.is_dicom, app.state.access) + "\n")
        sys.stdout.flush()
        settings = uvicorn.Config(
            app,
            http=PatientProtocol,
            log_config=None,  # its lines go the way of ours
            access_log=False,
            server_header=False,
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
            # Said in so many words: without them uvicorn believes every program on this computer.
            proxy_headers=bool(config.behind_proxy),
            forwarded_allow_ips=list(config.behind_proxy),
            timeout_graceful_shutdown=config.shutdown_seconds + 1,
        )
        GracefulServer(settings, partial(app.state.workplace.engine.close, config.shutdown_seconds)).run([listener])


def welcome(config: AppConfig, port: int, is_dicom: bool, access: Access) -> str:
    """Say what to open, and who may."""
    host = "127.0.0.1" if config.host in _ANY_ADDRESS else config.host
    scheme = "https" if config.tls_cert else "http"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    ohif = f"{address}/ohif/" if is_dicom else "(shows DICOM only; these studies are files)"
    lines = ["tumorseg is ready", f"  OHIF       {ohif}", f"  3D Slicer  {address}", f"  API docs   {address}/docs"]
    lines.append(f"  Access     {_mode(config, access)}")
    if config.insecure_http and not config.tls_cert and not config.behind_proxy:
        lines.append("  WARNING: plain http. Whoever is in this network can read images, passwords and tokens.")
    return "\n".join(lines)


def _mode(config: AppConfig, access: Access) -> str:
    """Say who may come in."""
    if not access.required:
        return "open to everybody on this computer, without a sign-in"
    count = access.users.count()
    known = [f"{count} user{'' if count == 1 else 's'}"] if count or not config.oidc_issuer else []
    known += [f"people of {config.oidc_issuer}"] if config.oidc_issuer else []
    return f"sign-in required ({', '.join(known)})"


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
