"""The sidebar of JupyterLab: the REST routes of a released dask-labextension, with the documented set-up."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import dask
import pytest
import yaml

from .conftest import RECIPES

TOKEN = uuid.uuid4().hex


class Lab:
    """A JupyterLab server, as its sidebar talks to it."""

    def __init__(self, url):
        self._url = url

    def ask(self, method, path, body=None):
        """Return the status and the text of an answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {TOKEN}"}
        try:
            request = Request(f"{self._url}/dask/{path}", data, headers, method=method)
            with urlopen(request, timeout=200) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def get(self, path):
        status, text = self.ask("GET", path)
        assert status == 200, text
        return json.loads(text)

    def change(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        assert status == 200, text
        return json.loads(text)


@pytest.fixture
def start(here, tmp_path):
    """A JupyterLab server with the configuration of the recipe and more; a context manager."""

    @contextmanager
    def started(**configuration):
        config = yaml.safe_load((RECIPES / "labextension.yaml").read_text(encoding="utf-8"))
        config["labextension"] |= configuration
        folder, log = tmp_path / "dask", tmp_path / "log"
        folder.mkdir()
        (folder / "labextension.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
        options = (f"--IdentityProvider.token={TOKEN}", "--ServerApp.port=0", "--no-browser", "--allow-root")
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                cwd=tmp_path,
                env={**os.environ, **folders, "DASK_CONFIG": str(folder)},
                stdout=output,
                stderr=output,
            )
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+(?=/)", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield Lab(found[0])
        finally:
            process.terminate()
            process.wait(timeout=60)

    return started


def bounds(here, name):
    found = here.get(f"daskautoscaler/{name}")["spec"]
    return found["minimum"], found["maximum"]


def test_a_cluster_from_the_sidebar(here, start):
    with start() as lab:
        assert lab.get("clusters") == []
        one = f"clusters/{uuid.uuid4()}"
        model = lab.change("PUT", one)
        (cluster,) = here.all("daskclusters")
        name = cluster["metadata"]["name"]

        model = lab.change("PATCH", one, {"adapt": {"minimum": 1, "maximum": 3}})
        assert model["adapt"] == {"minimum": 1, "maximum": 3}
        assert lab.get("clusters") == [lab.get(one)]
        here.poll(lambda: here.exists(f"daskautoscaler/{name}"))
        assert bounds(here, name) == (1, 3)
        assert lab.change("PATCH", one, {"adapt": {"minimum": 1, "maximum": 3}})["adapt"]["maximum"] == 3
        assert lab.change("PATCH", one, {"adapt": {"minimum": 1, "maximum": 4}})["adapt"]["maximum"] == 4

        for _ in range(2):
            assert "adapt" not in lab.change("PATCH", one, {"workers": 2})
        assert not here.exists(f"daskautoscaler/{name}")
        here.poll(lambda: lab.get(one)["workers"] == 2)
        assert lab.get("clusters")[0]["cores"] >= 2

        link = lab.get(one)["dashboard_link"]
        check = lab.get(f"dashboard-check/{quote(link, safe='')}")
        assert check["isActive"]
        assert "/individual-task-stream" in check["plots"].values()
        status, page = lab.ask("GET", f"dashboard/{one.removeprefix('clusters/')}/individual-task-stream")
        assert (status, "bokeh" in page) == (200, True)

        assert lab.ask("DELETE", one)[0] == 204
        assert lab.get("clusters") == []
        assert not here.exists(f"daskcluster/{name}")


def test_clusters_that_adapt_by_default(here, start):
    with start(default={"workers": None, "adapt": {"minimum": 0, "maximum": 2}}) as lab:
        one = f"clusters/{uuid.uuid4()}"
        assert lab.change("PUT", one)["adapt"] == {"minimum": 0, "maximum": 2}
        (cluster,) = here.all("daskclusters")
        name = cluster["metadata"]["name"]
        here.poll(lambda: here.exists(f"daskautoscaler/{name}"))
        assert bounds(here, name) == (0, 2)
        assert [each["adapt"] for each in lab.get("clusters")] == [{"minimum": 0, "maximum": 2}]
        assert lab.ask("DELETE", one)[0] == 204


def test_its_manager_in_python(here):
    """Adapt, list, scale at once, none of which its manager waits for."""
    from dask_labextension.manager import DaskClusterManager  # noqa: PLC0415  # it needs a running loop

    async def use():
        async with DaskClusterManager() as manager:
            await manager.start_cluster("one")
            assert manager.adapt_cluster("one", 1, 3)["adapt"] == {"minimum": 1, "maximum": 3}
            assert manager.list_clusters() == [manager.get_cluster("one")]
            for _ in range(2):
                assert "adapt" not in await manager.scale_cluster("one", 2)
            (cluster,) = here.all("daskclusters")
            name = cluster["metadata"]["name"]
            assert here.get(f"daskworkergroup/{name}-default")["spec"]["worker"]["replicas"] == 2
            assert not here.exists(f"daskautoscaler/{name}")
            assert await manager.close_cluster("one")
        assert not here.exists(f"daskcluster/{name}")

    factory = yaml.safe_load((RECIPES / "labextension.yaml").read_text(encoding="utf-8"))
    with dask.config.set({"labextension.factory": factory["labextension"]["factory"]}):
        asyncio.run(use())
