"""Assigns cluster IPs and node ports to Services. Opens no ports."""

from dask_k8s_local.network.addresses import AddressesExhausted, Block, free_port
from dask_k8s_local.store import Object

NODE_PORTS = range(30000, 32768)


class CannotAssign(Exception):
    """The requested address or port cannot be assigned."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"{field}: Invalid value: {value!r}: {reason}")
        self.field = field
        self.value = value
        self.reason = reason


class ServiceAddresses:
    """The cluster IPs and node ports that are in use."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._node_ports: set[int] = set()

    def assign(self, service: Object, previous: Object | None = None) -> Object:
        """Return the Service with `clusterIP`, `clusterIPs` and `nodePort`s; existing ones are kept."""
        spec, old = dict(service["spec"]), (previous or {}).get("spec", {})
        kind = spec.get("type", "ClusterIP")
        if kind == "ExternalName":
            return service
        address = spec.get("clusterIP") or old.get("clusterIP")
        if not address or address not in {"None", old.get("clusterIP")}:
            address = self._claim(address)
        spec |= {"clusterIP": address, "clusterIPs": [address]}
        if kind in {"NodePort", "LoadBalancer"}:
            had = {port["port"]: port.get("nodePort") for port in old.get("ports") or ()}
            spec["ports"] = [self._with_node_port(port, had) for port in spec.get("ports") or ()]
        return {**service, "spec": spec}

    def release(self, service: Object) -> None:
        """Release the addresses and ports of a deleted Service."""
        address = service["spec"].get("clusterIP")
        if address and address != "None":
            self.block.services.release(address)
        for port in service["spec"].get("ports") or ():
            self._node_ports.discard(port.get("nodePort"))

    def _claim(self, address: str | None) -> str:
        if not address:
            return self.block.services.take()
        try:
            inside = self.block.services.holds(address)
        except ValueError:
            raise CannotAssign("spec.clusterIPs[0]", address, "must be a valid IP address") from None
        if not inside:
            message = f"the provided IP ({address}) is not in the valid range. "
            message += f"The range of valid IPs is {self.block.service_cidr}"
            raise CannotAssign("spec.clusterIPs", [address], f"failed to allocate IP {address}: {message}")
        if not self.block.services.claim(address):
            message = f"failed to allocate IP {address}: provided IP is already allocated"
            raise CannotAssign("spec.clusterIPs", [address], message)
        return address

    def _with_node_port(self, port: Object, had: dict[int, int | None]) -> Object:
        number = port.get("nodePort") or had.get(port["port"])
        if not number:
            try:
                number = free_port("127.0.0.1", [one for one in NODE_PORTS if one not in self._node_ports])
            except AddressesExhausted:
                raise CannotAssign("spec.ports", port["port"], "no node port is free") from None
        elif number not in NODE_PORTS:
            message = f"provided port is not in the valid range. The range of valid ports is {_RANGE}"
            raise CannotAssign("spec.ports[0].nodePort", number, message)
        elif number in self._node_ports and number != had.get(port["port"]):
            raise CannotAssign("spec.ports[0].nodePort", number, "provided port is already allocated")
        self._node_ports.add(number)
        return {**port, "nodePort": number}


_RANGE = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
