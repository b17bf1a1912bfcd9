"""What is corrected in OHIF 3.10 of MONAI Label's wheel on the way to the browser, and why."""

from __future__ import annotations

from dataclasses import dataclass


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
    # "Point Prompts": a segment is chosen from the start and after another model is. Without one the answer went into
    # a segment called "null" that has no colour and is in no list.
    Correction(
        "*.bundle.*.js",
        "const currentLabel = null;",
        "const currentLabel = this.firstSegment(model);\n      setTimeout(() => this.initPoints());",
    ),
    Correction(
        "*.bundle.*.js",
        "// console.info('Here we activate the probe');",
        "this.onChangeLabel(this.segment || this.firstSegment(this.getSelectedModel()));",
    ),
    # What is meant stays the segment while points of the background are placed: they were sent as both kinds, and the
    # answer went into a segment called "background". The server is told which segment it is, as 3D Slicer does.
    Correction(
        "*.bundle.*.js",
        "    this.onChangeLabel = name => {\n",
        "    this.firstSegment = model => {\n"
        "      this.segment = model && this.getModelLabels(model).filter(label => label !== 'background')[0] || null;\n"
        "      return this.segment;\n    };\n"
        "    this.onChangeLabel = name => { if (name && name !== 'background') this.segment = name;\n",
    ),
    Correction(
        "*.bundle.*.js",
        "let fg = points[currentLabel];",
        "const segment = this.segment || currentLabel;\n        let fg = points[segment] || [];",
    ),
    Correction(
        "*.bundle.*.js",
        "params['background'] = bg;\n        label_names = [currentLabel];",
        "params['background'] = bg;\n        params['label'] = segment;\n        label_names = [segment];",
    ),
    # An answer without a voxel left the mask before it: only the values that occur in an answer were replaced.
    Correction(
        "*.bundle.*.js",
        "const updateTargets = new Set(convertedData);",
        "const updateTargets = labels.reduce((all, label) => all.add(labelNames[label]), new Set(convertedData));",
    ),
    # Why there is no answer stands in it.
    Correction(
        "*.bundle.*.js",
        "}).catch(function (error) {\n      return error;\n    }).finally(function () {});\n  }\n  static api_put(",
        "}).catch(function (error) {\n"
        "      try {\n        error.detail = JSON.parse(new TextDecoder().decode(error.response.data)).detail;\n"
        "      } catch { /* no reason was given */ }\n"
        "      return error;\n    }).finally(() => {});\n  }\n  static api_put(",
    ),
    *(
        Correction(
            "*.bundle.*.js",
            f"message: '{said}',",
            f"message: ['{said}', typeof response.detail === 'string' && response.detail].filter(Boolean).join(': '),",
        )
        for said in ("Failed to Run Inference for Point Prompts", "Failed to Run Segmentation")
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
