"""``tumorseg labels``: what people made of the studies, without a server: versions, review, agreement."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, print_table
from tumorseg.cli.options import Device, Json

if TYPE_CHECKING:
    from tumorseg.adapters.label_desk import LabelDesk, Reviewed

app = typer.Typer(no_args_is_help=True, help="Look at the versions of labels, restore, compare and export them.")

Studies = Annotated[
    str,
    typer.Argument(metavar="STUDIES", show_default=False, help="The folder or DICOMweb address that is served."),
]
Labels = Annotated[
    Path | None, typer.Option("--labels", metavar="DIR", help="Where its labels are kept.", show_default=False)
]
Image = Annotated[str, typer.Argument(metavar="IMAGE", show_default=False, help="Id of the image.")]
Tag = Annotated[str, typer.Option("--tag", metavar="NAME", help="Which labels; final ones count as done.")]


@app.command("list")
def list_(studies: Studies, tag: Tag = "final", labels: Labels = None, as_json: Json = False) -> None:
    """List every image with the newest label and what was decided on it.

    [bold]Example[/bold]

        tumorseg labels list my_studies
    """
    with _desk(studies, labels) as desk:
        heads = {image: _of_tag(found, tag) for image, found in desk.heads().items()}
        images = sorted({*desk.source.ids(), *(image for image, head in heads.items() if head)})
        rows = [_row(image, heads.get(image)) for image in images]
        leases = {lease.image: lease.holder for lease in desk.leases.list()}
    for row in rows:
        row["lease"] = leases.get(row["image"])
    if as_json:
        print_json({"tag": tag, "images": rows})
        return
    _print(("image", "state", "label", "author", "created", "lease"), rows)


@app.command()
def log(studies: Studies, image: Image, labels: Labels = None, as_json: Json = False) -> None:
    """Show every version of an image's labels, newest first, and what was said of each.

    [bold]Example[/bold]

        tumorseg labels log my_studies case7
    """
    with _desk(studies, labels) as desk:
        found = desk.versions(image)
        said = desk.reviews.of_each(reviewed.version.uid for reviewed in found)
    rows = [
        {
            **_row(image, reviewed),
            "tag": reviewed.version.tag,
            "uid": reviewed.version.uid,
            "tool": reviewed.version.tool,
            "model": " ".join(filter(None, (reviewed.version.model, reviewed.version.model_version))),
            "parent": reviewed.version.parent,
            "reviews": [
                {"reviewer": r.reviewer, "verdict": r.verdict, "comment": r.comment, "created": r.created}
                for r in said[reviewed.version.uid]
            ],
        }
        for reviewed in found
    ]
    if as_json:
        print_json({"image": image, "versions": rows})
        return
    for row in rows:
        row["said"] = "\n".join(f"{r['reviewer']}: {r['verdict']} {r['comment']}".rstrip() for r in row["reviews"])
    _print(("uid", "tag", "label", "state", "author", "created", "tool", "said"), rows)


@app.command()
def restore(
    studies: Studies,
    uid: Annotated[str, typer.Argument(metavar="UID", show_default=False, help="A version; `labels log` lists them.")],
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Who does it.", show_default="who is logged in")
    ] = None,
    labels: Labels = None,
    as_json: Json = False,
) -> None:
    """Make an earlier version the newest one again; nothing is lost, it becomes a version of its own.

    [bold]Example[/bold]

        tumorseg labels restore my_studies 5d0c2b0f4e5f4b6c9a3f1f1f3c1c9d7e
    """
    from tumorseg.labels.types import Provenance

    with _desk(studies, labels) as desk:
        kept = desk.store.history.restore(uid, Provenance(author or getpass.getuser(), tool="tumorseg labels"))
    if as_json:
        print_json({"uid": kept.uid, "image": kept.image, "tag": kept.tag, "parent": kept.parent})
        return
    note(f"{kept.image}: the label {kept.tag!r} is again that of version {uid}; the new version is {kept.uid}")


@app.command()
def agreement(studies: Studies, image: Image, tag: Tag = "final", labels: Labels = None, as_json: Json = False) -> None:
    """Compare the newest labels of an image's annotators, class by class (Dice).

    [bold]Example[/bold]

        tumorseg labels agreement my_studies case7
    """
    with _desk(studies, labels) as desk:
        found = desk.agreement(image, tag)
    if as_json:
        dice = {name: matrix.tolist() for name, matrix in found.dice.items()}
        said = {"annotators": list(found.annotators), "dice": dice, "mean": found.means}
        print_json({"image": image, "tag": tag, **said, "marked": found.marked.tolist()})
        return
    from rich.table import Table

    tables = []
    for name, matrix in (found.dice or {"anything": found.marked}).items():
        table = Table("", *found.annotators, title=f"Dice: {name}", title_justify="left")
        for who, line in zip(found.annotators, matrix, strict=True):
            table.add_row(who, *(f"{value:.3f}" for value in line))
        tables.append(table)
    print_table(*tables)


@app.command()
def export(
    studies: Studies,
    target: Annotated[Path, typer.Argument(metavar="TARGET", show_default=False, help="A new folder.")],
    tag: Tag = "final",
    approved: Annotated[bool, typer.Option("--approved", help="Only labels that a reviewer approved.")] = False,
    author: Annotated[
        str | None,
        typer.Option(
            "--author", metavar="NAME", help="The labels of one annotator, or of consensus.", show_default=False
        ),
    ] = None,
    labels: Labels = None,
    as_json: Json = False,
) -> None:
    """Write the newest labels as plain files, and where each comes from into labels.json beside them.

    [bold]Example[/bold]

        tumorseg labels export my_studies ground_truth --approved
    """
    from tumorseg.adapters.label_export import export_labels

    with _desk(studies, labels) as desk:
        done = export_labels(desk, target, tag, approved=approved, author=author)
    if as_json:
        print_json({"target": str(target), "written": done.written, "left_out": done.left_out})
        return
    left = f"; {len(done.left_out)} are not approved and left out" if done.left_out else ""
    note(f"{target}: {done.written} labels{left}")


@app.command()
def replay(
    studies: Studies,
    image: Image,
    uid: Annotated[str, typer.Argument(metavar="UID", show_default=False, help="A version; `labels log` lists them.")],
    labels: Labels = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Make the masks of a version again from the prompts that were kept with it, and compare them step by step.

    Ends with 1 where a mask is not what it was, or the model's version is gone.

    [bold]Example[/bold]

        tumorseg labels replay my_studies case7 5d0c2b0f4e5f4b6c9a3f1f1f3c1c9d7e
    """
    from dataclasses import asdict

    from tumorseg.adapters.interactive.replaying import Replayer
    from tumorseg.config import AppConfig

    config = AppConfig.parse(studies, {"labels": labels, "device": device})
    with _desk(studies, labels) as desk:
        replayer = Replayer(desk, config.known_interactive, config.device, config.interactive_weights)
        found = replayer.version(image, uid)
    agrees = all(one.verdict == "same" for one in found)
    if as_json:
        print_json({"image": image, "uid": uid, "agrees": agrees, "segments": [asdict(one) for one in found]})
    else:
        _print(("label", "model", "version", "prompts", "verdict", "edited", "why"), [asdict(one) for one in found])
    if not agrees:
        raise typer.Exit(1)


