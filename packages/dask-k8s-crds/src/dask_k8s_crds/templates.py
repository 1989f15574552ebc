"""Templates of pods and services. A PodSpec or ServiceSpec is plain JSON, which nobody may mutate."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from dask_k8s_crds.model import Closed, Strings


def _json_object(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("must be of type object")  # noqa: TRY004  # pydantic reports only this
    return _without_nulls(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _runner(value: Any) -> Mapping[str, Any]:
    return {"restartPolicy": "OnFailure", **_json_object(value)}


def _kubernetes_type(name: str) -> WithJsonSchema:
    return WithJsonSchema({"x-kubernetes-schema": name})


PodSpec = Annotated[Mapping[str, Any], PlainValidator(_json_object), _kubernetes_type("PodSpec")]
ServiceSpec = Annotated[Mapping[str, Any], PlainValidator(_json_object), _kubernetes_type("ServiceSpec")]
RunnerSpec = Annotated[Mapping[str, Any], PlainValidator(_runner), _kubernetes_type("RunnerSpec")]
PodFailurePolicy = Annotated[
    Mapping[str, Any], PlainValidator(_json_object), _kubernetes_type("PodFailurePolicy")
]


class TemplateMetadata(Closed):
    """What users add to the metadata of pods and services; the labels that we reserve win over these."""

    labels: Strings = Field(default={}, description="Labels for what is made from this template.")
    annotations: Strings = Field(default={}, description="Annotations for what is made from this template.")


class PodTemplate(Closed):
    """What pods are made from."""

    metadata: TemplateMetadata = Field(
        default=TemplateMetadata(), description="Labels and annotations for the pods."
    )
    spec: PodSpec = Field(description="As in a Pod.")
