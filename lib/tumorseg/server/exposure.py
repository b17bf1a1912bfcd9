"""Who can reach an address, and what a server must ask for before it listens where others can.

What counts is the address that was really taken, not how it was written: ``localhost`` may be set to anything.
Nothing is listened on before that was decided.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

_WAITING = 128


def listen(host: str, port: int, config: AppConfig | None = None) -> socket.socket:
    """Take an address before anything else is done, so that a taken one is said at once.

    Args:
        host: a name or an address, IPv4 or IPv6.
        port: 0 takes any free one.
        config: what was configured; without it nothing but this computer may reach the address.

    Raises:
        InputError: the address is taken or none of this computer, or others would reach a server that is not safe.
    """
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        if is_exposed(listener):
            require_safe(host, config)
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror}): choose another with --port") from None
    except InputError:
        listener.close()
        raise
    return listener


def is_exposed(listener: socket.socket) -> bool:
    """Tell whether others than this computer can reach a bound address."""
    bound = ipaddress.ip_address(str(listener.getsockname()[0]).partition("%")[0])
    mapped = bound.ipv4_mapped if isinstance(bound, ipaddress.IPv6Address) else None
    return not (mapped or bound).is_loopback


def require_safe(host: str, config: AppConfig | None) -> None:
    """Refuse to let others reach a server that asks nobody who they are, or that is overheard.

    Over plain http whoever is in the same network reads images, passwords and tokens. That is taken where a trusted
    proxy speaks https, or where somebody says in so many words that the network is theirs alone.
    """
    from tumorseg.access.users import Users

    if config is None:
        raise InputError(f"others can reach {host}: expected an address of this computer alone, such as 127.0.0.1")
    if config.auth == "off":
        raise InputError(f"others can reach {host}: --auth off is for addresses of this computer alone (127.0.0.1)")
    if not config.oidc_issuer and not any(user.active for user in Users(config.state).all()):
        raise InputError(
            f"others can reach {host} and nobody is known who may sign in: add somebody by "
            "`tumorseg user add NAME --role admin`, or listen on 127.0.0.1"
        )
    if not (config.tls_cert or config.behind_proxy or config.insecure_http):
        raise InputError(
            f"others can reach {host} over plain http, where passwords and images can be read on their way: give "
            "--tls-cert and --tls-key, or --behind-proxy ADDRESS where a proxy speaks https; --insecure-http is for a "
            "network of your own"
        )


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    """Return the first address that a name stands for."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot listen on {host}: no such name or address ({error})") from None
    family, _, _, _, address = found[0]
    return family, address
