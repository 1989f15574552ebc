"""Image names.

Images are not pulled here; names below `.invalid` and malformed names fail as if they were.
"""

import re
from dataclasses import dataclass

_NAME = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@[a-zA-Z0-9]+:[0-9a-fA-F]{32,})?"
)


@dataclass(frozen=True)
class PullError:
    """Why an image cannot be pulled: reason and message of the container's status."""

    reason: str
    message: str


def pull_error(image: str) -> PullError | None:
    """Return why an image cannot be pulled, or None; by RFC 6761, hosts below `.invalid` do not exist."""
    if not _NAME.fullmatch(image):
        why = (
            "repository name must be lowercase"
            if _NAME.fullmatch(image.lower())
            else "invalid reference format"
        )
        problem = f'couldn\'t parse image name "{image}": invalid reference format'
        if why != "invalid reference format":
            problem += f": {why}"
        return PullError("InvalidImageName", f'Failed to apply default image tag "{image}": {problem}')
    registry, slash, path = image.partition("/")
    host = registry.partition(":")[0]
    if not slash or not host.endswith(".invalid"):
        return None
    name, _, tag = path.partition(":")
    reference = image if tag or "@" in path else f"{image}:latest"
    url = f"https://{registry}/v2/{name.partition('@')[0]}/manifests/{tag or 'latest'}"
    problem = f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
    problem += f'failed to do request: Head "{url}": dial tcp: lookup {host}: no such host'
    return PullError("ErrImagePull", problem)
