"""Volumes, as containers see them at their mount paths."""

import asyncio
import base64

import pytest

from dask_k8s_local.kubelet.volumes import relocate


async def output(here, script, volumes, mounts, **more):
    here.run(
        "sh", "-c", script, volumes=volumes, container={"volumeMounts": mounts}, restartPolicy="Never", **more
    )
    await here.phase("Succeeded")
    return await here.log()


async def test_config_map(here):
    here.config_map("config", one="1", two="2")
    volumes = [{"name": "v", "configMap": {"name": "config"}}]
    mounts = [{"name": "v", "mountPath": "/etc/no-such/config"}]
    script = "cat /etc/no-such/config/one /etc/no-such/config/two; ls /etc/no-such/config"
    assert await output(here, script, volumes, mounts) == "12one\ntwo\n"


async def test_items_and_modes(here):
    here.secret("keys", key=base64.b64encode(b"geheim").decode())
    items = [{"key": "key", "path": "deep/file", "mode": 0o400}]
    volumes = [{"name": "v", "secret": {"secretName": "keys", "items": items}}]
    mounts = [{"name": "v", "mountPath": "/keys"}]
    script = "cat /keys/deep/file; stat -Lc %a /keys/deep/file"
    assert await output(here, script, volumes, mounts) == "geheim400\n"


async def test_downward_api(here):
    items = [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}},
    ]
    volumes = [{"name": "v", "downwardAPI": {"items": items}}]
    mounts = [{"name": "v", "mountPath": "/pod"}]
    script = "cat /pod/name /pod/labels /pod/cpu"
    assert await output(here, script, volumes, mounts, labels={"a": "b"}) == 'poda="b"512'


async def test_projected(here):
    here.config_map("config", one="1")
    sources = [
        {"configMap": {"name": "config"}},
        {"configMap": {"name": "no", "optional": True}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    volumes = [{"name": "v", "projected": {"sources": sources}}]
    mounts = [{"name": "v", "mountPath": "/all"}]
    assert await output(here, "cat /all/one /all/name", volumes, mounts) == "1pod"


async def test_empty_dir_is_shared(here):
    volumes = [{"name": "v", "emptyDir": {}}]
    mounts = [{"name": "v", "mountPath": "/shared"}]
    first = {"name": "first", "image": "x", "command": ["sh", "-c", "echo hello > /shared/file"]}
    first["volumeMounts"] = mounts
    assert await output(here, "cat /shared/file", volumes, mounts, initContainers=[first]) == "hello\n"


async def test_sub_path(here):
    here.config_map("config", one="1")
    volumes = [{"name": "v", "configMap": {"name": "config"}}, {"name": "e", "emptyDir": {}}]
    mounts = [
        {"name": "v", "mountPath": "/etc/single", "subPath": "one"},
        {"name": "e", "mountPath": "/mine", "subPathExpr": "$(NAME)"},
        {"name": "e", "mountPath": "/whole"},
    ]
    here.run(
        "sh",
        "-c",
        "cat /etc/single; ls /etc/passwd; touch /mine/x; ls /whole/abc",
        volumes=volumes,
        container={"volumeMounts": mounts, "env": [{"name": "NAME", "value": "abc"}]},
        restartPolicy="Never",
    )
    await here.phase("Succeeded")
    assert await here.log() == "1/etc/passwd\nx\n"


async def test_host_path(here, machine, tmp_path):
    (tmp_path / "file").write_text("here")
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    mounts = [{"name": "v", "mountPath": "/host", "readOnly": True}]
    said = await output(here, "cat /host/file; touch /host/x 2>/dev/null || echo no", volumes, mounts)
    assert said == ("hereno\n" if machine.runtime.has_mounts else "here")


async def test_waits_for_a_config_map(here, until):
    here.run("sleep", "100", volumes=[{"name": "v", "configMap": {"name": "late"}}])
    await until(lambda: here.events("FailedMount"))
    assert here.events("FailedMount") == [
        'MountVolume.SetUp failed for volume "v" : configmap "late" not found'
    ]
    status = await here.container(lambda status: True)
    assert status["state"] == {"waiting": {"reason": "ContainerCreating"}}
    here.config_map("late")
    await here.phase("Running", seconds=10)


async def test_waits_for_a_variable(here):
    reference = {"configMapKeyRef": {"name": "late", "key": "x"}}
    here.run("sleep", "100", container={"env": [{"name": "X", "valueFrom": reference}]})
    status = await here.container(
        lambda one: one["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    )
    assert status["state"]["waiting"]["message"] == 'configmap "late" not found'
    here.config_map("late", x="1")
    await here.phase("Running", seconds=10)


async def test_changes_reach_running_containers(here):
    here.config_map("config", one="old", gone="x")
    volumes = [{"name": "v", "configMap": {"name": "config"}}]
    mounts = [{"name": "v", "mountPath": "/config"}]
    script = "until grep -q new /config/one && ! ls /config/gone; do sleep 0.02; done 2>/dev/null; ls /config"
    asked = asyncio.create_task(output(here, script, volumes, mounts))
    await here.phase("Running")
    here.config_map("config", one="new", two="x")
    assert await asked == "one\ntwo\n"


async def test_impossible_volume(here, until):
    here.run("true", volumes=[{"name": "v", "nfs": {"server": "x", "path": "/"}}])
    await until(lambda: here.events("FailedMount"))
    assert "does not support volumes of type nfs" in here.events("FailedMount")[0]


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("/etc/app", "/V", id="alone"),
        pytest.param("cat /etc/app/file:/etc/app", "cat /V/file:/V", id="inside"),
        pytest.param("/etc/apple /my/etc/app /etc/app.d", "/etc/apple /my/etc/app /etc/app.d", id="others"),
        pytest.param("/etc/app/sub/x", "/S/x", id="the-longest"),
    ],
)
def test_relocate(text, expected):
    assert relocate(text, [("/V", "/etc/app", False), ("/S", "/etc/app/sub", False)]) == expected


async def test_where_nothing_can_be_mounted(here, machine):
    machine.runtime.has_mounts = False
    here.config_map("config", one="1")
    volumes = [{"name": "v", "configMap": {"name": "config"}}]
    mounts = [{"name": "v", "mountPath": "/config"}]
    assert await output(here, "cat /config/one", volumes, mounts) == "1"
