"""Templates of pods and services. A PodSpec or ServiceSpec is plain JSON, which nobody may mutate."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from dask_k8s_crds.model import Closed, Strings


def _json_object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be of type object")  # noqa: TRY004  # pydantic reports only this
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _runner(value: Any) -> Mapping[str, Any]:
    return {"restartPolicy": "OnFailure", **_json_object(value)}


PodSpec = Annotated[
    Mapping[str, Any], PlainValidator(_json_object), WithJsonSchema({"x-kubernetes-schema": "PodSpec"})
]
ServiceSpec = Annotated[
    Mapping[str, Any], PlainValidator(_json_object), WithJsonSchema({"x-kubernetes-schema": "ServiceSpec"})
]


RunnerSpec = Annotated[
    Mapping[str, Any], PlainValidator(_runner), WithJsonSchema({"x-kubernetes-schema": "RunnerSpec"})
]
PodFailurePolicy = Annotated[
    Mapping[str, Any],
    PlainValidator(_json_object),
    WithJsonSchema({"x-kubernetes-schema": "PodFailurePolicy"}),
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
