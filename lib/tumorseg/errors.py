"""The errors a user can cause. Every message says what was expected, what came and what to do.

The command line prints them on one line and exits with 2; the server answers with ``status``.
"""


class TumorSegError(Exception):
    """Base of every error that is shown to a user without a traceback."""

    status = 500


class InputError(TumorSegError, ValueError):
    """The data or the parameters cannot be used as they are (HTTP 422)."""

    status = 422


class NotFoundError(TumorSegError, LookupError):
    """A model, an image or a file with this name does not exist (HTTP 404)."""

    status = 404


class UnavailableError(TumorSegError, RuntimeError):
    """A part that is not installed or not reachable is needed for this request (HTTP 503)."""

    status = 503
