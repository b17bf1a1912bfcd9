"""Which of the saved labels are learned from, and what is said of the others."""

import nibabel
import numpy as np
import pytest

from tests import tiny
from tests.adapters.learning.round_room import Room, inverted
from tumorseg.access.types import Principal, Role
from tumorseg.errors import UnavailableError
from tumorseg.labels.agreement import CONSENSUS
from tumorseg.labels.reviews import Reviews
from tumorseg.labels.types import Provenance

REVIEWER = Principal("rita", Role.REVIEWER, "token")


def review(room, version, verdict):
    Reviews(room.labels.history.database).add(
        version, verdict, REVIEWER, "" if verdict == "approve" else "not like that"
    )


def smaller(room, name="p1"):
    mask = room.studies[name].mask.copy()
    mask[:, : mask.shape[1] // 2] = 0
    return mask


def counted(room):
    (case,) = room.gathered().cases
    return case.version.uid


def left_out(room):
    gathered = room.gathered()
    assert gathered.cases == ()
    (label,) = gathered.left_out
    return label


def test_the_newest_version_counts(room: Room) -> None:
    room.save("p1", smaller(room))
    newest = room.save("p1", author="bert")
    assert counted(room) == newest.uid


def test_an_approved_version_counts_before_a_newer_one_that_nobody_looked_at(room: Room) -> None:
    approved = room.save("p1")
    room.save("p1", smaller(room))
    review(room, approved, "approve")
    assert counted(room) == approved.uid


def test_a_rejected_version_does_not_count_and_what_its_author_replaced_by_it_does_not_come_back(room: Room) -> None:
    other = room.save("p1", smaller(room), author="bert")
    room.save("p1")
    rejected = room.save("p1", np.roll(room.studies["p1"].mask, 1, axis=2))
    review(room, rejected, "reject")
    assert counted(room) == other.uid
    review(room, other, "reject")
    assert "rejected" in left_out(room).why


def test_a_consensus_counts_before_those_it_was_made_of(room: Room) -> None:
    consensus = room.save("p1", author=CONSENSUS)
    room.save("p1", smaller(room), author="bert")
    assert counted(room) == consensus.uid


def test_a_label_that_was_removed_does_not_come_back(room: Room) -> None:
    room.save("p1")
    room.labels.remove("p1", "final")
    assert room.gathered().cases == room.gathered().left_out == ()
    again = room.save("p1", smaller(room))
    assert counted(room) == again.uid


def test_what_a_model_answered_is_nobodys_label(room: Room) -> None:
    file = tiny.write_mask(room.root / "answer.nii.gz", room.studies["p1"])
    room.labels.save("p1", "original", file, {}, Provenance("model"))
    assert room.gathered().cases == ()


def test_cases_come_in_the_order_in_which_images_were_first_labelled(room: Room) -> None:
    for name in ("p3", "p1", "p2"):
        room.save(name)
    room.save("p3", smaller(room, "p3"))
    assert [case.image for case in room.gathered().cases] == ["p3", "p1", "p2"]


def test_no_lesion_is_a_label(room: Room) -> None:
    version = room.save("p1", np.zeros(tiny.SHAPE))
    assert version.no_lesion
    assert counted(room) == version.uid


def test_only_a_helper_is_drawn(room: Room) -> None:
    room.save("p1", label_info=[{"name": "background_scribbles", "idx": 1}])
    assert "nothing of what the model learns is marked" in left_out(room).why


def test_a_label_on_another_grid(room: Room) -> None:
    file = room.root / "other.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), file)
    room.labels.save("p1", "final", file, {}, Provenance("anna"))
    assert "does not lie on its image's voxels" in left_out(room).why


def test_a_label_that_lists_its_voxels_the_other_way_round_is_the_same(room: Room) -> None:
    study = room.studies["p1"]
    turned = tiny.Study("p1", study.image, study.mask[:, :, ::-1], study.affine.copy())
    turned.affine[:3, 3] += study.affine[:3, 0] * (study.mask.shape[2] - 1)
    turned.affine[:3, 0] *= -1
    file = tiny.write_mask(room.root / "turned.nii.gz", turned)
    room.labels.save("p1", "final", file, {}, Provenance("anna"))
    assert len(room.gathered().cases) == 1


@pytest.mark.parametrize("name", ["oedema", "label 2"])
def test_a_class_that_the_model_does_not_know(room: Room, name: str) -> None:
    value = 2 if name == "label 2" else 1
    room.save("p1", room.studies["p1"].mask * value, label_info=None if value == 2 else [{"name": name, "idx": 1}])
    assert f"the class {name!r} is unknown to tiny" in left_out(room).why


def test_a_class_goes_by_its_name_whatever_its_value_and_case(room: Room) -> None:
    names = [{"name": "oedema", "idx": 1}, {"name": "Tumour", "idx": 3}]
    room.save("p1", room.studies["p1"].mask * 3, label_info=names)
    assert len(room.gathered().cases) == 1


def test_an_image_that_is_gone(room: Room) -> None:
    room.save("p1")
    (room.root / "studies" / "p1.nii.gz").unlink()
    room.source = type(room.source)(room.root / "studies")
    assert "unknown" in left_out(room).why


def test_an_image_that_cannot_be_read(room: Room) -> None:
    room.save("p1")
    (room.root / "studies" / "p1.nii.gz").write_bytes(b"no picture")
    assert "its image cannot be read" in left_out(room).why


def test_images_out_of_reach_are_no_reason_to_learn_from_the_others_alone(room: Room) -> None:
    room.save_all()
    read = room.source.read

    def flaky(image, channels):
        if image == "p0":
            raise UnavailableError("the archive does not answer")
        return read(image, channels)

    room.source.read = flaky
    with pytest.raises(UnavailableError, match="does not answer"):
        room.gathered()
    room.source.read = read
    (room.root / "studies").rename(room.root / "not mounted")
    with pytest.raises(UnavailableError, match="mounted"):
        room.gathered()


def test_a_kept_file_that_is_damaged(room: Room) -> None:
    version = room.save("p1")
    path = room.labels.history.path(version)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert left_out(room).label == version.uid


def test_an_inverted_mask_is_implausible_and_a_large_tumour_is_not(room: Room) -> None:
    room.save("p1", inverted(room.studies["p1"].mask))
    assert left_out(room).implausible
    assert "inverted" in left_out(room).why
    half = np.zeros(tiny.SHAPE)
    half[:, : tiny.SHAPE[1] // 2] = 1
    room.save("p1", half)
    assert len(room.gathered().cases) == 1


def test_other_labels_that_cannot_be_used_are_no_reason_to_distrust_everything(room: Room) -> None:
    room.save("p1", label_info=[{"name": "oedema", "idx": 1}])
    assert not left_out(room).implausible
