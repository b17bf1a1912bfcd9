"""The DICOMweb addresses that OHIF calls: ``/proxy/dicom/{qido,wado,stow}/...``.

A folder is answered by :mod:`tumorseg.server.dicomweb_folder`, an archive by passing the request on
(:mod:`tumorseg.server.dicomweb_remote`). Both take the whole of QIDO-RS, WADO-RS and STOW-RS below each of
the three prefixes: OHIF has versions that ask for metadata below ``qido``, and any other DICOMweb client may
use ``/proxy/dicom/wado`` as its one base address.

Concurrency: handlers are plain functions, which the framework runs in its thread pool; only the body of a
STOW request is received in the event loop, and written to a temporary file piece by piece.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute

from tumorseg.dicom.store import DicomStore
from tumorseg.dicom.store.folder import FolderStore
from tumorseg.dicom.store.remote import RemoteStore
from tumorseg.server import dicomweb_folder, dicomweb_remote

#: Below which ``/proxy/dicom`` answers; the first one is documented.
_PREFIXES = ("wado", "qido", "stow")
_MEBIBYTE = 1 << 20


def router(store: DicomStore, *, max_upload_mb: int = 2048, max_decoded_mb: int = 2048) -> APIRouter:
    """Build the routes of one store, ``/dicom/...``; the application puts ``/proxy`` before them.

    Args:
        store: a folder or an archive, from :func:`tumorseg.dicom.store.open_store`.
        max_upload_mb: largest STOW request that is taken (413 beyond).
        max_decoded_mb: largest pixels of one instance that a folder takes, unpacked.
    """
    if isinstance(store, FolderStore):
        service = dicomweb_folder.service(store, max_upload_mb * _MEBIBYTE, max_decoded_mb * _MEBIBYTE)
    elif isinstance(store, RemoteStore):
        service = dicomweb_remote.service(store, max_upload_mb * _MEBIBYTE)
    else:
        raise TypeError(f"expected a store of tumorseg.dicom.store, got {type(store).__name__}")
    _describe(service)
    routes = APIRouter(tags=["DICOMweb"])
    for prefix in _PREFIXES:
        routes.include_router(service, prefix=f"/dicom/{prefix}", include_in_schema=prefix == _PREFIXES[0])
    return routes


def _describe(service: APIRouter) -> None:
    """Name the parts of each address in its description: the handlers take study, series and instance as one thing."""
    for route in service.routes:
        if isinstance(route, APIRoute):
            known = {parameter.alias for parameter in route.dependant.path_params}
            parts = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in route.param_convertors
                if name not in known
            ]
            route.openapi_extra = {**(route.openapi_extra or {}), "parameters": parts}
