"""What lets Slicer's module fetch an image without its token lets in nobody else."""

from __future__ import annotations

import pytest

from tests.access.test_oidc import Clock
from tumorseg.access.downloads import LASTS_S, Downloads
from tumorseg.access.types import LOCAL, Principal, Role

ANN = Principal("ann", Role.ADMIN, "token")


def test_one_image_once_from_one_address_as_a_viewer() -> None:
    downloads = Downloads(Clock())
    downloads.allow(ANN, "10.0.0.1", "case1")
    assert downloads.take("10.0.0.2", "case1") is None
    assert downloads.take("10.0.0.1", "case2") is None
    assert downloads.take("10.0.0.1", "case1") == Principal("ann", Role.VIEWER, "download")
    assert downloads.take("10.0.0.1", "case1") is None


def test_a_minute_later_nobody() -> None:
    clock = Clock()
    downloads = Downloads(clock)
    downloads.allow(ANN, "10.0.0.1", "case1")
    clock.now += LASTS_S
    assert downloads.take("10.0.0.1", "case1") is None


@pytest.mark.parametrize("who", [LOCAL, Principal("ann", Role.ADMIN, "cookie")])
def test_who_needs_none_gets_none(who: Principal) -> None:
    downloads = Downloads(Clock())
    downloads.allow(who, "10.0.0.1", "case1")
    assert downloads.take("10.0.0.1", "case1") is None


def test_what_is_kept_is_bounded() -> None:
    downloads = Downloads(Clock())
    for number in range(5000):
        downloads.allow(ANN, "10.0.0.1", f"case{number}")
    assert len(downloads._open) == 1000
