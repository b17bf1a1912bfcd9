"""The command line, ``tumorseg``. Importing it loads nothing heavy: every command imports what it needs when it runs.

Results go to stdout, everything else (progress, notes, errors) to stderr. Exit codes: 0 done, 2 something the user
can mend (one line says what), 130 stopped with Ctrl-C, 1 a fault of ours (with a traceback: please report it), or that
``check --strict`` found something.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tumorseg import __version__
from tumorseg.cli import audit, labels, models, user
from tumorseg.cli.backup import backup
from tumorseg.cli.check import check
from tumorseg.cli.effort import effort
from tumorseg.cli.evaluate import evaluate
from tumorseg.cli.export import export
from tumorseg.cli.fsck import fsck
from tumorseg.cli.group import CommandGroup
from tumorseg.cli.import_ import import_
from tumorseg.cli.predict import predict
from tumorseg.cli.publish import publish
from tumorseg.cli.serve import serve
from tumorseg.cli.simulate import simulate
from tumorseg.cli.train import train

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tumorseg {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and stop.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="TUMORSEG_DEBUG", help="Show tracebacks and warnings of libraries.")
    ] = False,
) -> None:
    """Segment brain tumours on MR studies: in [bold]3D Slicer[/bold], in [bold]OHIF[/bold], or right here.

    [dim]A study in, its tumour out:[/dim]  tumorseg predict STUDY_FOLDER --out tumour.nii.gz

    [dim]The same in a viewer:[/dim]       tumorseg serve STUDIES_FOLDER
    """


for command in (predict, serve, evaluate, train, simulate, publish, effort, check, export, fsck, backup):
    app.command()(command)
app.command("import")(import_)  # the word itself is Python's
app.add_typer(models.app, name="models")
app.add_typer(user.app, name="user")
app.add_typer(audit.app, name="audit")
app.add_typer(labels.app, name="labels")
