"""What an image itself says of its voxels, for methods that know no class.

Kept by the ``Encoded`` of every method that has seen the image, so that following an object through its slices
(:mod:`tumorseg.interactive.propagate`) needs neither the image again nor a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tumorseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@runtime_checkable
class Shows(Protocol):
    """An :class:`tumorseg.interactive.base.Encoded` that keeps what the image itself says.

    Attributes:
        evidence: ``(C, K, J, I)`` float16, of :func:`tumorseg.interactive.classical.features.features`.
    """

    @property
    def evidence(self) -> NDArray[np.float16]: ...  # noqa: D102


def evidence_of(encoded: Any) -> NDArray[np.float16]:
    """Return what an encoded image shows.

    Raises:
        InputError: the method keeps nothing of that kind.
    """
    if not isinstance(encoded, Shows):
        raise InputError(
            "this model keeps no intensities of the image, by which an object could be followed through its slices: "
            "choose another interactive model"
        )
    return encoded.evidence
