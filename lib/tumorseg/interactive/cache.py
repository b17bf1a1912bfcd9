"""What is known of an image before anybody pointed at anything, kept so that a further prompt costs only itself."""

from __future__ import annotations

from tumorseg.interactive.base import Encoded
from tumorseg.io.memory_cache import MemoryCache


class EncodingCache(MemoryCache[Encoded]):
    """The encodings used last, up to a number of bytes; safe to use from several threads.

    A key names all that an encoding depends on: the image and its state, the model and its version. See
    :class:`~tumorseg.io.memory_cache.MemoryCache` for what happens when several threads ask at once.

    Args:
        max_bytes: of all encodings together, as :attr:`~tumorseg.interactive.base.Encoded.nbytes` tells them.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, lambda encoded: encoded.nbytes)
