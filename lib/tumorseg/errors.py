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
    """A part that is not installed, not reachable or has too much to do is needed for this request (HTTP 503).

    Attributes:
        retry_after: seconds after which it is worth asking again, None where nobody can tell.
    """

    status = 503

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(TumorSegError, RuntimeError):
    """Somebody else was first: what the request builds on is no longer the newest (HTTP 409)."""

    status = 409


class StorageError(UnavailableError):
    """What must be kept cannot be kept or read now: 507 where no space is left, 503 otherwise.

    Nothing was acknowledged. The message says what to do; the server goes on by itself once that is done.
    """

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.status = 507 if full else 503
