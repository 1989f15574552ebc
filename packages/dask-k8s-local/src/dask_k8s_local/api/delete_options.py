"""DeleteOptions: parsed from the body or the query of a request, and validated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_local.api import errors
from dask_k8s_local.schema import builtin, problems
from dask_k8s_local.schema.decode import DecodeError, decode, json_name
from dask_k8s_local.store import Object

PROPAGATION = {"Foreground": "foregroundDeletion", "Orphan": "orphan", "Background": None}
"""Propagation policies and the finalizers that carry them out."""
_KIND = "DeleteOptions"
_SCHEMA = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


@dataclass(frozen=True)
class DeleteOptions:
    """The options of a DELETE request."""

    grace: int | None = None
    propagation: str | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


def read_options(query: Mapping[str, str], body: Any) -> DeleteOptions:
    """Read options from the body, or, if it is empty, from the query."""
    options = _from_query(query) if body is None else _from_body(body)
    dry_run = options.get("dryRun") or []
    propagation, orphan = options.get("propagationPolicy") or None, options.get("orphanDependents")
    found = []
    if propagation is not None and orphan is not None:
        message = "orphanDependents and deletionPropagation cannot be both set"
        found.append(problems.invalid("propagationPolicy", propagation, message))
    if propagation not in {None, *PROPAGATION}:
        supported = ("Foreground", "Background", "Orphan", "nil")
        found.append(problems.not_supported("propagationPolicy", propagation, supported))
    if not {*dry_run} <= {"All"}:
        found.append(problems.not_supported("dryRun", dry_run, ["All"]))
    if found:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", found)
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    grace = options.get("gracePeriodSeconds")
    preconditions = options.get("preconditions") or {}
    return DeleteOptions(
        grace=1 if grace is not None and grace < 0 else grace,
        propagation=propagation,
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        dry_run=bool(dry_run),
    )


def _from_query(query: Mapping[str, str]) -> Object:
    options: Object = {key: query[key] for key in ("propagationPolicy",) if key in query}
    if grace := query.get("gracePeriodSeconds"):
        try:
            options["gracePeriodSeconds"] = int(grace)
        except ValueError:
            message = f'strconv.ParseInt: parsing "{grace}": invalid syntax'
            raise errors.bad_request(message) from None
    if orphan := query.get("orphanDependents"):
        options["orphanDependents"] = orphan.lower() not in {"0", "false"}
    if dry_run := query.get("dryRun"):
        options["dryRun"] = [dry_run]
    return options


def _from_body(body: Any) -> Object:
    """Decode the body; a real API server, too, reports other types as an error of its own."""
    wrong = ""
    if not isinstance(body, dict):
        wrong = f"json: cannot unmarshal {json_name(body)} into Go value of type v1.DeleteOptions"
    elif (kind := body.get("kind", _KIND)) != _KIND:
        wrong = f'no kind "{kind}" is registered for version "{body.get("apiVersion", "v1")}"'
    else:
        try:
            return decode(builtin.node(_SCHEMA), body)[0]
        except DecodeError as error:
            wrong = str(error)
    raise errors.StatusError(500, "", wrong)
