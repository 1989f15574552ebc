"""What an edit of each field does, and the table of it in the documentation. Nothing here validates edits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dask_k8s_crds.custom_resource import CustomResource
from dask_k8s_crds.manifests import MODELS
from dask_k8s_crds.structural_schema import PRESERVE, Schema


class Effect(StrEnum):
    """What an edit of a field does."""

    IN_PLACE = "followed in place"
    ROLLING = "rolling update"
    NEXT_RUN = "at the next run"
    REFUSED = "refused"
    NONE = "no effect"


@dataclass(frozen=True, slots=True)
class Edit:
    """The effect of an edit, what else a user has to know, and the effect while the object is suspended."""

    effect: Effect
    note: str = ""
    suspended: Effect | None = None
    """None if it is the same."""


_LABELS = Edit(Effect.IN_PLACE, "what is made from the template gets them at once")
_SWITCHES = "a change of `rollme`, `checksum/…` or `…/restartedAt`"
_WORKER_ANNOTATIONS = Edit(
    Effect.IN_PLACE,
    f"workers get them at once; {_SWITCHES} is a rolling update, as an edit of `spec.worker.spec`",
)
_STRATEGY = Edit(Effect.IN_PLACE, "a rollout that is under way goes on with it")
_WORKERS = Edit(Effect.ROLLING, "as `updateStrategy` says; workers hand over their data first")
_REPLICAS = Edit(Effect.IN_PLACE, "workers are added, or retired after they have handed over their data")
_RESOURCES = Edit(Effect.ROLLING, "workers get them when they start, so they are replaced")
_UNUSED = Edit(Effect.NONE, "nothing reads the field; existing YAML has it")
_OTHER_CLUSTER = Edit(Effect.REFUSED, "create another object for the other cluster")
_RUNNER = Edit(
    Effect.REFUSED,
    "as in a Job; a job that is suspended and has never started uses it at its first run",
    Effect.NEXT_RUN,
)
_CLUSTER_OF_JOB = Edit(
    Effect.REFUSED,
    "scale or edit the DaskCluster instead; a suspended job uses it when it runs again",
    Effect.NEXT_RUN,
)

_TABLE: Mapping[str, Mapping[str, Edit]] = {
    "DaskCluster": {
        "spec.scheduler.metadata.labels": _LABELS,
        "spec.scheduler.metadata.annotations": Edit(
            Effect.IN_PLACE,
            f"scheduler and service get them at once; {_SWITCHES} replaces the scheduler, as an edit of "
            "`spec.scheduler.spec`",
        ),
        "spec.scheduler.spec": Edit(
            Effect.ROLLING,
            "the scheduler is replaced at once, and its tasks and results are lost; with `OnDelete`, it is "
            "replaced when somebody deletes its pod",
        ),
        "spec.scheduler.service": Edit(
            Effect.IN_PLACE, "the Service is created again where Kubernetes does not allow the change"
        ),
        "spec.worker.metadata.labels": _LABELS,
        "spec.worker.metadata.annotations": _WORKER_ANNOTATIONS,
        "spec.worker.spec": _WORKERS,
        "spec.worker.replicas": _REPLICAS,
        "spec.worker.daskResources": _RESOURCES,
        "spec.worker.cluster": _UNUSED,
        "spec.idleTimeout": Edit(Effect.IN_PLACE, "at the latest a minute later"),
        "spec.idleAction": Edit(Effect.IN_PLACE),
        "spec.suspend": Edit(Effect.IN_PLACE, "true removes all pods, false brings them back"),
        "spec.updateStrategy.*": _STRATEGY,
    },
    "DaskWorkerGroup": {
        "spec.cluster": _OTHER_CLUSTER,
        "spec.worker.metadata.labels": _LABELS,
        "spec.worker.metadata.annotations": _WORKER_ANNOTATIONS,
        "spec.worker.spec": _WORKERS,
        "spec.worker.replicas": _REPLICAS,
        "spec.worker.daskResources": _RESOURCES,
        "spec.worker.cluster": _UNUSED,
        "spec.updateStrategy.*": _STRATEGY,
    },
    "DaskAutoscaler": {
        "spec.cluster": _OTHER_CLUSTER,
        # The whole spec is read again for each decision.
        "spec.*": Edit(Effect.IN_PLACE, "the next decision follows it"),
    },
    "DaskJob": {
        "spec.job.*": _RUNNER,
        "spec.podFailurePolicy": _RUNNER,
        "spec.cluster.*": _CLUSTER_OF_JOB,
        "spec.clusterName": Edit(
            Effect.REFUSED, "create another job, also to set or remove it", Effect.REFUSED
        ),
        "spec.backoffLimit": Edit(Effect.IN_PLACE, "failures so far count"),
        "spec.activeDeadlineSeconds": Edit(Effect.IN_PLACE, "the time so far counts"),
        "spec.ttlSecondsAfterFinished": Edit(Effect.IN_PLACE, "also after the job has finished"),
        "spec.clusterCleanup": Edit(Effect.IN_PLACE, "also after the job has finished"),
        "spec.suspend": Edit(
            Effect.IN_PLACE, "true stops the runner and deletes its cluster; false runs it from the start"
        ),
    },
}
"""By kind and path; a path that ends with `.*` is that of every field below it without a longer entry."""


def fields(model: type[CustomResource]) -> tuple[str, ...]:
    """Return the paths of all fields of the spec; a type of Kubernetes, such as PodSpec, is one field."""
    return tuple(_fields(model.structural_schema()["properties"]["spec"], "spec"))


def _fields(schema: Schema, path: str) -> Iterator[str]:
    if "items" in schema and "properties" in schema["items"] and PRESERVE not in schema["items"]:
        yield from _fields(schema["items"], f"{path}[]")
    elif "properties" in schema and PRESERVE not in schema:
        for name, inner in schema["properties"].items():
            yield from _fields(inner, f"{path}.{name}")
    else:
        yield path


def edit(kind: str, path: str) -> Edit:
    """Return what an edit of a field does.

    Raises:
        KeyError: The table has no entry for the field.
    """
    entries = _TABLE[kind]
    if path in entries:
        return entries[path]
    return entries[max((entry for entry in entries if _covers(entry, path)), key=len, default=path)]


def unused_entries(model: type[CustomResource]) -> set[str]:
    """Return the entries of the table that are not those of a field."""
    entries, paths = _TABLE[model.resource.kind], fields(model)
    return {entry for entry in entries if not any(entry == path or _covers(entry, path) for path in paths)}


def _covers(entry: str, path: str) -> bool:
    prefix = entry.removesuffix("*")
    return prefix != entry and path.replace("[]", "").startswith(prefix)


def table() -> str:
    """Return the table of all fields in Markdown, with a heading for each kind."""
    return "\n".join(line for model in MODELS for line in _lines(model))


def _lines(model: type[CustomResource]) -> Iterator[str]:
    kind, previous = model.resource.kind, ""
    yield from (f"## {kind}", "", "| Field | An edit is | Note |", "| --- | --- | --- |")
    for path in fields(model):
        found = edit(kind, path)
        effect = str(found.effect)
        if found.suspended not in {None, found.effect}:
            effect += f"; {found.suspended} if suspended"
        note = "the same" if found.note and found.note == previous else found.note
        previous = found.note
        yield f"| `{path}` | {effect} | {note} |"
    yield ""
