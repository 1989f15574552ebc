"""What a living child was given, and how a change of that reaches it: labels, annotations, fields.

Noted at the child itself, so that what others wrote there stays theirs, and what we took back goes.
No await, no clock, no environment.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds import labels


def digest(value: Any) -> str:
    """Return a short text that is the same for equal values, in whatever order their fields stand."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record(metadata: dict[str, Any], **sections: Body) -> None:
    """Write down in a new child's metadata what it is given: labels, annotations, sections of its spec."""
    given = {"labels": metadata["labels"], "annotations": metadata["annotations"], **sections}
    found = {name: {"digest": digest(content), "keys": sorted(content)} for name, content in given.items()}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    metadata["annotations"] = {**metadata["annotations"], labels.LAST_APPLIED: text}


def recorded(body: Body) -> str:
    """Return the note of a child, empty where it has none."""
    text: str = (body["metadata"].get("annotations") or {}).get(labels.LAST_APPLIED, "")
    return text


def differs(before: str, wanted: Body, section: str) -> bool:
    """Whether a child with the note ``before`` was given something else in this section."""
    return _section(before, section).get("digest") != _section(recorded(wanted), section).get("digest")


def removed_keys(before: str, wanted: Body, section: str) -> dict[str, None]:
    """Return what a merge patch says of the keys that a child was given once, and is not any more."""
    current = _section(recorded(wanted), section).get("keys", ())
    return dict.fromkeys(key for key in _section(before, section).get("keys", ()) if key not in current)


def metadata_patch(before: str, wanted: Body) -> dict[str, Any]:
    """Return the patch of labels and annotations for a child with the note ``before``; empty where current.

    Book-keeping other than the note itself is not passed on: it says what happened to this very child.
    """
    if before == recorded(wanted):
        return {}
    patch: dict[str, dict[str, Any]] = {}
    for section in ("labels", "annotations"):
        if differs(before, wanted, section):
            ours = wanted["metadata"][section]
            kept = {key: value for key, value in ours.items() if key not in labels.BOOKKEEPING}
            patch[section] = {**removed_keys(before, wanted, section), **kept}
    return {**patch, "annotations": {**patch.get("annotations", {}), labels.LAST_APPLIED: recorded(wanted)}}


def _section(text: str, section: str) -> dict[str, Any]:
    """Anybody may have written to the note; what cannot be read says nothing."""
    try:
        found = json.loads(text or "{}")[section]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def replacing(old: Any, new: Any) -> Any:
    """Return the merge patch that makes ``new`` of ``old``: what is in the old alone goes."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    gone = dict.fromkeys(key for key in old if key not in new)
    return {**gone, **{key: replacing(old.get(key), value) for key, value in new.items()}}


def pod_patch(before: str, made_from: str, wanted: Body) -> dict[str, Any]:
    """Return the same for a pod; one without a digest, of an older controller, counts as made from this."""
    patch = metadata_patch(before, wanted)
    if made_from:
        return patch
    of_template = {labels.TEMPLATE_DIGEST: wanted["metadata"]["annotations"][labels.TEMPLATE_DIGEST]}
    return {**patch, "annotations": {**patch.get("annotations", {}), **of_template}}
