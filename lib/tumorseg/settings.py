"""How the settings of :mod:`tumorseg.config` are read from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def boolean(value: Any) -> bool:
    """Read yes or no in the ways people write it."""
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    said = str(value).strip().lower()
    if said not in known:
        raise ValueError("expected true or false")
    return known[said]


def names(value: Any) -> tuple[str, ...]:
    """Read comma separated names, in one text or in several: people write an option once or repeat it."""
    texts = [value] if isinstance(value, str) else value
    return tuple(part.strip() for text in texts for part in str(text).split(",") if part.strip())


def entries(value: Any) -> dict[str, str]:
    """Read ``name=module:factory`` pairs, comma separated."""
    if isinstance(value, Mapping):
        return {str(name): str(target) for name, target in value.items()}
    found = {}
    for part in names(value):
        name, _, target = part.partition("=")
        if not name or target.count(":") != 1:
            raise ValueError("expected name=module:factory")
        found[name] = target
    return found


def pairs(value: Any) -> dict[str, str]:
    """Read ``value=role`` pairs, comma separated."""
    if isinstance(value, Mapping):
        return {str(name): str(role) for name, role in value.items()}
    found = {}
    for part in names(value):
        name, _, role = part.rpartition("=")
        if not name or not role:
            raise ValueError("expected value=role")
        found[name] = role
    return found


def classes(value: Any) -> dict[str, int | None]:
    """Read names of classes, comma separated, each with its value (``tumor=1``) or without."""
    if isinstance(value, Mapping):
        return {str(name): None if number is None else int(number) for name, number in value.items()}
    found: dict[str, int | None] = {}
    for part in names(value):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not name or name in found:
            raise ValueError("expected every class once, as name or name=value")
        found[name] = int(number) if equals else None
    return found


def text(value: Any) -> str:
    """Read a text that is not empty."""
    stripped = str(value).strip()
    if not stripped:
        raise ValueError("expected a text, got nothing")
    return stripped


def path(value: Any) -> Path:
    """Read a path; ``~`` is the user's home, and what is relative is relative to where the program was started."""
    return Path(text(value)).expanduser().resolve()


#: Key of the configuration -> what reads its text; each raises ValueError or TypeError for what it cannot read.
PARSERS: dict[str, Callable[[Any], Any]] = {
    "models": names,
    "default_model": text,
    "device": text,
    "host": text,
    "port": int,
    "cache": path,
    "labels": path,
    "label_classes": classes,
    "lease_minutes": int,
    "state": path,
    "prewarm": boolean,
    "image_cache_mb": int,
    "max_waiting": int,
    "shutdown_seconds": int,
    "max_upload_mb": int,
    "max_decoded_mb": int,
    "upload_timeout_s": float,
    "max_sessions": int,
    "max_sessions_mb": int,
    "extra_models": entries,
    "interactive": names,
    "sam2_weights": path,
    "nninteractive_weights": path,
    "extra_interactive": entries,
    "interactive_cache_mb": int,
    "interactive_minutes": float,
    "auth": text,
    "signin_hours": int,
    "tls_cert": path,
    "tls_key": path,
    "insecure_http": boolean,
    "behind_proxy": names,
    "allowed_hosts": names,
    "oidc_issuer": text,
    "oidc_audience": text,
    "oidc_client_id": text,
    "oidc_name_claim": text,
    "oidc_role_claim": text,
    "oidc_roles": pairs,
    "log_format": text,
    "log_level": text,
    "metrics_open": boolean,
    "audit_addresses": boolean,
    "disk_cache_mb": int,
    "min_free_mb": int,
    "train_after": int,
    "train_minutes": float,
    "train_threads": int,
    "train_nice": int,
    "train_memory_mb": int,
    "train_gpu_fraction": float,
    "train_margin": float,
}
