"""The data store as one more format of annotated pictures; registry.ANNOTATIONS names it."""

from __future__ import annotations

from tumorseg.adapters import picture_store, picture_store_read
from tumorseg.annotations.format import AnnotationFormat

DATASTORE = AnnotationFormat(
    name="datastore",
    description="what `tumorseg import` made of one of the others",
    fits=picture_store_read.fits,
    read=picture_store_read.read,
    write=picture_store.write_store,
)
