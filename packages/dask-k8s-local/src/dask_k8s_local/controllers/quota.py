"""ResourceQuotas: rejects objects that exceed a quota, and keeps the status of quotas.

Reads usage from `quota_usage`.
"""

from collections.abc import Mapping
from decimal import Decimal

from dask_k8s_local.controllers.client import Forbidden, ServedResources, deletable_resources
from dask_k8s_local.controllers.quota_usage import Usage, in_scope, missing, responsible, show, usage
from dask_k8s_local.informer import wait_for_any_change
from dask_k8s_local.resources import CRDS, PODS, RESOURCEQUOTAS, Resource
from dask_k8s_local.schema.quantity import canonical, parse
from dask_k8s_local.store import Gone, Object, Store, namespace_of

_ZERO = Decimal(0)


class _Tally:
    """The usage of one collection per namespace, updated from events instead of counted each time."""

    def __init__(self, store: Store, resource: Resource, quota: Object) -> None:
        self._store = store
        self.resource = resource
        self._quota = quota
        self._since = -1
        self._totals: dict[str, Usage] = {}

    def of(self, namespace: str) -> Mapping[str, Decimal]:
        """Return the current usage in a namespace."""
        try:
            events = [*self._store.events(self.resource, self._since)]
        except Gone:
            self._totals.clear()
            for obj in self._store.list(self.resource):
                self._add(obj, 1)
        else:
            for event in events:
                if event.previous is not None:
                    self._add(event.previous, -1)
                if event.type != "DELETED":
                    self._add(event.object, 1)
        self._since = self._store.version
        return self._totals.get(namespace, {})

    def _add(self, obj: Object, sign: int) -> None:
        if in_scope(self._quota, self.resource, obj):
            totals = self._totals.setdefault(namespace_of(obj), {})
            for name, amount in usage(self.resource, obj).items():
                totals[name] = totals.get(name, _ZERO) + sign * amount


class Quotas:
    """The quotas of all namespaces."""

    def __init__(self, store: Store, resources: ServedResources) -> None:
        self._store = store
        self._resources = resources
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def admit(self, resource: Resource, new: Object, old: Object | None = None) -> None:
        """Raise Forbidden if a quota would be exceeded; the caller writes without an `await` in between."""
        candidates = self._store.list(RESOURCEQUOTAS, namespace_of(new)) if resource.namespaced else []
        quotas = [quota for quota in candidates if in_scope(quota, resource, new)]
        if not quotas:
            return
        name = new["metadata"]["name"]
        if resource.key == PODS.key and old is None:
            for quota in quotas:
                if without := missing(new, _hard(quota)):
                    message = "; ".join(f"{what} for: {','.join(which)}" for what, which in without.items())
                    why = f"failed quota: {quota['metadata']['name']}: must specify {message}"
                    raise Forbidden(resource, name, why)
        before = usage(resource, old) if old is not None else {}
        more = {what: amount - before.get(what, _ZERO) for what, amount in usage(resource, new).items()}
        for quota in quotas:
            if why := self._excess(quota, resource, more):
                raise Forbidden(resource, name, why)

    async def run(self) -> None:
        """Keep the status of all quotas up to date until cancelled."""
        while True:
            counted = self._write_statuses()
            await wait_for_any_change(self._store, {RESOURCEQUOTAS, CRDS, *counted}, self._store.version)

    def _excess(self, quota: Object, resource: Resource, more: Usage) -> str:
        """Return a message about what exceeds the quota, or an empty string."""
        hard = _hard(quota)
        concerned = sorted(name for name in hard.keys() & more.keys() if more[name] > 0)
        if not concerned:
            return ""
        used = self._tally(resource, quota).of(namespace_of(quota))
        over = [name for name in concerned if used.get(name, _ZERO) + more[name] > parse(hard[name])]
        if not over:
            return ""
        requested = _listed({name: show(name, more[name]) for name in over})
        so_far = _listed({name: show(name, used.get(name, _ZERO)) for name in over})
        limited = _listed({name: hard[name] for name in over})
        which = quota["metadata"]["name"]
        return f"exceeded quota: {which}, requested: {requested}, used: {so_far}, limited: {limited}"

    def _write_statuses(self) -> set[Resource]:
        """Write the status of all quotas, and return the collections that they count."""
        counted = set()
        for quota in self._store.list(RESOURCEQUOTAS):
            hard, used = _hard(quota), {}
            served = deletable_resources(self._resources)
            for name in hard:
                resource = served.get(responsible(name))
                if resource is not None:
                    counted.add(resource)
                    amounts = self._tally(resource, quota).of(namespace_of(quota))
                    used[name] = show(name, amounts.get(name, _ZERO))
                elif not name.startswith("count/"):
                    used[name] = "0"
            self._store.update(RESOURCEQUOTAS, {**quota, "status": {"hard": hard, "used": used}})
        return counted

    def _tally(self, resource: Resource, quota: Object) -> _Tally:
        key = resource.key, repr(quota["spec"].get("scopes"))
        tally = self._tallies.get(key)
        if tally is None or tally.resource is not resource:  # its CRD was created again
            tally = self._tallies[key] = _Tally(self._store, resource, quota)
        return tally


def _hard(quota: Object) -> dict[str, str]:
    hard = (quota.get("spec") or {}).get("hard") or {}
    return {name: canonical(str(limit)) for name, limit in hard.items()}


def _listed(amounts: Mapping[str, str]) -> str:
    return ",".join(f"{name}={amount}" for name, amount in amounts.items())
