"""What we last set on a child: labels, annotations and fields, recorded in an annotation of the child.

As with ``kubectl apply``, a patch changes what we set and removes what we no longer set; what others set
stays. Pure functions without I/O.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import orjson

from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds import labels


def digest(value: Any) -> str:
    """Return a short hash of a JSON value, which does not depend on the order of fields."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record(metadata: dict[str, Any], **sections: Body) -> None:
    """Record the labels and annotations of a new child, and sections of its spec, in its annotations."""
    sections = {"labels": metadata["labels"], "annotations": metadata["annotations"], **sections}
    content = {name: {"digest": digest(value), "keys": sorted(value)} for name, value in sections.items()}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    metadata["annotations"] = {**metadata["annotations"], labels.LAST_APPLIED: text}


def recorded(body: Body) -> str:
    """Return the record of a child; empty if it has none."""
    text: str = (body["metadata"].get("annotations") or {}).get(labels.LAST_APPLIED, "")
    return text


def short(text: str, limit: int) -> str:
    """Return a record as the cache keeps it for each pod: a digest instead of one that is too long.

    The record of a pod with the usual labels and annotations has some 200 bytes, and 40 more for each further
    one. With a digest, labels and annotations that are removed from a template stay on its pods until these
    are replaced.
    """
    return text if len(text) <= limit and text.isascii() else _digest_of(text)


def _digest_of(text: str) -> str:
    return f"sha256:{digest(text)}"


def differs(before: str, desired: Body, section: str) -> bool:
    """Return whether a section of the desired child differs from the record ``before``."""
    return _section(before, section).get("digest") != _section(recorded(desired), section).get("digest")


def removed_keys(before: str, desired: Body, section: str) -> dict[str, None]:
    """Return the merge patch that removes the keys that we set before and no longer set."""
    current = _section(recorded(desired), section).get("keys", ())
    keys = _section(before, section).get("keys")
    ours = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    return dict.fromkeys(key for key in ours if key not in current)


def metadata_patch(before: str, desired: Body) -> dict[str, Any]:
    """Return the patch of labels and annotations for a child with the record ``before``; empty if current.

    Our bookkeeping annotations, apart from the record, are left out: they belong to that one child.
    """
    if before in (recorded(desired), _digest_of(recorded(desired))):
        return {}
    patch: dict[str, dict[str, Any]] = {}
    for section in ("labels", "annotations"):
        if differs(before, desired, section):
            ours = desired["metadata"][section]
            kept = {key: value for key, value in ours.items() if key not in labels.BOOKKEEPING}
            patch[section] = {**removed_keys(before, desired, section), **kept}
    patch.setdefault("annotations", {})[labels.LAST_APPLIED] = recorded(desired)
    return patch


def _section(text: str, section: str) -> dict[str, Any]:
    """Return a section of a record; empty if it is unreadable, as anybody may edit the annotation."""
    try:
        found = orjson.loads(text or "{}")[section]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def merge_patch(old: Any, new: Any) -> Any:
    """Return the JSON merge patch that turns ``old`` into ``new``: keys of ``old`` alone are removed."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    removed = dict.fromkeys(key for key in old if key not in new)
    return {**removed, **{key: merge_patch(old.get(key), value) for key, value in new.items()}}


def pod_patch(before: str, template_digest: str, desired: Body) -> dict[str, Any]:
    """Return the metadata patch of a pod; one without a template digest gets that of the desired pod.

    An older controller, which recorded no digest, created it; it counts as up to date. An outdated pod keeps
    the annotations that ask for new pods, which say what it has read.
    """
    patch = metadata_patch(before, desired)
    current = desired["metadata"]["annotations"][labels.TEMPLATE_DIGEST]
    if not template_digest:
        patch.setdefault("annotations", {})[labels.TEMPLATE_DIGEST] = current
    elif template_digest != current and "annotations" in patch:
        annotations = patch["annotations"]
        patch["annotations"] = {key: annotations[key] for key in annotations if not labels.replaces_pods(key)}
    return patch
