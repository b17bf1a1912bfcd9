"""``python -m tests.loop``: the whole learning loop over HTTP; the last line sums up. ``make loop-check`` runs it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from tests.clients.ohif_viewer import chromium
from tests.loop.rounds import Loop
from tests.loop.site import MODEL, TRAINER, Site


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{text}\n")


def check(folder: Path, seed: int, kills: int, picture: Path | None = None) -> tuple[dict[str, int], list[str]]:
    """Run every round in an empty folder; return the last line and what was wrong.

    With ``picture`` the learning page is drawn as a reviewer sees it in the end.
    """
    patients = tuple(f"p{number}" for number in range(24 + 2 * kills))
    site = Site(folder, patients)
    site.prepare()
    site.start()
    try:
        loop = Loop(site, Random(seed), say)
        loop.run(kills)
        if picture:
            draw(site, picture)
    finally:
        site.stop()
    by_status = Counter(card.status for card in site.versions.list(MODEL))
    say(f"{loop.kept.count} labels acknowledged, {site.kills} kills")
    line = {
        "rounds": loop.rounds,
        "lost": len(loop.problems),
        "published": by_status["published"],
        "refused": by_status["refused"],
    }
    return line, loop.problems


def draw(site: Site, picture: Path) -> None:
    """Write what the learning page shows."""
    signed_in = {"Authorization": f"Bearer {site.tokens[TRAINER]}"}
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 900}, extra_http_headers=signed_in)
        page = context.new_page()
        page.goto(f"{site.address}/learning")
        page.locator("#charts figure").first.wait_for()
        page.screenshot(path=picture, full_page=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the check; 0 where nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.loop", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which something is killed")
    parser.add_argument("--kills", type=int, default=4, help="trainings that are cut off while they publish")
    parser.add_argument("--picture", type=Path, help="also draw the learning page into this file (needs Chromium)")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tumorseg-loop-") as folder:
        line, problems = check(Path(folder), chosen.seed, chosen.kills, chosen.picture)
    for problem in problems:
        say(problem)
    sys.stdout.write(f"{json.dumps(line)}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
