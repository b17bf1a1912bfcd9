"""The configuration of a server, typed; the only place that parses strings from conf, environment or command line.

MONAI Label hands an app its ``--conf key value`` pairs as strings, ``tumorseg serve`` its options, and the
environment has ``TUMORSEG_<KEY>``. All three arrive here, in this order of precedence: conf and options first,
then the environment, then the default. A request never reaches this module.
"""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError, NotFoundError
from tumorseg.folders import cache_folder, data_folder
from tumorseg.registry import DEFAULT_MODEL, FOUNDATION, INTERACTIVE, MODELS
from tumorseg.settings import PARSERS

ENVIRONMENT_PREFIX = "TUMORSEG_"
AUTH_MODES = ("auto", "required", "off")
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
#: The roles of a Keycloak realm as MONAI Label's documentation sets it up.
OIDC_ROLES = {
    "monailabel-user": "viewer",
    "monailabel-annotator": "annotator",
    "monailabel-reviewer": "reviewer",
    "monailabel-admin": "admin",
}
#: Instead of names: none.
NO_MODEL = "none"
#: The address that OHIF's MONAI Label panel has built in.
DEFAULT_PORT = 8000
# What `python -m monailabel.main` itself adds to the conf of an app; of no meaning to us.
_FOREIGN_KEYS = frozenset({"server_mode"})


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return where a server keeps its people where nothing else is said; ``tumorseg user`` looks there too."""
    given = (os.environ if environ is None else environ).get(f"{ENVIRONMENT_PREFIX}STATE")
    return Path(given).expanduser().resolve() if given else data_folder() / "server"


@dataclass(frozen=True)
class AppConfig:
    """What is served, with what, and where.

    Attributes:
        studies: a folder (of DICOM, or of NIfTI, NRRD and pictures) or the http(s) address of a DICOMweb server.
        models: registry names that viewers may choose from, the default one first; empty: every registered model.
        default_model: the model that is loaded first, and listed first.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` …; decided here and never by a request.
        host: address to listen on; only this computer by default.
        port: port to listen on, 0 for any free one.
        cache: folder for what can be made again (converted images, indexes, sessions).
        labels: folder of the labels that annotators send; None: ``labels`` in the studies folder where that can be
            written, else below the user's data folder.
        label_classes: class name -> its value in label maps, or None where any will do; labels with other classes are
            refused. Empty: any class.
        lease_minutes: how long a case stays with the annotator to whom it was given.
        state: folder of what a server must not lose beside the labels: people and their tokens, the audit log. Several
            servers of one site may share it.
        prewarm: load the default model as soon as the server listens, so that the first mask comes sooner.
        image_cache_mb: decoded images kept in memory, in MB; 0 keeps none.
        max_waiting: inferences that may wait for a model; further ones are told to come back.
        shutdown_seconds: how long a server that is told to stop goes on with the inferences that run and wait.
        max_upload_mb: largest file that a request may bring.
        max_decoded_mb: largest image that a request may bring, in MB of voxels once it is unpacked.
        upload_timeout_s: how long a request may stop coming before it is given up.
        max_sessions: images of sessions kept at the same time.
        max_sessions_mb: what they may take on the disk together, in MB.
        extra_models: further models, name -> ``module:factory``, for sites that bring their own.
        interactive: interactive models that viewers may choose from, by registry name; empty: every registered one that
            can be built here, ``none``: none.
        sam2_weights: checkpoint of Segment Anything 2; without it ``sam2`` is not served.
        nninteractive_weights: folder of weights of nnInteractive; without it ``nninteractive`` is not served.
        extra_interactive: further interactive models, name -> ``module:factory``, for sites that bring their own.
        interactive_cache_mb: memory of what interactive models know of the images that people work on, and of the masks
            they are making, in MB.
        interactive_minutes: how long a mask in the making is remembered when nobody adds to it.
        auth: whether people sign in: ``required``, ``off`` (only while nobody but this computer can reach the server),
            or ``auto``: as soon as there is a user, OpenID Connect is configured, or others can reach it.
        signin_hours: how long a sign-in lasts.
        tls_cert: certificate chain (PEM) to serve https with; needs ``tls_key``.
        tls_key: its private key (PEM, without a passphrase).
        insecure_http: let others reach the server over plain http, where whoever listens reads images and passwords.
        behind_proxy: addresses of reverse proxies; only what these say of the caller's address and of https counts.
        allowed_hosts: further names under which browsers may call the server.
        oidc_issuer: OpenID Connect provider whose tokens are accepted, as its tokens name it (``iss``).
        oidc_audience: what those tokens must be made for (``aud``).
        oidc_client_id: the client as which passwords are passed on to the provider; the audience by default.
        oidc_name_claim: which claim names the person.
        oidc_role_claim: where the claim with the roles is, with dots between the levels.
        oidc_roles: value of that claim -> role.
        log_format: how log lines look: ``text`` for people, ``json`` for programs.
        log_level: from which level on they are written: ``debug``, ``info``, ``warning`` or ``error``.
        metrics_open: let everybody read ``/metrics``, for a scraper that cannot sign in.
        audit_addresses: keep in the audit log from which address a request came.
        disk_cache_mb: converted images and series fetched from an archive kept on disk, in MB each; those used
            longest ago make way.
        min_free_mb: free disk space, in MB, below which ``/readyz`` says that this server should get no more work.
        train_after: start a training after so many new labels; 0 trains only when somebody asks.
        train_minutes: time that one training may take, measuring its result not counted.
        train_threads: processor threads of a training; 0 takes half of them.
        train_nice: how far a training stands back behind everything else on the machine, 0 (not at all) to 19.
        train_memory_mb: memory that a training may take, in MB; 0 sets no limit.
        train_gpu_fraction: part of a GPU's memory that a training may take.
        train_margin: Dice by which a new model may be worse than the one that serves, at the lower end of the interval,
            and still be published.
    """

    studies: str
    models: tuple[str, ...] = ()
    default_model: str = DEFAULT_MODEL
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    cache: Path = field(default_factory=cache_folder)
    labels: Path | None = None
    label_classes: Mapping[str, int | None] = field(default_factory=dict)
    lease_minutes: int = 30
    state: Path = field(default_factory=state_folder)
    prewarm: bool = True
    image_cache_mb: int = 1024
    max_waiting: int = 16
    shutdown_seconds: int = 30
    max_upload_mb: int = 2048
    max_decoded_mb: int = 2048
    upload_timeout_s: float = 60.0
    max_sessions: int = 64
    max_sessions_mb: int = 16384
    extra_models: Mapping[str, str] = field(default_factory=dict)
    interactive: tuple[str, ...] = ()
    sam2_weights: Path | None = None
    nninteractive_weights: Path | None = None
    extra_interactive: Mapping[str, str] = field(default_factory=dict)
    interactive_cache_mb: int = 1024
    interactive_minutes: float = 30.0
    auth: str = "auto"
    signin_hours: int = 12
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_http: bool = False
    behind_proxy: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_client_id: str = ""
    oidc_name_claim: str = "preferred_username"
    oidc_role_claim: str = "realm_access.roles"
    oidc_roles: Mapping[str, str] = field(default_factory=lambda: dict(OIDC_ROLES))
    log_format: str = "text"
    log_level: str = "info"
    metrics_open: bool = False
    audit_addresses: bool = True
    disk_cache_mb: int = 20480
    min_free_mb: int = 512
    train_after: int = 0
    train_minutes: float = 30.0
    train_threads: int = 0
    train_nice: int = 19
    train_memory_mb: int = 8192
    train_gpu_fraction: float = 0.5
    train_margin: float = 0.02

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra_models", dict(self.extra_models))
        object.__setattr__(self, "label_classes", dict(self.label_classes))
        numbers = [number for number in self.label_classes.values() if number is not None]
        if len(set(numbers)) < len(numbers) or any(not 1 <= number <= 65535 for number in numbers):
            raise InputError(
                f"expected every class of label_classes with a value of its own in 1..65535, got {numbers}"
            )
        if self.lease_minutes < 1:
            raise InputError(f"expected lease_minutes of at least 1, got {self.lease_minutes}")
        if not self.studies:
            raise InputError("expected a studies folder or a DICOMweb address, got nothing: pass --studies")
        for name in (*self.models, self.default_model):
            if name not in self.known_models:
                raise NotFoundError(f"unknown model {name!r}; known: {', '.join(sorted(self.known_models))}")
        if not 0 <= self.port <= 65535:
            raise InputError(f"expected a port between 0 and 65535, got {self.port}")
        if min(self.image_cache_mb, self.max_waiting, self.max_upload_mb, self.shutdown_seconds) < 0:
            raise InputError("image_cache_mb, max_waiting, max_upload_mb and shutdown_seconds cannot be negative")
        if min(self.max_decoded_mb, self.max_sessions, self.max_sessions_mb) < 1 or not self.upload_timeout_s > 0:
            raise InputError("max_decoded_mb, max_sessions, max_sessions_mb and upload_timeout_s must be positive")
        if min(self.disk_cache_mb, self.min_free_mb) < 0:
            raise InputError("disk_cache_mb and min_free_mb cannot be negative")
        if self.log_format not in LOG_FORMATS or self.log_level not in LOG_LEVELS:
            expected = f"log_format {' or '.join(LOG_FORMATS)} and log_level {', '.join(LOG_LEVELS)}"
            raise InputError(f"expected {expected}, got {self.log_format!r} and {self.log_level!r}")
        self._check_training()
        self._check_access()
        self._check_interactive()
        served = self.models or tuple(self.known_models)
        object.__setattr__(self, "models", tuple(dict.fromkeys((self.default_model, *served))))

    def _check_training(self) -> None:
        """Refuse limits of trainings that cannot be kept."""
        if min(self.train_after, self.train_threads, self.train_memory_mb) < 0:
            raise InputError("train_after, train_threads and train_memory_mb cannot be negative")
        if not 0 <= self.train_nice <= 19:
            raise InputError(f"expected train_nice in 0..19, got {self.train_nice}")
        if not 0 < self.train_minutes < math.inf or not 0 < self.train_gpu_fraction <= 1 or not self.train_margin >= 0:
            raise InputError(
                "expected positive train_minutes, a train_gpu_fraction in (0, 1] and a train_margin of 0 or more, got "
                f"{self.train_minutes}, {self.train_gpu_fraction} and {self.train_margin}"
            )

    def _check_interactive(self) -> None:
        """Fill in which interactive models are served, and refuse what cannot be."""
        if self.interactive_cache_mb < 0 or not 0 < self.interactive_minutes < math.inf:
            raise InputError(
                "expected interactive_cache_mb of 0 or more and positive interactive_minutes, got "
                f"{self.interactive_cache_mb} and {self.interactive_minutes}"
            )
        served = () if self.interactive == (NO_MODEL,) else self.interactive or self._usable_interactive
        unknown = [name for name in served if name not in self.known_interactive]
        if unknown:
            known = ", ".join(sorted(self.known_interactive)) or "none"
            raise NotFoundError(f"unknown interactive model {', '.join(unknown)}; known: {known}")
        both = sorted(set(served) & set(self.known_models))
        if both:
            raise InputError(f"{', '.join(both)} names a model and an interactive model: give one another name")
        object.__setattr__(self, "interactive", tuple(dict.fromkeys(served)))

    def _check_access(self) -> None:
        """Refuse settings of who may come in that contradict each other."""
        if self.auth not in AUTH_MODES:
            raise InputError(f"expected auth to be {', '.join(AUTH_MODES)}, got {self.auth!r}")
        if self.signin_hours < 1:
            raise InputError(f"expected signin_hours of at least 1, got {self.signin_hours}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("expected tls_cert and tls_key together, got one of them")
        for proxy in self.behind_proxy:
            _check_proxy(proxy)
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise InputError("expected oidc_issuer and oidc_audience together, got one of them")

    @property
    def known_models(self) -> dict[str, str]:
        """Every model that may be served: the registry's and the site's own, name -> ``module:factory``."""
        return {**MODELS, **self.extra_models}

    @property
    def known_interactive(self) -> dict[str, str]:
        """Every interactive model that may be served: the registry's and the site's own."""
        return {**INTERACTIVE, **self.extra_interactive}

    @property
    def interactive_weights(self) -> dict[str, Path]:
        """Weights that the user brings, by the name of the interactive model."""
        named = {"sam2": self.sam2_weights, "nninteractive": self.nninteractive_weights}
        return {name: path for name, path in named.items() if path is not None}

    @property
    def _usable_interactive(self) -> tuple[str, ...]:
        """The interactive models that nobody has to bring weights for, or did."""
        return tuple(n for n in self.known_interactive if n not in FOUNDATION or n in self.interactive_weights)

    @property
    def is_remote(self) -> bool:
        """Whether the studies lie on a DICOMweb server."""
        return self.studies.startswith(("http://", "https://"))

    @classmethod
    def parse(
        cls, studies: str | Path, conf: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
    ) -> AppConfig:
        """Build the configuration from strings.

        Args:
            studies: folder or DICOMweb address.
            conf: the pairs of ``--conf`` or the options of the command line; a None counts as not given.
            environ: where ``TUMORSEG_<KEY>`` is looked up; the process's environment by default.

        Raises:
            InputError: an unknown key, or a value that cannot be read as what the key means.
        """
        environ = os.environ if environ is None else environ
        given = {key: value for key, value in (conf or {}).items() if value is not None and key not in _FOREIGN_KEYS}
        unknown = sorted(set(given) - set(PARSERS))
        if unknown:
            raise InputError(f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(PARSERS))}")
        values: dict[str, Any] = {}
        for key, parser in PARSERS.items():
            text = given.get(key, environ.get(ENVIRONMENT_PREFIX + key.upper()))
            if text is not None:
                values[key] = _parsed(key, parser, text)
        if values.get("models") and "default_model" not in values:
            values["default_model"] = values["models"][0]
        address = str(studies).strip()
        if "://" not in address:
            address = str(Path(address).expanduser().resolve()) if address else ""
        return cls(studies=address.rstrip("/") or address, **values)


def _check_proxy(text: str) -> None:
    """Take addresses and networks: a name would never match, and believing everybody is believing nobody."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InputError(
            f"expected behind_proxy to be an address or a network such as 10.1.2.1, got {text!r}"
        ) from None
    if network.prefixlen == 0:
        raise InputError(f"behind_proxy {text} would believe everybody: name the proxy's own address")


def _parsed(key: str, parser: Callable[[Any], Any], value: Any) -> Any:
    """Read one value, naming its key in the error."""
    try:
        return parser(value)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError | NotFoundError):
            raise
        raise InputError(f"setting {key}: cannot use {value!r} ({error})") from None
