"""The size of an ultrasound pixel: of the region that is looked at, else of the plain attributes, else unknown."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.dicom.ultrasound import region
from tumorseg.dicom.regions import picture_spacing

LEFT, RIGHT = (0, 0, 39, 59), (48, 0, 87, 59)


def header(*regions: Dataset, **attrs: Any) -> Dataset:
    ds = Dataset()
    ds.Rows, ds.Columns = 60, 88
    if regions:
        ds.SequenceOfUltrasoundRegions = list(regions)
    for keyword, value in attrs.items():
        setattr(ds, keyword, value)
    return ds


def test_the_region_in_the_middle_speaks() -> None:
    assert picture_spacing(header(region((0.2, 0.25)))) == pytest.approx((0.25, 0.2))


def test_an_axis_that_runs_backwards_has_a_size_too() -> None:
    assert picture_spacing(header(region((0.2, -0.2)))) == pytest.approx((0.2, 0.2))


def test_what_covers_the_middle_comes_before_what_does_not() -> None:
    beside = region((0.5, 0.5), (0, 50, 20, 59))
    assert picture_spacing(header(beside, region((0.2, 0.2), (10, 0, 87, 49)))) == pytest.approx((0.2, 0.2))


def test_the_only_region_speaks_wherever_it_lies() -> None:
    assert picture_spacing(header(region((0.3, 0.3), (0, 0, 30, 30)))) == pytest.approx((0.3, 0.3))


def test_two_pictures_side_by_side_must_agree() -> None:
    assert picture_spacing(header(region((0.2, 0.2), LEFT), region((0.2, 0.2), RIGHT))) == pytest.approx((0.2, 0.2))
    assert picture_spacing(header(region((0.2, 0.2), LEFT), region((0.3, 0.3), RIGHT))) is None


def test_a_trace_over_time_is_not_heard() -> None:
    """An M-mode strip under the picture: seconds along x."""
    strip = region((5.0, 0.2), (0, 40, 87, 59), spatial_format=2, units=4)
    assert picture_spacing(header(strip, region((0.2, 0.2), (0, 0, 87, 39)))) == pytest.approx((0.2, 0.2))
    assert picture_spacing(header(strip)) is None


@pytest.mark.parametrize("delta", [(0.0, 0.0), (0.2, 2.0), (1e-6, 1e-6), (50.0, 50.0), (float("nan"), 0.2)])
def test_sizes_that_no_device_has_are_not_believed(delta: tuple[float, float]) -> None:
    assert picture_spacing(header(region(delta))) is None


def test_other_units_and_missing_steps_are_no_size() -> None:
    assert picture_spacing(header(region(units=4))) is None
    without = region()
    del without.PhysicalDeltaX
    assert picture_spacing(header(without)) is None


def test_without_regions_the_plain_attributes_speak() -> None:
    assert picture_spacing(header(PixelSpacing=[0.3, 0.4])) == pytest.approx((0.3, 0.4))
    assert picture_spacing(header(ImagerPixelSpacing=[0.3, 0.3])) == pytest.approx((0.3, 0.3))
    both = header(PixelSpacing=[0.3, 0.3], ImagerPixelSpacing=[0.6, 0.6])
    assert picture_spacing(both) == pytest.approx((0.3, 0.3))
    assert picture_spacing(header(region(units=0), PixelSpacing=[0.3, 0.3])) == pytest.approx((0.3, 0.3))
    assert picture_spacing(header(PixelSpacing=[0, 0])) is None
    assert picture_spacing(header()) is None


def test_a_region_comes_before_the_plain_attributes() -> None:
    """A secondary capture may carry the spacing of a screen; what the device says of the tissue is meant."""
    assert picture_spacing(header(region((0.2, 0.2)), PixelSpacing=[1, 1])) == pytest.approx((0.2, 0.2))
