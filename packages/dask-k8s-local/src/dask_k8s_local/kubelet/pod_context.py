"""What the containers of a pod share, and the command that each container executes. Starts nothing."""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from dask_k8s_local.events import Recorder
from dask_k8s_local.kubelet.environment import command_line, environment
from dask_k8s_local.kubelet.runtime.client import CannotStart, Command, Runtime
from dask_k8s_local.kubelet.runtime.mounts import Mount
from dask_k8s_local.kubelet.service_account import ServiceAccountAccess
from dask_k8s_local.kubelet.sources import Sources
from dask_k8s_local.kubelet.volumes import Volumes, relocate
from dask_k8s_local.schema.quantity import parse
from dask_k8s_local.store import Object

_NO_COMMAND = "no command specified: images are ignored here, so the container needs `command` or `args`"
_GRACE_SECONDS = 30.0


@dataclass(kw_only=True)
class PodContext:
    """The pod of a container, with everything that containers need."""

    pod: Object
    directory: Path
    address: str
    base: Mapping[str, str]
    """Environment variables of all processes of the pod."""
    python_path: str
    """The first entry of PYTHONPATH."""
    runtime: Runtime
    sources: Sources
    volumes: Volumes
    recorder: Recorder
    http: aiohttp.ClientSession
    services: Callable[[], Iterable[Object]]
    first_backoff: float
    access: ServiceAccountAccess | None = None
    """Access to the API, if the pod has a service account for it."""
    publish: Callable[[], None] = field(default=lambda: None)
    """Writes the status of the pod; set by PodRunner."""
    referenced_changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def grace(self) -> float:
        """Return the termination grace period in seconds."""
        seconds = self.pod["spec"].get("terminationGracePeriodSeconds")
        return _GRACE_SECONDS if seconds is None else float(seconds)

    @property
    def full_name(self) -> str:
        """Return the pod's name in messages of the kubelet."""
        metadata = self.pod["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"

    def executable(self, spec: Object) -> "Executable":
        """Return what a container executes; raises MissingReference, CannotMount and CannotStart."""
        variables = {**self.base, **environment(spec, self.sources, self.services())}
        paths = (self.python_path, variables.get("PYTHONPATH"))
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        mounts = self.volumes.mounts(spec, variables)
        if self.access:
            variables |= self.access.variables()
            mounts.append(self.access.mount(self.pod, self.directory / "access"))
        argv = command_line(spec, variables)
        if not argv:
            raise CannotStart(_NO_COMMAND)
        directory = self.directory / "containers" / spec["name"]
        root = directory / "root"
        root.mkdir(parents=True, exist_ok=True)
        limits = (spec.get("resources") or {}).get("limits") or {}
        command = Command(
            argv=argv,
            env=variables,
            cwd=Path(spec.get("workingDir") or directory),
            container=uuid.uuid4().hex,
            mounts=mounts,
            root=root,
            memory=int(parse(str(limit))) if (limit := limits.get("memory")) else None,
        )
        if self.runtime.has_mounts:
            return Executable(command)
        env = {name: relocate(value, mounts) for name, value in variables.items()}
        bare = Executable(replace(command, env=env, mounts=()), unmounted=mounts)
        return replace(bare, command=bare.with_args(argv, main=True))


@dataclass(frozen=True)
class Executable:
    """The command of a container; `unmounted` are its volumes on machines where nothing can be mounted."""

    command: Command
    unmounted: Sequence[Mount] = ()

    def with_args(self, argv: Sequence[str], *, main: bool = False, tty: bool = False) -> Command:
        """Return another command for the same container."""
        args = [relocate(arg, self.unmounted) for arg in argv]
        return replace(self.command, argv=args, main=main, tty=tty)
