"""Assigns cluster IPs and node ports to Services. Opens no ports."""

from collections.abc import Collection
from typing import Any

from dask_k8s_local.network.addresses import AddressesExhausted, Block, free_port
from dask_k8s_local.schema import problems
from dask_k8s_local.store import Object
from dask_k8s_local.strategy.services import EXTERNAL_TYPES, CannotAssign

NODE_PORTS = range(30000, 32768)
_RANGE = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"


class ServiceAddresses:
    """The cluster IPs and node ports that are in use."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._node_ports: set[int] = set()

    def assign(self, service: Object, previous: Object | None = None, *, dry_run: bool = False) -> Object:
        """Return the Service with `clusterIP`, `clusterIPs` and `nodePort`s; existing ones are kept.

        Raises CannotAssign, and then, or in a dry run, allocates nothing.
        """
        before = _held(previous)
        allocated: list[Any] = []
        try:
            spec = self._assign(service["spec"], (previous or {}).get("spec", {}), before, allocated)
        except CannotAssign:
            self._release(allocated)
            raise
        assigned = {**service, "spec": spec}
        if dry_run:
            self._release(allocated)
        else:
            self._release(before - _held(assigned))
        return assigned

    def release(self, service: Object) -> None:
        """Release the addresses and ports of a deleted Service."""
        self._release(_held(service))

    def _assign(self, spec: Object, old: Object, held: Collection[Any], allocated: list[Any]) -> Object:
        kind = spec.get("type", "ClusterIP")
        if kind == "ExternalName":
            return spec
        address = spec.get("clusterIP") or old.get("clusterIP")
        if address != "None" and (not address or address not in held):
            address = self._claim(address)
            allocated.append(address)
        spec = {**spec, "clusterIP": address, "clusterIPs": [address]}
        if kind in EXTERNAL_TYPES:
            had = {port["port"]: port.get("nodePort") for port in old.get("ports") or ()}
            ports = []
            for index, port in enumerate(spec.get("ports") or ()):
                number = port.get("nodePort") or had.get(port["port"])
                if number not in held:
                    number = self._claim_node_port(number, f"spec.ports[{index}].nodePort")
                    allocated.append(number)
                ports.append({**port, "nodePort": number})
            spec["ports"] = ports
        return spec

    def _claim(self, address: str | None) -> str:
        if not address:
            return self.block.services.take()
        try:
            inside = self.block.services.holds(address)
        except ValueError:
            message = "must be a valid IP address"
            raise CannotAssign(problems.invalid("spec.clusterIPs[0]", address, message)) from None
        if not inside:
            message = f"the provided IP ({address}) is not in the valid range. "
            message += f"The range of valid IPs is {self.block.service_cidr}"
        elif self.block.services.claim(address):
            return address
        else:
            message = "provided IP is already allocated"
        message = f"failed to allocate IP {address}: {message}"
        raise CannotAssign(problems.invalid("spec.clusterIPs", [address], message))

    def _claim_node_port(self, number: int | None, path: str) -> int:
        if not number:
            try:
                number = free_port("127.0.0.1", [one for one in NODE_PORTS if one not in self._node_ports])
            except AddressesExhausted:
                message = "no node port is free"
                raise CannotAssign(problems.invalid(path, number or 0, message)) from None
        elif number not in NODE_PORTS:
            message = f"provided port is not in the valid range. The range of valid ports is {_RANGE}"
            raise CannotAssign(problems.invalid(path, number, message))
        elif number in self._node_ports:
            raise CannotAssign(problems.invalid(path, number, "provided port is already allocated"))
        self._node_ports.add(number)
        return number

    def _release(self, held: Collection[Any]) -> None:
        for one in held:
            if isinstance(one, int):
                self._node_ports.discard(one)
            else:
                self.block.services.release(one)


def _held(service: Object | None) -> set[Any]:
    """Return the address and the node ports of a Service."""
    spec = (service or {}).get("spec") or {}
    address = spec.get("clusterIP")
    ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    return ports | ({address} if address and address != "None" else set())
