"""The command line: bad settings are refused with a sentence, good ones reach the API server."""

import asyncio
import os
import sys

import pytest
import yaml
from click.testing import CliRunner
from kubernetes.aio.config import kube_config

from dask_k8s_controller.app.cli import main


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Run a command that ends by itself; there is no Kubernetes."""
    # The package reads KUBECONFIG when it is imported.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    return lambda *args, **more: CliRunner().invoke(main, args, **more)


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param(
            "log_fromat: json",
            "unknown log_fromat; the options are all_namespaces, api_concurrency",
            id="unknown",
        ),
        pytest.param("log-format: json", "unknown log-format; the options are", id="written as the flag"),
        pytest.param("- json", "is not a mapping of options", id="a list"),
        pytest.param("json", "is not a mapping of options", id="a string"),
        pytest.param("a: [", "is not valid YAML", id="no YAML"),
        pytest.param("log_format: xml", "'xml' is not one of", id="a bad value"),
        pytest.param("namespaces: team-a", "must be an iterable", id="a string instead of a list"),
        pytest.param("api_concurrency: 0", "0 is not in the range", id="nothing at a time"),
    ],
)
def test_a_bad_file_is_refused(invoke, tmp_path, text, message):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    result = invoke("run", "--config", str(path))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "args, message",
    [
        pytest.param(["--config", "none.yaml"], "'none.yaml' does not exist", id="no file"),
        pytest.param(["-n", "a", "-A"], "--namespace and --all-namespaces exclude each other", id="both"),
        pytest.param(["--api-rate", "0"], "0.0 is not in the range", id="no requests at all"),
        pytest.param(["--api-concurrency", "-1"], "-1 is not in the range", id="less than none"),
        pytest.param(["--watch-seconds", "0"], "0 is not in the range", id="no time to watch"),
        pytest.param(["--health-address", "8080"], "'8080' is not HOST:PORT", id="a port alone"),
        pytest.param(
            ["--health-address", "localhost:http"], "'localhost:http' is not HOST:PORT", id="no port"
        ),
        pytest.param(["--health-address", "localhost:70000"], "is not HOST:PORT", id="no such port"),
        pytest.param(["--log-format", "xml"], "'xml' is not one of", id="a format that is none"),
    ],
)
def test_bad_flags_are_refused(invoke, args, message):
    result = invoke("run", *args)
    assert result.exit_code == 2
    assert message in result.output


def test_bad_values_in_the_environment_are_refused(invoke):
    result = invoke("run", env={"DASK_K8S_CONTROLLER_RUN_API_CONCURRENCY": "many"})
    assert result.exit_code == 2
    assert "'many' is not a valid" in result.output


def test_a_plugin_to_skip_that_is_not_there_is_refused(invoke):
    result = invoke("plugins", "--skip-plugin", "nobodys")
    assert result.exit_code == 1
    assert 'there is no plugin "nobodys" to skip; there are: ' in result.output


def test_plugins(invoke):
    result = invoke("plugins")
    assert result.exit_code == 0
    assert "dask_k8s_controller.dask.plugin:PLUGIN" in result.output
    assert "    reconciles daskclusters.kubernetes.dask.org" in result.output


def test_manifests_are_yaml_for_kubectl(invoke):
    result = invoke("manifests", "-n", "a", "--controller-namespace", "home")
    documents = list(yaml.safe_load_all(result.stdout))
    assert "Role" in {document["kind"] for document in documents}
    assert ": &" not in result.stdout


@pytest.fixture
async def served(server, tmp_path):
    """Run a controller with these settings until it asks for so many lists of pods; return which."""

    def asked():
        return {request.path for request in server.requests if request.path.endswith("/pods")}

    async def served(number, *args, file=None, environment=()):
        path = tmp_path / "settings.yaml"
        path.write_text(yaml.safe_dump(file or {}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dask_k8s_controller", "run", "--config", path, *args),
            env={**os.environ, "KUBECONFIG": str(server.kubeconfig), **dict(environment)},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(30):
                while len(asked()) < number:
                    await server.asked.wait()
        finally:
            process.kill()
            await process.wait()
        return asked()

    return served


NAMESPACES = "DASK_K8S_CONTROLLER_RUN_NAMESPACES"


def of(*namespaces):
    return {f"/api/v1/namespaces/{namespace}/pods" for namespace in namespaces}


@pytest.mark.parametrize(
    "args, file, environment, paths",
    [
        pytest.param([], {"namespaces": ["a", "b"]}, {}, of("a", "b"), id="from the file"),
        pytest.param([], {"namespaces": ["a"]}, {NAMESPACES: "b c"}, of("b", "c"), id="from the environment"),
        pytest.param(["-n", "d"], {"namespaces": ["a"]}, {NAMESPACES: "b"}, of("d"), id="from a flag"),
    ],
)
async def test_flags_come_before_the_environment_and_that_before_the_file(
    served, args, file, environment, paths
):
    assert await served(len(paths), *args, file=file, environment=environment) == paths
