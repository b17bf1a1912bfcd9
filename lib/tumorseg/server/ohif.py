"""OHIF 3.10 as it lies in MONAI Label's wheel, served below ``/ohif/`` with a few corrections.

The files themselves are not touched: what is listed in ``CORRECTIONS`` is replaced in the copy that is sent.
A file that does not hold the text (another wheel) is sent as it is, and the log says so.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from tumorseg.access.types import Role
from tumorseg.server.rules import rule

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Correction:
    """One text of one file that is sent as another."""

    file: str
    old: str
    new: str


_FONTS = "https://fonts.googleapis.com/css"
CORRECTIONS = (
    # A multi-frame image: the header of each frame was merged into the one header of the file, so that frame 1,
    # which alone is looked up without its number, was shown at the place of the frame looked up last. On Enhanced
    # MR the picture and the mask came out up to a whole volume apart.
    Correction(
        "app.bundle.*.js",
        "const newInstance = Object.assign(instance, {\n      frameNumber: frameNumber\n    });",
        "const newInstance = Object.assign({}, instance, {\n      frameNumber: frameNumber\n    });",
    ),
    Correction(
        "app.bundle.*.js",
        "return frameNumber && utils_combineFrameInstance(frameNumber, instance) || instance;",
        "return utils_combineFrameInstance(frameNumber, instance);",
    ),
    # The panel's default server is the one that the page came from, whatever its port.
    Correction(
        "*.bundle.*.js",
        "'http://' + window.location.host.split(':')[0] + ':8000/'",
        "window.location.origin + '/'",
    ),
    # Models that find objects are offered like those that segment: their answer to the panel is a label map too.
    Correction(
        "*.bundle.*.js",
        "all_model_names.filter(m => all_models[m].type === 'segmentation')",
        "all_model_names.filter(m => ['segmentation', 'detection'].includes(all_models[m].type))",
    ),
    Correction(
        "*.bundle.*.js",
        "m => info.data.models[m].type === 'segmentation' || info.data.models[m].type === 'vista3d'",
        "m => ['segmentation', 'detection', 'vista3d'].includes(info.data.models[m].type)",
    ),
    # "Active Learning": whatever was chosen, the panel asked for a case of the strategy "random". It begins with the
    # first one that the server lists, which is the default one.
    Correction(
        "*.bundle.*.js",
        "strategy: 'random',\n      training: false,",
        "strategy: Object.keys(props.info.data.strategies || {})[0] || 'random',\n      training: false,",
    ),
    Correction(
        "*.bundle.*.js",
        "onChange: this.onChangeStrategy,",
        "onChange: event => this.setState({ strategy: event.target.value }),",
    ),
    # Where no case is left it offered to open the study "undefined".
    Correction(
        "*.bundle.*.js",
        "if (response.status !== 200) {\n        this.notification.show({\n          title: 'MONAI Label',\n"
        "          message: 'Failed to Fetch Next Sample',",
        "if (response.status !== 200 || !response.data.StudyInstanceUID) {\n        this.notification.show({\n"
        "          title: 'MONAI Label',\n          message: response.status === 200 ? 'Nothing to open: '"
        " + (response.headers['x-tumorseg-next'] || 'no DICOM') : 'Failed to Fetch Next Sample',",
    ),
    # Why a training is refused stands in the answer.
    Correction(
        "*.bundle.*.js",
        "message: 'Failed to ' + (training ? 'STOP' : 'RUN') + ' training',",
        "message: ['Failed to ' + (training ? 'STOP' : 'RUN') + ' training',"
        " response.response?.data?.detail].filter(Boolean).join(': '),",
    ),
    # Connecting again renews the bars, and now the button too: "Stop Training" stood there long after the end, and
    # would have stopped somebody else's. One that waits for its turn can be stopped as well.
    Correction(
        "*.bundle.*.js",
        "this.setState({\n      training: training\n    });\n  }",
        "this.setState({ training });\n  }\n"
        "  componentDidUpdate(before) {\n    before.info === this.props.info || this.componentDidMount();\n  }",
    ),
    Correction(
        "*.bundle.*.js",
        "response && response.status === 200 && response.data.status === 'RUNNING'",
        "response && response.status === 200 && ['RUNNING', 'SUBMITTED'].includes(response.data.status)",
    ),
    # A training that has not begun its first epoch was shown as 1 of 1, done; one that reads its labels as none.
    Correction(
        "*.bundle.*.js",
        "const epochs = ts ? ts.total_time ? 0 : ts.epoch ? ts.epoch : 1 : 0;",
        "const epochs = ts && !ts.total_time && ts.epoch || 0;",
    ),
    Correction(
        "*.bundle.*.js",
        "const trainingTip = epochs ? epochs +",
        "const trainingTip = ts && !ts.total_time ? epochs +",
    ),
    # Its bars were white on white, and as wide as their cell.
    *(
        Correction(
            "*.bundle.*.js",
            f"backgroundColor: 'white'\n      }}\n    }}, {value})",
            f"color: 'black',\n        background: `linear-gradient(to right, skyblue ${{{value}}}, white 0)`\n"
            f"      }}\n    }}, {value})",
        )
        for value in ("activelearning", "training", "accuracy")
    ),
    # Nothing is fetched from outside: a hospital's workstation may not reach it, and it would tell who works here.
    Correction("app.bundle.css", f"@import url({_FONTS}2?family=Inter:wght@100..900&display=swap);", ""),
    Correction("app.bundle.css", f"@import url({_FONTS}?family=Inter:100,300,400,500,700&display=swap);", ""),
    Correction(
        "index.html",
        '<link rel="preconnect" href="https://fonts.gstatic.com" crossorigin/>'
        f'<link href="{_FONTS}?family=Inter:100,300,400,500,700&display=swap" rel="stylesheet" rel="preload" '
        'as="style"/>',
        "",
    ),
)
# Files by their content: a browser asks again, and fetches 20 MB only after an update.
_CACHE = "no-cache"
# Keeps the page from loading anything elsewhere; the panel may still talk to a server that its user types in.
_POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' http: https: data: blob:"


def mount(app: FastAPI) -> None:
    """Serve OHIF below ``/ohif/``; addresses of its own pages get its index, as a single-page application needs."""

    @app.get("/ohif", include_in_schema=False)
    @rule(Role.VIEWER)
    def to_slash() -> RedirectResponse:
        return RedirectResponse("/ohif/")

    @app.get("/ohif/{path:path}", include_in_schema=False)
    @rule(Role.VIEWER)
    def ohif(request: Request, path: str) -> Response:
        name = path if path in files() else "index.html"
        if name == "index.html":
            missing()
        tag = _tag(name)
        headers = {"ETag": tag, "Cache-Control": _CACHE, "Content-Security-Policy": _POLICY}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        content = corrected(name)
        if content is None:
            return FileResponse(files()[name], headers=headers)
        return Response(content, media_type=mimetypes.guess_type(name)[0], headers=headers)


@cache
def static() -> Path:
    """Find MONAI Label's static files without importing it."""
    spec = find_spec("monailabel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("monailabel is not installed")
    return Path(spec.submodule_search_locations[0]) / "endpoints" / "static"


@cache
def files() -> dict[str, Path]:
    """List OHIF's files, address -> path; an address that is not listed cannot reach a file."""
    root = static() / "ohif"
    return {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}


@cache
def corrected(name: str) -> bytes | None:
    """Return the corrected content of a file, None for one that is sent as it lies there."""
    wanted = [correction for correction in CORRECTIONS if fnmatch(name, correction.file)]
    if not wanted:
        return None
    content = before = files()[name].read_bytes()
    for correction in wanted:
        content = content.replace(correction.old.encode(), correction.new.encode())
    return content if content != before else None


@cache
def missing() -> tuple[str, ...]:
    """Name the corrections that found no text to replace in this wheel."""
    lost = [correction.old for correction in CORRECTIONS
            if not any(fnmatch(name, correction.file) and correction.old.encode() in path.read_bytes()
                       for name, path in files().items())]  # fmt: skip
    for text in lost:
        logger.warning("this OHIF is another than 3.10 of monailabel 0.8.5; not corrected: %s", text[:80])
    return tuple(lost)


@cache
def _tag(name: str) -> str:
    """Identify what is sent for a file."""
    content = corrected(name)
    if content is None:
        status = files()[name].stat()
        content = f"{name} {status.st_size} {status.st_mtime_ns}".encode()
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
