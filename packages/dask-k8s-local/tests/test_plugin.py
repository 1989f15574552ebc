"""The pytest fixtures, as plugin authors use them."""

import json
import subprocess

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.core


def test_namespace(kubernetes, namespace, kubectl):
    assert kubernetes.kubeconfig.exists()
    found = json.loads(kubectl("get", "namespace", namespace, "-o", "json").stdout)
    assert found["status"]["phase"] == "Active"
    assert kubectl("get", "serviceaccount", "default", "-n", namespace).returncode == 0


def test_kubectl(kubectl, namespace):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        kubectl("get", "pod", "nobody", "-n", namespace)
    assert 'pods "nobody" not found' in caught.value.__notes__[0]
    done = kubectl("get", "pod", "nobody", "-n", namespace, check=False)
    assert done.returncode == 1
    config_map = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}
    assert "created" in kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(config_map)).stdout


USE = """
def test_it(kubernetes, namespace, kubectl):
    assert not kubernetes.is_local
    open("seen", "w").write(namespace)
"""


def test_another_cluster(pytester, kubernetes, kubectl):
    pytester.makepyfile(USE)
    result = pytester.runpytest_subprocess("--kubeconfig", kubernetes.kubeconfig)
    result.assert_outcomes(passed=1)
    name = (pytester.path / "seen").read_text()
    phase = kubectl("get", "namespace", name, "-o", "jsonpath={.status.phase}", check=False)
    assert phase.stdout in {"Terminating", ""}


def test_no_such_kubeconfig(pytester):
    pytester.makepyfile(USE)
    result = pytester.runpytest_subprocess("--kubeconfig", "nothing")
    result.stdout.fnmatch_lines(["*--kubeconfig: nothing does not exist*"])
