"""Check that everything installed has what it asks for, in the version it asks for.

What ``pip check`` does, but for the tags in wheels: itk's are malformed, on which newer versions of pip and uv break
off before they have looked at anything else.
"""

from __future__ import annotations

import sys
from importlib.metadata import distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def problems() -> list[str]:
    """Return one line for each requirement that is not met."""
    installed = {canonicalize_name(found.metadata["Name"]): found for found in distributions()}
    missing = []
    for name, found in sorted(installed.items()):
        for requirement in map(Requirement, found.requires or ()):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            other = installed.get(canonicalize_name(requirement.name))
            if other is None:
                missing.append(f"{name} {found.version} requires {requirement}, which is not installed")
            elif not requirement.specifier.contains(other.version, prereleases=True):
                missing.append(f"{name} {found.version} requires {requirement}, {other.version} is installed")
    return missing


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or None)
