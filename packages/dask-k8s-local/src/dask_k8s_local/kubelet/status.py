"""Computes the status of a pod from the records of its containers. Pure, apart from the records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask_k8s_local.conditions import condition, is_true, with_condition
from dask_k8s_local.store import Object

_TERMINAL = {"Succeeded", "Failed"}


@dataclass(frozen=True, kw_only=True)
class Termination:
    """How a run of a container has ended."""

    code: int
    reason: str
    message: str
    started: str
    finished: str
    container_id: str

    def to_dict(self) -> Object:
        """Return the value of `state.terminated`."""
        values = {
            "exitCode": self.code,
            "reason": self.reason,
            "message": self.message,
            "startedAt": self.started,
            "finishedAt": self.finished,
            "containerID": self.container_id,
        }
        return {key: value for key, value in values.items() if value or key == "exitCode"}


@dataclass(frozen=True)
class ContainerRun:
    """One run of a container, from its start to its termination."""

    number: int
    container_id: str


@dataclass(kw_only=True)
class Record:
    """The state of one container: waiting, running or terminated."""

    name: str
    image: str
    restart_policy: str
    """The policy of this container: `Always` for a sidecar, never `Always` for other init containers."""
    initial: bool = False
    waiting: tuple[str, str] | None = ("ContainerCreating", "")
    running: str = ""
    terminated: Termination | None = None
    last: Termination | None = None
    restarts: int = 0
    started: bool = False
    probed_ready: bool = False
    container_id: str = ""

    @property
    def sidecar(self) -> bool:
        """Return whether the container is a sidecar: an init container that keeps running."""
        return self.initial and self.restart_policy == "Always"

    @property
    def ready(self) -> bool:
        """Return whether the container is ready; an init container is ready after success."""
        if self.initial and not self.sidecar:
            return self.terminated is not None and self.terminated.code == 0
        return bool(self.running) and self.started and self.probed_ready

    @property
    def ended(self) -> Termination | None:
        """Return the last termination, unless the container is running or has never run."""
        return self.terminated or (self.last if self.waiting else None)

    def set_waiting(self, reason: str, message: str) -> None:
        """Record that the container is waiting."""
        self.waiting, self.last = (reason, message), self.terminated or self.last
        self.terminated = None

    def set_running(self, run: ContainerRun, since: str, *, is_ready: bool) -> None:
        """Record that the container is running."""
        self.restarts, self.container_id = run.number, run.container_id
        self.waiting, self.last = None, self.terminated or self.last
        self.terminated, self.running = None, since
        self.started, self.probed_ready = False, is_ready

    def set_terminated(self, run: ContainerRun, how: Termination) -> None:
        """Record that the container has terminated."""
        self.restarts, self.container_id = run.number, run.container_id
        self.waiting, self.last = None, self.terminated or self.last
        self.terminated, self.running = how, ""
        self.started = self.probed_ready = False

    def restarts_after(self, code: int) -> bool:
        """Return whether the container is restarted after this exit code."""
        return self.restart_policy == "Always" or (self.restart_policy == "OnFailure" and code != 0)

    def to_dict(self) -> Object:
        """Return the entry for `containerStatuses`."""
        state: Object = {}
        if self.terminated:
            state = {"terminated": self.terminated.to_dict()}
        elif self.running:
            state = {"running": {"startedAt": self.running}}
        elif self.waiting:
            reason, message = self.waiting
            state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        return {
            "name": self.name,
            "state": state,
            "lastState": {"terminated": self.last.to_dict()} if self.last else {},
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image,
            "imageID": self.image if self.container_id else "",
            "started": self.started and bool(self.running),
        } | ({"containerID": self.container_id} if self.container_id else {})


@dataclass(frozen=True, kw_only=True)
class PodFacts:
    """What the kubelet knows of a pod in addition to its containers."""

    addresses: Mapping[str, str]
    start_time: str
    ending: bool = False
    """Whether no container is started any more."""
    reason: str = ""
    """Why the pod has failed, if no container is the reason."""
    message: str = ""


def pod_status(pod: Object, records: Sequence[Record], facts: PodFacts) -> Object:
    """Return the new status; fields of other writers are kept."""
    old: Object = pod.get("status") or {}
    phase = "Failed" if facts.reason else pod_phase(records, old, ending=facts.ending)
    if old.get("phase") in _TERMINAL:
        phase = old["phase"]
    initial = [record for record in records if record.initial]
    running = [record for record in records if not record.initial]
    status = {
        **old,
        "phase": phase,
        "conditions": _conditions(pod, records, phase),
        "startTime": facts.start_time,
        "containerStatuses": [record.to_dict() for record in running],
    }
    status.setdefault("qosClass", "BestEffort")
    if initial:
        status["initContainerStatuses"] = [record.to_dict() for record in initial]
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    if facts.addresses:
        host, address = facts.addresses["hostIP"], facts.addresses["podIP"]
        status |= {"hostIP": host, "hostIPs": [{"ip": host}], "podIP": address, "podIPs": [{"ip": address}]}
    if facts.reason:
        status |= {"reason": facts.reason, "message": facts.message}
    return status


def pod_phase(records: Sequence[Record], old: Object, *, ending: bool) -> str:
    """Return the phase, by the rules of the kubelet's `getPhase`."""
    if any(_cannot_initialize(record) for record in records):
        return "Failed"
    initialized = is_true(old.get("conditions"), "Initialized")
    for record in records:
        if record.initial and not record.sidecar and not record.ready:
            return "Pending" if not (ending and record.ended) else "Failed"
        if record.sidecar and not record.started and not initialized and not ending:
            return "Pending"
    running = [record for record in records if not record.initial]
    ends = [record.ended for record in running]
    if any(record.waiting and not record.last for record in running):
        return "Pending" if not ending else "Failed"
    if any(record.running for record in records):
        return "Running"
    pairs = [(record, end) for record, end in zip(running, ends, strict=True) if end]
    if not ending and any(record.restarts_after(end.code) for record, end in pairs):
        return "Running"
    return "Succeeded" if all(end.code == 0 for _, end in pairs) else "Failed"


