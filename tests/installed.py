"""Run by the Python of an environment: is a package installed there complete, and are others absent?

    python -I tests/installed.py PACKAGE [ABSENT ...]

Everything that the package offers by name is loaded: itself, its commands, its plugins.
"""

import sys
from importlib import import_module, metadata


def main(package: str, *absent: str) -> None:
    """Load what the package offers; exit with a message if it is not alone."""
    distribution = metadata.distribution(package)
    (name,) = (each for each, owners in metadata.packages_distributions().items() if package in owners)
    module = import_module(name)
    for entry in distribution.entry_points:
        if entry.group != "pytest11":  # pytest loads those, and brings itself
            entry.load()
    installed = {found.name.lower() for found in metadata.distributions()}
    if present := [name for name in absent if name.lower() in installed]:
        sys.exit(f"{package} brought {', '.join(present)} along")
    sys.stdout.write(
        f"{package} {distribution.version} from {module.__file__}, {len(installed)} distributions\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
