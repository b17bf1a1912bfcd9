"""What goes wrong in a command, said in one line."""

from __future__ import annotations

import errno
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from tumorseg.errors import TumorSegError

EXIT_USER, EXIT_INTERRUPTED = 2, 130


class CommandGroup(TyperGroup):
    """Runs a command; an error that a user can mend becomes one line on stderr and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command named on the command line."""
        debug = bool(ctx.params.get("debug"))
        try:
            with _quiet(not debug):
                return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (TumorSegError, OSError, MemoryError) as error:
            # A closed pipe (| head) is nobody's fault; Typer ends quietly on it.
            if debug or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise
            typer.echo(f"error: {explain(error)}", err=True)
            raise typer.Exit(EXIT_USER) from None


def explain(error: BaseException) -> str:
    """Return the message of an error on one line."""
    if isinstance(error, MemoryError):
        return "not enough memory for this image; close other programs or use a machine with more"
    if isinstance(error, OSError) and not isinstance(error, TumorSegError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Keep the libraries' warnings off the terminal: what a user must know is in our notes and errors."""
    fallback = logging.lastResort
    level = fallback.level if fallback else logging.WARNING
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
            if fallback:
                fallback.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            if fallback:
                fallback.setLevel(level)