@contextmanager
def _desk(studies: str, labels: Path | None) -> Iterator[LabelDesk]:
    from tumorseg.adapters.label_desk import LabelDesk
    from tumorseg.config import AppConfig

    desk = LabelDesk.open(AppConfig.parse(studies, {"labels": labels}))
    try:
        yield desk
    finally:
        desk.close()


def _of_tag(heads: list[Reviewed], tag: str) -> Reviewed | None:
    return next((head for head in heads if head.version.tag == tag), None)


def _row(image: str, reviewed: Reviewed | None) -> dict[str, Any]:
    """Return what is said of an image's label in a line."""
    if reviewed is None:
        return {"image": image, "state": "unlabelled", "label": None, "author": None, "created": None, "uid": None}
    version = reviewed.version
    return {
        "image": image,
        "state": reviewed.state,
        "label": version.kind,
        "author": version.author,
        "created": version.created,
        "uid": version.uid,
    }


def _print(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in columns:
        table.add_column(column, no_wrap=column == "uid", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(column, row[column])) for column in columns))  # text: names may look like markup
    print_table(table)


def _cell(column: str, value: Any) -> str:
    """Return a value as people read it."""
    text = str(value or "-")
    if column == "created":
        return text[:16].replace("T", " ")
    return text.replace("_", " ") if column == "label" else text
