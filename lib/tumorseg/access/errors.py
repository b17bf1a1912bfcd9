"""What is said to somebody who may not come in."""

from __future__ import annotations

from tumorseg.errors import TumorSegError


class UnauthenticatedError(TumorSegError):
    """It is not known who asks (HTTP 401)."""

    status = 401


class ForbiddenError(TumorSegError):
    """Who asks may not do this (HTTP 403)."""

    status = 403


class ThrottledError(TumorSegError):
    """Too many sign-ins failed (HTTP 429).

    Attributes:
        retry_after: seconds until the next try is looked at.
    """

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many sign-ins failed: try again in {retry_after} s")
        self.retry_after = retry_after
