"""Create and update objects: decode, set defaults, validate, admit, store. Knows no HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

from dask_k8s_local import json_text
from dask_k8s_local.api import errors
from dask_k8s_local.api.catalog import Catalog, Served
from dask_k8s_local.api.request import Request
from dask_k8s_local.controllers.client import Forbidden
from dask_k8s_local.controllers.namespaces import reject_terminating_namespace
from dask_k8s_local.fields import managers
from dask_k8s_local.fields.managers import Manager, Owners
from dask_k8s_local.resources import SERVICEACCOUNTS, Resource
from dask_k8s_local.schema import problems
from dask_k8s_local.schema.decode import DecodeError, json_name
from dask_k8s_local.store import Object, Store, Stored, namespace_of
from dask_k8s_local.strategy import metadata as meta
from dask_k8s_local.strategy.base import keep
from dask_k8s_local.strategy.services import CannotAssign

_SYSTEM = ("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "selfLink")


Admit = Callable[[Resource, Object, Object | None], None]


class Registry:
    """Reads and writes objects for requests and controllers."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self.store = store
        self.catalog = catalog
        self.admit: Admit = lambda *_: None
        """Called before a new or changed object is stored; raises Forbidden to reject it."""

    def get(self, request: Request) -> Stored:
        """Return an object."""
        resource = request.served.resource
        found = self.store.get(resource, request.namespace, request.name)
        if found is None:
            raise errors.not_found(resource, request.name)
        return found

    def create(self, request: Request, body: Object, owners: Owners | None = None) -> Stored:
        """Create an object; server-side apply passes the field `owners`."""
        resource, strategy = request.served.resource, request.served.strategy
        obj = decode(request, body)
        metadata = obj["metadata"] = {**(obj.get("metadata") or {})}
        set_name_and_namespace(request, metadata)
        if metadata.get("resourceVersion"):
            raise errors.StatusError(500, "", "resourceVersion should not be set on objects to be created")
        for key in _SYSTEM:
            metadata.pop(key, None)
        if owners is None:
            owners = managers.after_create(strategy.node, obj, self._manager(request, "Update"))
        _write_owners(metadata, owners)
        self._check_namespace(resource, metadata)
        strategy.prepare_create(obj)
        if not metadata.get("name") and not metadata.get("generateName"):
            raise self._invalid(resource, obj, meta.validate(metadata, strategy.check_name))
        draft = self.store.draft(resource, obj)
        strategy.prepare_named(draft)
        self._check_service_account(resource, draft)
        found = [*meta.validate(draft["metadata"], strategy.check_name), *strategy.validate(draft)]
        if found:
            raise self._invalid(resource, draft, found)
        self.admit(resource, draft, None)
        self.store.check_free(resource, draft)
        draft = self._with_addresses(request, draft, None)
        return draft if request.dry_run else self.store.insert(resource, draft)

    def update(self, request: Request, body: Object) -> Stored:
        """Replace an object."""
        resource, strategy = request.served.resource, request.served.strategy
        old = self.get(request)
        obj = decode(request, body)
        metadata = obj["metadata"] = {**(obj.get("metadata") or {})}
        set_name_and_namespace(request, metadata)
        if metadata.get("uid") not in (None, old["metadata"]["uid"]):
            self.store.update(resource, {**old, "metadata": {**old["metadata"], "uid": metadata["uid"]}})
        if not metadata.get("resourceVersion") and not strategy.unconditional_update:
            wrong = problems.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(resource.group, resource.plural, request.name, [wrong])
        return self.replace(request, old, obj)

    def replace(self, request: Request, old: Stored, obj: Object, owners: Owners | None = None) -> Stored:
        """Replace an object by a decoded one; the last step of PUT and PATCH."""
        resource, strategy = request.served.resource, request.served.strategy
        metadata, before = obj["metadata"], old["metadata"]
        if metadata.get("resourceVersion") not in (None, "", before["resourceVersion"]):
            raise errors.conflict(resource, request.name)
        for key in (*_SYSTEM, "resourceVersion"):
            keep(metadata, before, key)
        metadata.setdefault("uid", before["uid"])
        if owners is None:
            owners = self._owners_after_update(request, old, obj)
        if request.subresource == "status":
            strategy.prepare_status(obj, old)
            validate = strategy.validate_status
        else:
            strategy.prepare_update(obj, old)
            validate = strategy.validate_update
        metadata = obj["metadata"]
        keep(metadata, before, "resourceVersion")
        _write_owners(metadata, owners)
        found = [*meta.validate_update(metadata, before), *validate(obj, old)]
        if found:
            raise self._invalid(resource, obj, found)
        self.admit(resource, obj, old)
        new = self._with_addresses(request, obj, old)
        return new if request.dry_run else self.store.update(resource, new)

    def _owners_after_update(self, request: Request, old: Object, obj: Object) -> Owners:
        """Return the field owners after an update; `managedFields: [{}]` removes all."""
        written = obj["metadata"].get("managedFields")
        if written == [{}]:
            return []
        owners = managers.read(obj if written else old)
        return managers.after_update(
            request.served.strategy.node, old, obj, owners, self._manager(request, "Update")
        )

    def _manager(self, request: Request, operation: str) -> Manager:
        api_version = request.served.resource.api_version
        return Manager(request.field_manager, operation, api_version, request.subresource)

    def _check_namespace(self, resource: Resource, metadata: Mapping[str, Any]) -> None:
        """Reject creation in a namespace that does not exist or is terminating."""
        if resource.namespaced:
            namespace = metadata["namespace"]
            reject_terminating_namespace(self.store, resource, namespace, metadata.get("name", ""))

    def _check_service_account(self, resource: Resource, obj: Object) -> None:
        """Reject a pod whose service account does not exist, apart from `default`."""
        if resource.key != "pods":
            return
        account, namespace = obj["spec"]["serviceAccountName"], namespace_of(obj)
        if account != "default" and self.store.get(SERVICEACCOUNTS, namespace, account) is None:
            missing = f'serviceaccount "{account}" not found'
            why = f"error looking up service account {namespace}/{account}: {missing}"
            raise Forbidden(resource, obj["metadata"]["name"], why)

    def _with_addresses(self, request: Request, obj: Stored | Object, old: Object | None) -> Stored:
        """Assign addresses to a Service, as the last step before it is stored."""
        resource = request.served.resource
        if resource.key == "services":
            try:
                return Stored(self.catalog.services.assign(obj, old, dry_run=request.dry_run))
            except CannotAssign as error:
                raise self._invalid(resource, obj, [error.problem]) from None
        return obj if isinstance(obj, Stored) else Stored(obj)

    @staticmethod
    def _invalid(resource: Resource, obj: Object, found: Any) -> errors.StatusError:
        return errors.invalid(resource.group, resource.kind, obj["metadata"].get("name", ""), found)


