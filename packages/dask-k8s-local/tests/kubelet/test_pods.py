"""Pods from binding to removal."""

import signal
import sys

import pytest

from dask_k8s_local.kubelet.protocol import LogOptions
from dask_k8s_local.resources import PODS


def conditions(pod):
    return {one["type"]: one["status"] for one in pod["status"]["conditions"]}


def is_terminated(status):
    return "terminated" in status["state"]


def is_waiting(status):
    return "waiting" in status["state"]


async def said(here, text, name="pod"):
    """Wait until the pod has logged a line."""
    pod = here.store.get(PODS, "default", name)
    async for piece in here.agent.logs(pod, "main", LogOptions(follow=True)):
        if text in piece.decode():
            return


async def test_runs_to_success(here):
    here.run("sh", "-c", "echo hello; echo problem >&2", restartPolicy="Never")
    pod = await here.phase("Succeeded")
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (0, "Completed")
    assert pod["spec"]["nodeName"] == "dask-k8s-local"
    assert conditions(pod)["Initialized"] == "True"
    assert conditions(pod)["Ready"] == "False"
    assert sorted((await here.log()).splitlines()) == ["hello", "problem"]
    assert here.events() == [
        "Successfully assigned default/pod to dask-k8s-local",
        'Container image "python" already present on machine',
        "Created container: main",
        "Started container main",
    ]
    here.delete()
    await here.gone()


async def test_runs_to_failure(here):
    here.run("sh", "-c", "exit 3", restartPolicy="Never")
    pod = await here.phase("Failed")
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (3, "Error")


async def test_running_and_ready(here):
    here.run("sleep", "100")
    pod = await here.phase("Running")
    assert conditions(pod) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    status = pod["status"]
    assert status["podIP"].startswith("127.")
    assert status["hostIP"] == here.block.node
    assert status["startTime"]
    assert status["observedGeneration"] == 1
    assert status["containerStatuses"][0]["state"]["running"]["startedAt"]
    here.delete()
    status = await here.container(is_terminated)
    assert status["state"]["terminated"]["exitCode"] == 128 + signal.SIGTERM
    await here.gone()
    assert "Stopping container main" in here.events("Killing")


async def test_crash_loop(here):
    here.run("sh", "-c", "echo once more; exit 1")
    status = await here.container(lambda status: is_waiting(status) and status["restartCount"] == 1)
    pod = here.store.get(PODS, "default", "pod")
    uid = pod["metadata"]["uid"]
    assert pod["status"]["phase"] == "Running"
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 0s restarting failed container=main pod=pod_default({uid})",
    }
    assert await here.log() == "once more\n"
    assert await here.log(previous=True) == "once more\n"
    await here.container(lambda status: status["restartCount"] == 2)
    assert here.events("BackOff") == [f"Back-off restarting failed container main in pod pod_default({uid})"]
    here.delete()
    await here.gone()


