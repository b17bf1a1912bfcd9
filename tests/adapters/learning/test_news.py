"""Labels are counted until a training takes them: once an image, over restarts, by one of several servers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.labels.made import ANNA, BERT, label
from tumorseg.access.types import Principal, Role
from tumorseg.adapters.learning.news import NewLabels
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.reviews import Reviews

MODEL = "tiny"
RITA = Principal("rita", Role.REVIEWER, "token")


@pytest.fixture
def history(tmp_path: Path) -> LabelHistory:
    return LabelHistory(tmp_path / "labels")


@pytest.fixture
def news(history: LabelHistory) -> NewLabels:
    return NewLabels(history.database)


def save(history: LabelHistory, image: str, value: int = 1, tag: str = "final") -> str:
    file = label(history.root.parent / "incoming" / f"{value}.nii.gz", value)
    return history.save(image, tag, file, ANNA, no_lesion=value == 0).uid


def test_without_an_index_there_is_no_news_and_none_is_made(news: NewLabels, history: LabelHistory) -> None:
    assert (news.newest(), news.count(MODEL), news.claim(MODEL, 1)) == (0, 0, None)
    assert not history.database.path.exists()


def test_an_image_counts_once_and_no_lesion_is_a_label_too(news: NewLabels, history: LabelHistory) -> None:
    save(history, "a", 1)
    save(history, "a", 2)
    save(history, "b", 0)
    save(history, "c", 1, tag="original")
    assert news.count(MODEL) == 2


def test_a_note_on_an_old_label_and_a_removed_one_are_no_news(news: NewLabels, history: LabelHistory) -> None:
    uid = save(history, "a")
    save(history, "b", 2)
    news.take_all(MODEL)
    history.annotate(uid, {"said": "looks right"}, BERT)
    history.remove("b", "final", BERT)
    assert news.count(MODEL) == 0
    save(history, "a", 3)
    assert news.count(MODEL) == 1


def test_what_was_rejected_is_no_news_until_it_is_made_again(news: NewLabels, history: LabelHistory) -> None:
    """A training leaves it out: it counted towards the next one all the same."""
    uid = save(history, "a")
    save(history, "b", 2)
    Reviews(history.database).add(history.version(uid), "reject", RITA, "not the tumour")
    assert news.count(MODEL) == 1
    assert news.claim(MODEL, 2) is None
    save(history, "a", 3)
    assert news.count(MODEL) == 2


def test_a_claim_takes_the_labels_and_a_restart_does_not_bring_them_back(
    news: NewLabels, history: LabelHistory
) -> None:
    for number, image in enumerate("abc", start=1):
        save(history, image, number)
    assert news.claim(MODEL, 4) is None
    before = news.claim(MODEL, 3)
    assert before == 0
    history.close()
    again = NewLabels(LabelHistory(history.root).database)
    assert again.count(MODEL) == 0
    assert again.count("another") == 3
    again.give_back(MODEL, before)
    assert again.count(MODEL) == 3


def test_of_many_who_see_enough_labels_one_trains(news: NewLabels, history: LabelHistory) -> None:
    for number, image in enumerate("abcd", start=1):
        save(history, image, number)
    servers = [NewLabels(LabelHistory(history.root).database) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(lambda one: one.claim(MODEL, 2), servers))
    assert [found for found in won if found is not None] == [0]
