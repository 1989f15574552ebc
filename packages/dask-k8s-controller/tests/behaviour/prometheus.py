"""A real Prometheus, as a process, scrapes one address. Debian's package `prometheus` has the programs."""

import json
import os
import random
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_controller.testing.process import DEADLINE


def program(name: str) -> str:
    """Where it is; without it a test is skipped, but not where all checks are made."""
    found = shutil.which(name)
    if found is None:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"there is no {name}; Debian's package `prometheus` has it")
    return found


class Prometheus:
    """Answers queries."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/api/v1"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples; none as long as nobody listens."""
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"{self._url}/query?{query}", timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503:  # it starts
                    pytest.fail(f"{expression}: {error.read().decode()}")
        except OSError:
            pass
        return []

    def until(self, expression: str) -> list[dict[str, Any]]:
        """Ask until there is a sample: a comparison has none before it holds."""
        deadline = time.monotonic() + DEADLINE
        while not (found := self.query(expression)):
            if time.monotonic() > deadline:
                pytest.fail(f"not in {DEADLINE} s: {expression}; there is {self.query('{job=~`.+`}')}")
            time.sleep(0.2)
        return found


@contextmanager
def serve(prometheus: str, target: str, folder: Path) -> Iterator[Prometheus]:
    """Have this program scrape a target each second while the context lasts."""
    config = folder / "prometheus.yml"
    jobs = [{"job_name": "dask", "static_configs": [{"targets": [target]}]}]
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
    address = "127.{}.{}.{}:9090".format(*(random.randrange(64, 255) for _ in range(3)))
    options = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([prometheus, *options, f"--web.listen-address={address}"], stderr=log)
        try:
            yield Prometheus(address)
        finally:
            process.kill()
            process.wait(timeout=DEADLINE)