def _write_owners(metadata: Object, owners: Owners) -> None:
    written = managers.write(owners)
    if written:
        metadata["managedFields"] = written
    else:
        metadata.pop("managedFields", None)


def set_name_and_namespace(request: Request, metadata: dict[str, Any]) -> None:
    """Set name and namespace from the path; raises StatusError if they differ."""
    if request.served.resource.namespaced:
        if metadata.setdefault("namespace", request.namespace) != request.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
    else:
        metadata.pop("namespace", None)
    if request.name:
        name = metadata.setdefault("name", request.name)
        if name != request.name:
            raise errors.bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({request.name})"
            )


def decode(request: Request, body: Any) -> Object:
    """Return the decoded object; unknown fields are an error or a warning, by `fieldValidation`."""
    served = request.served
    check_kind(served, body)
    resource = served.resource
    prefix = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    try:
        obj, unknown = served.strategy.decode(
            {"kind": resource.kind, "apiVersion": resource.api_version, **body}
        )
    except DecodeError as error:
        raise errors.bad_request(f"{prefix}: {error}") from None
    obj["kind"], obj["apiVersion"] = resource.kind, resource.api_version
    if metadata_of(body).get("managedFields") == []:  # an empty list removes all owners
        obj["metadata"]["managedFields"] = [{}]
    if unknown:
        found = [f'unknown field "{path}"' for path in unknown]
        if request.field_validation == "Strict":
            raise errors.bad_request(f"{prefix}: strict decoding error: {', '.join(found)}")
        if request.field_validation == "Warn":
            request.warnings += found
    return obj


def metadata_of(body: Any) -> Object:
    """Return the metadata of a body, which can be anything."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def check_kind(served: Served, body: Any) -> None:
    """Raise StatusError if the body is not an object of the collection's kind."""
    resource = served.resource
    unrecognized = f"the object provided is unrecognized (must be of type {resource.kind})"
    if not isinstance(body, dict):
        raise errors.bad_request(f"{unrecognized}: couldn't get version/kind")
    for key in ("kind", "apiVersion"):
        if not isinstance(body.get(key), str | None):
            why = f"json: cannot unmarshal {json_name(body[key])} into Go struct field .{key} of type string"
            raise errors.bad_request(f"{unrecognized}: couldn't get version/kind; json parse error: {why}")
    if served.schema and not body.get("kind"):
        text = json_text.dumps(body).decode()
        raise errors.bad_request(f"{unrecognized}: Object 'Kind' is missing in '{text}' ({text})")
    kind, version = body.get("kind") or resource.kind, body.get("apiVersion") or resource.api_version
    check = _check_custom_kind if served.schema else _check_builtin_kind
    check(resource, kind, version, metadata_of(body).get("name", ""))


def _check_custom_kind(resource: Resource, kind: str, version: str, name: str) -> None:
    if version != resource.api_version:
        expected = resource.api_version
        raise errors.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({expected})"
        )
    if kind != resource.kind:
        wrong = problems.invalid("kind", kind, f"must be {resource.kind}")
        raise errors.invalid(resource.group, kind, name, [wrong])


def _check_builtin_kind(resource: Resource, kind: str, version: str, _: str) -> None:
    if version != resource.api_version:
        prefix = f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
        why = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:110"'
        raise errors.bad_request(prefix + why)
    if kind != resource.kind:
        found, expected = f"v1.{kind}", f"core.{resource.kind}"
        message = f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
        raise errors.bad_request(f"{message}converting ({found}) to ({expected}): unknown conversion")
