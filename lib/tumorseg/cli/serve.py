"""``tumorseg serve``: the server that Slicer and OHIF talk to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.options import Device
from tumorseg.errors import InputError, NotFoundError


def serve(
    studies: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDIES",
            show_default=False,
            help="A folder of DICOM, of NIfTI, NRRD or pictures; or the http(s) address of a DICOMweb server.",
        ),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve the sample studies of the source tree.")] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets those in the network in who sign in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; OHIF's panel looks for 8000.")] = 8000,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="NAME", help="Offer only these models (repeat); the first is the default."
        ),
    ] = None,
    interactive: Annotated[
        list[str] | None,
        typer.Option(
            "--interactive",
            metavar="NAME",
            help="Offer only these models for clicks and scribbles (repeat); none offers no such model.",
            show_default="all",
        ),
    ] = None,
    sam2_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Offer SAM 2 with this checkpoint of yours; nothing is fetched.", show_default=False
        ),
    ] = None,
    nninteractive_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Offer nnInteractive with this folder of weights of yours.", show_default=False
        ),
    ] = None,
    interactive_cache_mb: Annotated[
        int | None,
        typer.Option(metavar="MB", min=0, help="Memory of the images that people click on.", show_default="1024"),
    ] = None,
    interactive_minutes: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", help="How long clicks are remembered when nobody adds to them.", show_default="30"
        ),
    ] = None,
    device: Device = "auto",
    labels: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where labels from viewers are kept.", show_default=False)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where what can be made again is kept.", show_default=False)
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where people and the audit log are kept.", show_default=False)
    ] = None,
    auth: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="[bold]auto[/bold] asks people to sign in as soon as there is a user or others can reach the server; "
            "[bold]required[/bold] always, [bold]off[/bold] never (on this computer alone).",
        ),
    ] = "auto",
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate (PEM): serve https.", show_default=False)
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key (PEM, no passphrase).", show_default=False)
    ] = None,
    behind_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A reverse proxy that speaks https for us (repeat); only what it says of callers is believed.",
            show_default=False,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name browsers call this server by (repeat).", show_default=False),
    ] = None,
    insecure_http: Annotated[
        bool,
        typer.Option(
            "--insecure-http", help="Let others in over plain http, in a network where nobody listens who should not."
        ),
    ] = False,
    train_after: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Train after so many new labels; 0 trains only when a viewer asks.",
            show_default="0",
        ),
    ] = None,
    train_minutes: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Time that one training may take.", show_default="30")
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="Log lines as text (for people) or json.", show_default="text"),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="What is logged: debug, info, warning or error.", show_default="info"),
    ] = None,
) -> None:
    """Serve studies to 3D Slicer (MONAI Label extension) and to the OHIF viewer that comes with it.

    It prints what to open. Stop it with Ctrl-C.

    [bold]Examples[/bold]

        tumorseg serve /data/studies

        tumorseg serve https://pacs.example.org/dicom-web --port 8010 --model resunet

        tumorseg serve /data/studies --host 0.0.0.0 --tls-cert server.pem --tls-key server.key
    """
    if demo and studies:
        raise InputError("expected either STUDIES or --demo, got both")
    if not demo and not studies:
        raise InputError("expected STUDIES, a folder or a DICOMweb address; or --demo to look at the sample studies")
    from tumorseg.config import AppConfig
    from tumorseg.server.run import serve as run

    options = {
        "host": host,
        "port": port,
        "device": device,
        "models": model,
        "interactive": interactive,
        "sam2_weights": sam2_weights,
        "nninteractive_weights": nninteractive_weights,
        "interactive_cache_mb": interactive_cache_mb,
        "interactive_minutes": interactive_minutes,
        "labels": labels,
        "cache": cache,
        "state": state,
        "auth": None if auth == "auto" else auth,  # so that the environment may say something else
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "behind_proxy": behind_proxy,
        "allowed_hosts": allowed_host,
        "insecure_http": insecure_http or None,
        "train_after": train_after,
        "train_minutes": train_minutes,
        "log_format": log_format,
        "log_level": log_level,
    }
    run(AppConfig.parse(str(_sample_data()) if demo else str(studies), options))


def _sample_data() -> Path:
    import tumorseg

    folder = Path(tumorseg.__file__).resolve().parents[2] / "sample_data"
    if not folder.is_dir():
        raise NotFoundError(f"no sample studies at {folder}: they come with the source tree, not with the package")
    return folder
