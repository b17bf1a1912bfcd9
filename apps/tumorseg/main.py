"""The MONAI Label app: ``python -m monailabel.main start_server --app apps/tumorseg --studies DIR``.

MONAI Label's loader takes the first class in this file whose direct base is called MONAILabelApp.
"""

from __future__ import annotations

from monailabel.interfaces.app import MONAILabelApp

from tumorseg.adapters.app import AppLogic


class TumorSegApp(AppLogic, MONAILabelApp):  # type: ignore[misc]
    """Every model of the registry over a folder of NIfTI, a folder of DICOM or a DICOMweb server."""