async def test_nothing_to_execute(here):
    here.run("dask-scheduler")
    status = await here.container(lambda status: is_waiting(status) and status["lastState"])
    last = status["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (128, "StartError")
    assert last["message"].endswith('exec: "dask-scheduler": executable file not found in $PATH')


async def test_no_command(here):
    here.run()
    status = await here.container(
        lambda status: status["state"]["waiting"]["reason"] == "CreateContainerError"
    )
    assert "no command specified" in status["state"]["waiting"]["message"]
    here.delete()
    await here.gone()


async def test_on_failure(here):
    here.run("sh", "-c", "test -e ~/again || { touch ~/again; exit 1; }", restartPolicy="OnFailure")
    pod = await here.phase("Succeeded")
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 1


async def test_grace_period_ends_with_a_kill(here):
    script = "trap 'echo got it' TERM; echo ready; while :; do sleep 0.05; done"
    here.run("sh", "-c", script, terminationGracePeriodSeconds=1)
    await here.phase("Running")
    await said(here, "ready")
    here.delete()
    await said(here, "got it")
    status = await here.container(is_terminated)
    assert status["state"]["terminated"]["exitCode"] == 137
    await here.gone()


async def test_a_shorter_grace_period_counts(here):
    here.run("sh", "-c", "trap 'echo got it' TERM; echo ready; while :; do sleep 0.05; done")
    await here.phase("Running")
    await said(here, "ready")
    here.delete()
    await said(here, "got it")
    here.delete(grace=0.1)
    await here.gone(seconds=10)


async def test_removed_behind_its_back(here, alive, until):
    here.run("sh", "-c", "echo $$$$; exec sleep 100")
    await here.phase("Running")
    await said(here, "\n")
    pid = int(await here.log())
    here.store.delete(PODS, "default", "pod")
    await until(lambda: not alive(pid))


async def test_finalizers_keep_the_object_and_not_the_processes(here):
    pod = here.run("sleep", "100")
    await here.phase("Running")
    pod = here.store.get(PODS, "default", "pod")
    here.store.update(PODS, {**pod, "metadata": {**pod["metadata"], "finalizers": ["example.com/wait"]}})
    here.delete()
    await here.container(is_terminated)
    await here.until(lambda pod: pod["metadata"]["deletionGracePeriodSeconds"] == 0)
    pod = here.store.get(PODS, "default", "pod")
    here.store.update(PODS, {**pod, "metadata": {**pod["metadata"], "finalizers": []}})
    assert here.store.get(PODS, "default", "pod") is None


async def test_deleted_before_it_started(here):
    here.run("sleep", "100", nodeSelector={"no": "where"})
    pod = await here.until(lambda pod: pod["status"].get("conditions"))
    assert conditions(pod) == {"PodScheduled": "False"}


async def test_active_deadline(here):
    here.run("sleep", "100", activeDeadlineSeconds=0.2, restartPolicy="OnFailure")
    await here.container(is_terminated)
    pod = await here.phase("Failed")
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"


async def test_initial_containers(here):
    first = {"name": "first", "image": "x", "command": ["sh", "-c", "echo 1 > ~/order"]}
    second = {"name": "second", "image": "x", "command": ["sh", "-c", "echo 2 >> ~/order"]}
    here.run("sh", "-c", "cat ~/order", restartPolicy="Never", initContainers=[first, second])
    pod = await here.until(lambda pod: pod["status"].get("containerStatuses"))
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(pod)["Initialized"] == "False"
    pod = await here.phase("Succeeded")
    assert await here.log() == "1\n2\n"
    assert all(one["ready"] for one in pod["status"]["initContainerStatuses"])


async def test_an_initial_container_that_fails(here):
    first = {"name": "first", "image": "x", "command": ["false"]}
    here.run("true", restartPolicy="Never", initContainers=[first])
    pod = await here.phase("Failed")
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_sidecar(here):
    sidecar = {
        "name": "side",
        "image": "x",
        "restartPolicy": "Always",
        "command": ["sh", "-c", "echo up > ~/side; exec sleep 100"],
        "startupProbe": {"exec": {"command": ["sh", "-c", "test -e ~/side"]}, "periodSeconds": 0.05},
    }
    here.run("sh", "-c", "cat ~/side", restartPolicy="Never", initContainers=[sidecar])
    pod = await here.phase("Succeeded")
    assert await here.log() == "up\n"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


async def test_two_containers(here):
    other = {"name": "other", "image": "x", "command": ["sh", "-c", "exit 1"]}
    here.run("true", restartPolicy="Never", others=[other])
    pod = await here.phase("Failed")
    codes = [one["state"]["terminated"]["exitCode"] for one in pod["status"]["containerStatuses"]]
    assert codes == [0, 1]


async def test_image_of_an_invalid_registry(here):
    here.run("sleep", "100", container={"image": "registry.invalid/dask:1"})
    status = await here.container(lambda one: one["state"]["waiting"]["reason"] == "ErrImagePull")
    assert "no such host" in status["state"]["waiting"]["message"]
    status = await here.container(lambda one: one["state"]["waiting"]["reason"] == "ImagePullBackOff")
    message = status["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "registry.invalid/dask:1": ErrImagePull:')
    assert here.store.get(PODS, "default", "pod")["status"]["phase"] == "Pending"
    here.delete()
    await here.gone(seconds=10)


async def test_invalid_image_name(here):
    here.run("sleep", "100", container={"image": "Not Valid"})
    await here.container(lambda one: one["state"]["waiting"]["reason"] == "InvalidImageName")


async def test_termination_message_from_the_log(here):
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    here.run("sh", "-c", "echo why; exit 1", restartPolicy="Never", container=policy)
    pod = await here.phase("Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "why\n"


async def test_memory_limit(here, machine):
    if not machine.runtime.has_cgroups or not machine.runtime.has_mounts:
        pytest.skip("control groups are not permitted here")
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    files = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
    script = f"cat {files} 2>/dev/null; exec python -c 'x = bytes(100) * 10_000_000'"
    here.run("sh", "-c", script, restartPolicy="Never", container=limits)
    pod = await here.phase("Failed")
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (137, "OOMKilled")
    assert await here.log() == f"{64 * 1024**2}\n"


async def test_pre_stop_comes_before_the_signal(here):
    script = "trap 'cat ~/stop; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > ~/stop"]}}}
    here.run("sh", "-c", script, container={"lifecycle": hook})
    await here.phase("Running")
    await said(here, "ready")
    pod = here.store.get(PODS, "default", "pod")
    log = here.agent.logs(pod, "main", LogOptions(follow=True))
    here.delete()
    assert b"".join([piece async for piece in log]) == b"ready\nhook\n"


async def test_python_environment(here):
    here.run(
        "python", "-c", "import sys, socket; print(sys.prefix, socket.gethostname())", restartPolicy="Never"
    )
    await here.phase("Succeeded")
    assert await here.log() == f"{sys.prefix} pod\n"
