"""The part of ``pydicom-seg`` that MONAI Label imports, written on highdicom.

The published package needs pydicom 2 and numpy 1. This one has the names that
``monailabel.datastore.utils.convert`` uses and shares no code with it:

    template = pydicom_seg.template.from_dcmqi_metainfo(meta)
    dataset = pydicom_seg.MultiClassWriter(template=template).write(mask, sources)
    image = pydicom_seg.MultiClassReader().read(dataset).image
"""

from pydicom_seg import template
from pydicom_seg.reader import MultiClassReader, Result
from pydicom_seg.writer import MultiClassWriter

__all__ = ["MultiClassReader", "MultiClassWriter", "Result", "template"]
