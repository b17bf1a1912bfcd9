"""Models that find single objects, on annotated pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.cli.console import note, print_json, print_table, progress
from tumorseg.cli.evaluate.choose import choose_pictures, warn_of_seen
from tumorseg.cli.evaluate.wanted import Wanted

if TYPE_CHECKING:
    from tumorseg.annotations import Picture
    from tumorseg.evaluation.detection.examine import Examined
    from tumorseg.metrics.detection.records import ImageResult
    from tumorseg.models.base import DetectionModel

#: The split that the shipped weights of a model were trained with.
SPLITS = {"maskrcnn_brain": "brain_via", "maskrcnn_breast": "busi"}


def evaluate_pictures(model: DetectionModel, wanted: Wanted) -> None:
    """Measure, write what is asked for, and tell."""
    from tumorseg.annotations import open_pictures
    from tumorseg.evaluation.beside import figures_markdown, figures_table
    from tumorseg.evaluation.detection.examine import examine_pictures
    from tumorseg.evaluation.detection.figures import summarise
    from tumorseg.evaluation.detection.tables import objects_csv, pictures_csv, report_json
    from tumorseg.io.files import write_atomically

    wanted.refuse("finds objects in pictures", "panels", "predictions")
    opened = open_pictures(wanted.data, wanted.format, keep_going=wanted.keep_going)
    left_out = [problem for problem in opened.problems if problem.hard]
    for problem in left_out:
        note(f"left out: {problem}")
    chosen = choose_pictures(wanted, opened, SPLITS.get(model.name))
    gallery = _Gallery(wanted, model)
    with progress(f"measuring {model.name}:") as step:
        done = iter(range(1, len(chosen.pictures) + 1))

        def watch(picture: Picture, result: ImageResult, examined: Examined) -> None:
            step(next(done), len(chosen.pictures), picture.id)
            gallery.add(picture, result, examined)

        examined = examine_pictures(model, chosen.pictures, watch=watch)
    report = summarise(
        model.name, model.version, tuple(model.labels), model.options.score, examined, left_out=chosen.not_annotated
    )
    told = report_json(report, unusable=len(left_out), seen_in_training=chosen.seen, subset=wanted.subset_told)
    if wanted.csv is not None:
        write_atomically(wanted.csv, pictures_csv(report))
    on = f"{len(report.pictures)} pictures"
    if wanted.markdown is not None:
        write_atomically(wanted.markdown, figures_markdown(model.name, report.distinct_figures, on))
    if wanted.report is not None:
        from tumorseg.evaluation.pages.pictures import pictures_page

        write_atomically(wanted.report, pictures_page(report, gallery.tiles, wanted.subset_name, chosen.seen))
    if wanted.store is not None:
        from tumorseg.evaluation.store import DETECTION, OBJECTS, write_store

        write_store(wanted.store, told, DETECTION, {"": pictures_csv(report), OBJECTS: objects_csv(report)})
    warn_of_seen(chosen.seen, "pictures")
    if wanted.as_json:
        print_json(told)
        return
    print_table(
        figures_table(model.name, report.distinct_figures, on, f"{wanted.subset_name} pictures of {wanted.data}")
    )
    if chosen.not_annotated:
        note(f"note: {chosen.not_annotated} pictures that nobody annotated left out")


class _Gallery:
    """Draws each picture while its pixels are there: to files, and small for the page."""

    def __init__(self, wanted: Wanted, model: DetectionModel) -> None:
        from tumorseg.evaluation.pages.tiles import Tile

        self.folder, self.page = wanted.figures, wanted.report is not None
        self.score, self.labels = model.options.score, dict(model.labels)
        self.tiles: list[Tile] = []

    def add(self, picture: Picture, result: ImageResult, examined: Examined) -> None:
        """Draw one."""
        from tumorseg.evaluation.pages.tiles import side_by_side, tile
        from tumorseg.io.files import write_atomically

        if self.folder is None and not self.page:
            return
        drawn = side_by_side(picture.pixels(), result, self.labels, self.score)
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            write_atomically(self.folder / f"{picture.id.replace('/', '_')}.png", drawn.png())
        if self.page:
            self.tiles.append(tile(drawn, examined, self.score))
