"""The rounds of the check, in the order in which a site would live through them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import numpy as np

from tests import untrained
from tests.loop.annotator import Annotator, Hand, Kept, digest, elsewhere, inverted, true
from tests.loop.site import ANNOTATORS, MODEL, ROOT, TRAINER, Site, until
from tests.serving import raw_voxels, read_label
from tumorseg.io import read_study
from tumorseg.versions.types import SHIPPED, VersionCard

#: Epochs of a training that is killed in its middle: it must not be through before.
LONG = 60
#: After the candidate was measured, publishing takes a few hundredths of a second.
PUBLISHING_S = 0.1


@dataclass
class Loop:
    """A site that learns, and everything that was found wrong with it.

    Attributes:
        site: where.
        rng: when something is killed.
        say: told what happens.
        cases: that each annotator labels in a round.
        kept: labels that were acknowledged.
        problems: in words.
        rounds: trainings that were asked for and ended.
        answers: version -> what it answered for the first study.
    """

    site: Site
    rng: Random
    say: Callable[[str], None]
    cases: int = 2
    kept: Kept = field(default_factory=Kept)
    problems: list[str] = field(default_factory=list)
    rounds: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)

    def run(self, kills: int) -> None:
        """Live through all rounds; ``kills`` of them are cut off while they publish."""
        self.nothing_to_learn_from()
        self.round("the first labels", cases=2 * self.cases, expected="published")
        self.killed_while_labelling()
        self.killed_while_training()
        for number in range(kills):
            self.killed_while_publishing(f"kill {number + 1} of {kills} while publishing")
        self.poisoned()
        self.plausibly_wrong()
        self.back_and_forth()
        self.nothing_left()
        self.nothing_lost()

    def nothing_to_learn_from(self) -> None:
        """Ask for a training before there is a label: a clear refusal, no version, a case to label all the same."""
        self.say("no label, no model")
        with self.site.client(TRAINER) as client:
            answer = client.post(f"/train/{MODEL}", json={})
        self.expect(400 <= answer.status_code < 500 and "label" in answer.text, f"without labels: {answer.text[:200]}")
        self.expect(self.site.versions.list(MODEL) == [], "a version came from no labels")
        self.expect(bool(self.site.info()["strategies"]), "no strategy is offered before there is a model")

    def round(
        self, name: str, *, hand: Hand = true, cases: int | None = None, expected: str = ""
    ) -> VersionCard | None:
        """Label, train, wait; return the newest card."""
        self.say(name)
        before = self.newest()
        self.label(hand, self.cases if cases is None else cases)
        self.train()
        return self.ended(name, before, expected)

    def killed_while_labelling(self) -> None:
        """Kill the server twice while both annotators save."""
        self.say("killed while labels are saved")
        with ThreadPoolExecutor(1) as pool:
            labelling = pool.submit(self.label, true, self.cases)
            for _ in range(2):
                time.sleep(self.rng.uniform(0.1, 0.5))
                self.site.kill()
                self.site.start()
            labelling.result()

    def killed_while_training(self) -> None:
        """Kill the server alone in the middle of a training: its worker ends too, the next server goes on with it."""
        self.say("killed in the middle of a training")
        before = self.newest()
        self.label(true, self.cases)
        serving = self.site.versions.serving(MODEL)
        self.train(max_epochs=LONG)
        until("the second epoch", lambda: self.epoch() >= 1)
        self.site.kill_server_alone()
        self.expect(self.site.versions.serving(MODEL) == serving, "a training that was killed changed what serves")
        self.site.start()
        self.serves_what_it_says()
        self.ended("the killed training", before, "published")

    def killed_while_publishing(self, name: str) -> None:
        """Kill everything within the moments in which a version is published."""
        self.say(name)
        before = self.newest()
        self.label(true, 1)
        job = self.train()
        measured = self.site.state / "jobs" / job / "measured.json"
        until("the measurement of the candidate", lambda: measured.is_file() or not self.busy())
        time.sleep(self.rng.uniform(0, PUBLISHING_S))
        self.site.kill()
        self.site.start()
        self.serves_what_it_says()
        self.ended(name, before, "")

    def poisoned(self) -> None:
        """Invert every mask of a round: refused, and what serves answers as before. Corrected, it is published."""
        serving = self.site.versions.serving(MODEL)
        known = set(self.kept.newest)
        card = self.round("a poisoned round: all masks inverted", hand=inverted, expected="refused")
        self.expect(self.site.versions.serving(MODEL) == serving, "a poisoned round changed what serves")
        self.serves_what_it_says()
        self.say("the same masks, corrected")
        for image in sorted(set(self.kept.newest) - known):
            Annotator(self.site, ANNOTATORS[0], self.kept).save(image)
        self.train()
        self.ended("the corrected round", card, "published")

    def plausibly_wrong(self) -> None:
        """Move the masks of all patients that train to where nothing is: only a comparison can tell."""
        self.say("every mask that trains is drawn elsewhere")
        card = self.newest()
        trained = sorted({case.image for case in card.cases if case.part == "train"}) if card else []
        self.expect(len(trained) > 1, f"only {trained} trained")
        serving = self.site.versions.serving(MODEL)
        rewrite = Annotator(self.site, ANNOTATORS[1], self.kept)
        for image in trained:
            rewrite.save(image, elsewhere)
        self.train(max_epochs=LONG)
        refused = self.ended("the moved masks", card, "refused")
        self.expect(self.site.versions.serving(MODEL) == serving, "moved masks changed what serves")
        for image in trained:
            rewrite.save(image)
        self.train()
        self.ended("the masks moved back", refused, "published")

    def back_and_forth(self) -> None:
        """Roll back to an older version: its answers, bit for bit."""
        self.say("rolled back")
        older = [card for card in self.site.versions.list(MODEL) if card.id in self.answers][-1]
        newest = self.site.versions.serving(MODEL)
        for version in (older.id, newest):
            command = [sys.executable, "-m", "tumorseg", "models", "rollback", MODEL, version]
            done = subprocess.run(
                [*command, "--state", str(self.site.state), "--yes"],
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'lib'}"},
                capture_output=True,
                text=True,
                check=False,
            )
            self.expect(done.returncode == 0, f"tumorseg models rollback: {done.stderr[-300:]}")
            until(f"version {version} on the server", lambda version=version: self.shown() == version)
            self.serves_what_it_says()

    def nothing_left(self) -> None:
        """Label what is left: then the server says that there is nothing more."""
        self.say("all the rest")
        self.label(true, len(self.site.patients))
        with self.site.client(ANNOTATORS[0]) as client:
            answer = client.post("/activelearning/random", json={})
        self.expect(answer.json() == {}, f"a case was offered although all are labelled: {answer.text[:200]}")
        self.expect(set(self.kept.newest) == set(self.site.patients), "some case was never offered")

    def nothing_lost(self) -> None:
        """Look for every label that was acknowledged, and for every case that two people were given."""
        self.problems += self.kept.twice
        with self.site.client(ANNOTATORS[0]) as client:
            for image, mask in sorted(self.kept.newest.items()):
                answer = client.get("/datastore/label", params={"label": image, "tag": "final"})
                path = self.site.folder / "read_back.nii.gz"
                path.write_bytes(answer.content)
                same = answer.status_code == 200 and digest(read_label(path)[0]) == mask
                self.expect(same, f"the label of {image} that was acknowledged is not what is there")

    def label(self, hand: Hand, cases: int) -> None:
        """Have both annotators label at once."""
        with ThreadPoolExecutor(len(ANNOTATORS)) as pool:
            people = [Annotator(self.site, name, self.kept) for name in ANNOTATORS]
            for done in [pool.submit(person.label, cases, hand) for person in people]:
                done.result()

    def train(self, **params: Any) -> str:
        """Ask for a training as Slicer does; return the job."""
        with self.site.client(TRAINER) as client:
            said = client.post(f"/train/{MODEL}", json=params).raise_for_status().json()
        return str(said["id"])

    def ended(self, name: str, before: VersionCard | None, expected: str) -> VersionCard | None:
        """Wait for the end of the trainings; compare the newest card with what was expected."""
        until(f"the end of {name}", lambda: not self.busy())
        self.rounds += 1
        card = self.newest()
        if card is None or (before is not None and card.id == before.id):
            self.problems.append(f"{name}: there is no new version")
            return before
        self.say(f"  {card.id} is {card.why}")
        self.expect(expected in ("", card.status), f"{name}: expected {expected}, got {card.status} ({card.why})")
        serving = self.site.versions.serving(MODEL)
        self.expect((serving == card.id) == (card.status == "published"), f"{name}: {serving} serves after {card.id}")
        if card.status == "published":
            until(f"{card.id} on the server", lambda: self.shown() == card.id)
            self.serves_what_it_says()
        return card

    def serves_what_it_says(self) -> None:
        """Compare the server's answer with the weights of the version that it says it serves."""
        version = self.site.versions.serving(MODEL)
        weights = self.site.versions.current(MODEL)
        if version == SHIPPED or weights is None:
            self.expect(MODEL not in self.site.info()["models"], "a model that nobody trained is offered")
            return
        until(f"{version} on the server", lambda: self.shown() == version)
        image = self.site.patients[0]
        answer = self.site.answer(image)
        known = self.answers.setdefault(version, answer)
        self.expect(answer == known, f"{version} answers otherwise than before")
        study = read_study(self.site.folder / "studies" / f"{image}.nii.gz")
        alone = untrained.build(weights, "cpu").predict(study).segmentation.voxels
        self.expect(np.array_equal(raw_voxels(answer), alone.ravel()), f"{version} is not what answers")

    def newest(self) -> VersionCard | None:
        """Return the newest card, published or refused."""
        cards = self.site.versions.list(MODEL)
        return cards[0] if cards else None

    def busy(self) -> bool:
        """Ask whether a training runs or waits, as OHIF does."""
        with suppress(httpx.TransportError), self.site.client(TRAINER) as client:
            return client.get("/train/", params={"check_if_running": "true"}).status_code != 404
        return True

    def epoch(self) -> int:
        """Return how far the training is, as Slicer shows it."""
        return int(self.site.info()["train_stats"].get(MODEL, {}).get("epoch") or 0)

    def shown(self) -> str:
        """Return the version that the server says it serves."""
        return str(self.site.info()["versions"].get(MODEL, {}).get("serving", ""))

    def expect(self, true: bool, otherwise: str) -> None:
        """Note what is wrong and go on: one fault must not hide the next."""
        if not true:
            self.problems.append(otherwise)
            self.say(f"  WRONG: {otherwise}")
