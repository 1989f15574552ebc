"""Which ports a scheduler listens on, and where its dashboard is. The controller and the client both use it.

By the scheduler's arguments, its probes, the target port of its Service and the ports that it declares, and
not by one fixed name or number. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dask_k8s_crds import labels, names
from dask_k8s_crds.containers import command_line, dask_container, options

_MOST_PORTS = 32
"""Declared ports that are kept of a pod."""
_LONGEST_PREFIX = 256
_PREFIX = re.compile(r"[-\w./~%+]+")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_HEALTH = "/health"
"""The path of Dask's own health check, after the prefix of the dashboard."""
_LARGEST = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Role:
    """What a port is for.

    Attributes:
        names: The names of such ports, in Services and in pods.
        default: The port on which Dask listens by default.
    """

    names: tuple[str, ...]
    default: int


COMM = Role(("tcp-comm", "comm"), names.SCHEDULER_PORT)
"""For workers and clients."""
DASHBOARD = Role(("http-dashboard", "dashboard"), names.DASHBOARD_PORT)
"""For browsers, probes and the agent."""


@dataclass(frozen=True, slots=True)
class SchedulerPorts:
    """What the spec of a scheduler's pod says about its ports and its dashboard."""

    comm_argument: int | None
    dashboard_argument: int | None
    probed: int | None
    """The port of a probe of Dask's health check, which the dashboard answers."""
    declared: tuple[tuple[str, int], ...]
    """The ports of the container that runs Dask, by name."""
    foreign: tuple[tuple[str, int], ...]
    """Those of the other containers."""
    prefix: str
    """The path of the dashboard: empty, or for example ``/team/dask``."""
    has_dashboard: bool

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Read the spec of a scheduler's pod, or its template."""
        main = dask_container(spec, labels.SCHEDULER)
        flags = options(main)
        declared = tuple(_ports(main))[:_MOST_PORTS]
        others = (each for each in spec["containers"] if each is not main)
        probes = [(main.get(probe) or {}).get("httpGet") or {} for probe in _PROBES]
        check = next((each for each in probes if str(each.get("path")).endswith(_HEALTH)), {})
        path = str(check.get("path", "")).removesuffix(_HEALTH)
        return cls(
            comm_argument=_port(flags.get("--port", "")),
            dashboard_argument=_port(flags.get("--dashboard-address", "").rpartition(":")[2]),
            probed=_resolve(check.get("port"), declared),
            declared=declared,
            foreign=tuple(port for each in others for port in _ports(each))[:_MOST_PORTS],
            prefix=_prefix(flags.get("--dashboard-prefix", path)),
            has_dashboard="--no-dashboard" not in command_line(main),
        )

    def container_port(self, role: Role, service: Mapping[str, Any] | None) -> int:
        """Return the port on which the scheduler listens; ``service`` is the spec of its Service."""
        argument = self.dashboard_argument if role is DASHBOARD else self.comm_argument
        own = dict(self.declared)
        found = (
            argument,
            self.probed if role is DASHBOARD else None,
            *(self._own_target(entry) for entry in _named(role, service)),
            *(own.get(name) for name in role.names),
        )
        return next((port for port in found if port), role.default)

    def service_port(self, role: Role, service: Mapping[str, Any] | None, key: str = "port") -> int | None:
        """Return the port of the Service, or with ``key`` its ``nodePort``; None if it has none."""
        listening = self.container_port(role, service)
        by_target = (entry for entry in _entries(service) if self._own_target(entry) == listening)
        entries = (*_named(role, service), *by_target)
        return next((int(entry[key]) for entry in entries if entry.get(key)), None)

    def _own_target(self, entry: Mapping[str, Any]) -> int | None:
        """Return the port of the scheduler's container to which a port of the Service leads.

        None if it leads to another container, for example to a proxy for logins.
        """
        target = entry.get("targetPort") or entry.get("port")
        others = {value for pair in self.foreign for value in pair} - {""}
        if target in others and target not in {value for pair in self.declared for value in pair}:
            return None
        return _resolve(target, self.declared)


def _entries(service: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return list((service or {}).get("ports") or ())


def _named(role: Role, service: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the ports of a Service with a name of this role, the usual name first."""
    return [entry for name in role.names for entry in _entries(service) if entry.get("name") == name]


def _ports(container: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for port in container.get("ports") or ():
        if number := _port(str(port.get("containerPort", ""))):
            yield str(port.get("name") or "")[:15], number


def _resolve(target: Any, declared: tuple[tuple[str, int], ...]) -> int | None:
    """Return the number of a port that is a number or the name of a declared port."""
    number = _port(str(target))
    return number if number is not None else dict(declared).get(str(target))


def _port(text: str) -> int | None:
    """Return the number of a port; None for any other text, and for 0, which is any port."""
    number = int(text) if text.isdecimal() and len(text) <= len(str(_LARGEST)) else 0
    return number if 0 < number <= _LARGEST else None


def _prefix(text: str) -> str:
    """Return a path with a leading slash, or nothing."""
    path = text.strip("/")
    return f"/{path}" if len(path) <= _LONGEST_PREFIX and _PREFIX.fullmatch(path) else ""