def _cannot_initialize(record: Record) -> bool:
    if not record.initial or record.sidecar or record.ended is None:
        return False
    return record.ended.code != 0 and not record.restarts_after(record.ended.code)


def _conditions(pod: Object, records: Sequence[Record], phase: str) -> list[Object]:
    generation = pod["metadata"].get("generation")
    conditions: list[Object] = [*((pod.get("status") or {}).get("conditions") or ())]
    containers_ready = _containers_ready(records, phase)
    gates = pod["spec"].get("readinessGates") or ()
    met = {gate["conditionType"]: is_true(conditions, gate["conditionType"]) for gate in gates}
    ready = containers_ready
    if not ready and not all(met.values()):
        unmet = ", ".join(f'"{kind}"' for kind, is_met in met.items() if not is_met)
        ready = ("ReadinessGatesNotReady", f'the status of pod readiness gate {unmet} is not "True"')
    obstacles = {
        "PodReadyToStartContainers": ("", "") if phase in _TERMINAL else None,
        "Initialized": _initialized(records, phase),
        "Ready": ready,
        "ContainersReady": containers_ready,
        "PodScheduled": None,
    }
    ours: list[Object] = []
    for kind, obstacle in obstacles.items():
        is_met = obstacle is None or (kind == "Initialized" and obstacle[0] == "PodCompleted")
        reason, message = obstacle or ("", "")
        new = condition(kind, met=is_met, reason=reason, message=message, generation=generation)
        ours += [one for one in with_condition(conditions, new) if one["type"] == kind]
    return ours + [one for one in conditions if one["type"] not in obstacles]


def _initialized(records: Sequence[Record], phase: str) -> tuple[str, str] | None:
    if phase == "Succeeded":
        return ("PodCompleted", "")
    if any(not record.initial and (record.running or record.ended) for record in records):
        return None
    incomplete = [
        record.name
        for record in records
        if record.initial and not (record.started if record.sidecar else record.ready)
    ]
    if not incomplete:
        return None
    return ("ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")


def _containers_ready(records: Sequence[Record], phase: str) -> tuple[str, str] | None:
    if phase in _TERMINAL:
        return ("PodCompleted" if phase == "Succeeded" else "PodFailed", "")
    unready = [
        record.name for record in records if (record.sidecar or not record.initial) and not record.ready
    ]
    if not unready:
        return None
    return ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
