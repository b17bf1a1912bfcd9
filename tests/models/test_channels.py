"""Which sequence becomes which channel, and what is said when one is missing."""

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.models.channels import select_channels
from tumorseg.types import StudyImage

WANTED = ("T1", "FLAIR", "T1Gd")


def image(*channels, modality="MR"):
    voxels = np.arange(1, len(channels) + 1).reshape(-1, 1, 1, 1) * np.ones((1, 1, 2, 2))
    return StudyImage(voxels, Grid((1, 2, 2), np.eye(4)), channels, modality=modality)


def values(chosen):
    return chosen.voxels[:, 0, 0, 0].tolist()


def test_sequences_are_taken_by_name_whatever_their_order():
    chosen = select_channels(image("T2", "T1Gd", "FLAIR", "T1"), WANTED)
    assert values(chosen) == [4, 3, 2]
    assert chosen.channels == WANTED
    assert chosen.notes == ()


def test_a_missing_sequence_is_replaced_by_flair_and_said():
    chosen = select_channels(image("FLAIR", "T1Gd"), WANTED)
    assert values(chosen) == [1, 1, 2]
    assert "no T1 in this study: FLAIR stands in" in chosen.notes[0]


def test_flair_stands_in_for_both_others():
    chosen = select_channels(image("FLAIR"), WANTED)
    assert values(chosen) == [1, 1, 1]
    assert "T1" in chosen.notes[0]
    assert "T1Gd" in chosen.notes[0]


def test_without_flair_the_first_wanted_sequence_stands_in():
    chosen = select_channels(image("T2", "T1Gd"), WANTED)
    assert values(chosen) == [2, 2, 2]
    assert "FLAIR" in chosen.notes[0]


def test_unnamed_channels_are_taken_by_position():
    chosen = select_channels(image("", "", "", modality=""), WANTED)
    assert values(chosen) == [1, 2, 3]
    assert "order T1, FLAIR, T1Gd" in chosen.notes[0]


@pytest.mark.parametrize("name", ["", "T2"])
def test_a_single_other_sequence_stands_in_for_all(name):
    chosen = select_channels(image(name), WANTED)
    assert values(chosen) == [1, 1, 1]
    assert "stands in" in chosen.notes[0]


@pytest.mark.parametrize("channels", [("", ""), ("", "", "", ""), ("T2", "ADC")])
def test_a_wrong_number_of_channels_is_refused(channels):
    with pytest.raises(InputError, match="expected the sequences T1, FLAIR, T1Gd"):
        select_channels(image(*channels), WANTED)


def test_another_modality_is_refused():
    with pytest.raises(InputError, match="got modality CT"):
        select_channels(image("", modality="CT"), WANTED)
