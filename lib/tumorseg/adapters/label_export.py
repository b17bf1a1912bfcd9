"""The newest labels as plain files in a new folder, and where each comes from."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tumorseg.adapters.label_desk import LabelDesk, Reviewed
from tumorseg.adapters.staging import check_new_folder, staged
from tumorseg.errors import NotFoundError
from tumorseg.labels.prompt_logs import PROMPTS_SUFFIX, PromptLogs
from tumorseg.labels.types import LabelVersion, check_tag

#: What is beside the labels.
MANIFEST = "labels.json"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        written: how many labels.
        left_out: ids of the images whose label is not approved.
    """

    written: int
    left_out: list[str]


def export_labels(
    desk: LabelDesk, target: Path, tag: str, *, approved: bool = False, author: str | None = None
) -> Exported:
    """Copy the newest labels of a tag, ``<image><ending>``, what was clicked for them, and write MANIFEST.

    Args:
        desk: the labels.
        target: a folder that does not exist, or is empty.
        tag: which labels.
        approved: only those whose last verdict is an approval.
        author: the newest of one annotator; None takes the newest of all.

    Raises:
        InputError: the folder is in use.
        NotFoundError: there is nothing to write.
    """
    check_new_folder(target)
    found = _heads(desk, check_tag(tag), author)
    chosen = [reviewed for reviewed in found if not approved or reviewed.state == "approved"]
    if not chosen:
        what = f"{len(found)} labels, none of them approved" if found else f"no label tagged {tag!r}"
        raise NotFoundError(f"there is nothing to export: {what}" + (f" by {author}" if author else ""))
    logs = PromptLogs(desk.store.history.database)
    with staged(target) as folder:
        for reviewed in chosen:
            version = reviewed.version
            shutil.copyfile(desk.store.history.path(version), folder / version.name)
            if (text := logs.of(version.uid)) is not None:
                (folder / (version.image + PROMPTS_SUFFIX)).write_text(text, encoding="utf-8")
        manifest = {"tag": tag, "labels": [_described(reviewed) for reviewed in chosen]}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    written = {reviewed.version.image for reviewed in chosen}
    return Exported(len(chosen), [r.version.image for r in found if r.version.image not in written])


def _heads(desk: LabelDesk, tag: str, author: str | None) -> list[Reviewed]:
    if author is None:
        return [head for heads in desk.heads().values() for head in heads if head.version.tag == tag]
    history = desk.store.history
    found = [history.head(image, tag, author) for image in sorted(history.labelled(tag))]
    return desk.with_states([version for version in found if version is not None])


def _described(reviewed: Reviewed) -> dict[str, Any]:
    version: LabelVersion = reviewed.version
    return {"file": version.name, "state": reviewed.state, **asdict(version)}
