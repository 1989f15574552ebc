"""The token and the authority of a controller are replaced while it runs, or no longer accepted."""

import pytest
import trustme
import yaml

REFUSED = "does not accept the credentials"
KINDS = "/customresourcedefinitions"
"""Watched by kopf, and by nothing else of the controller."""

# Their controllers serve all namespaces, and so would act on the objects of other tests.
pytestmark = pytest.mark.alone


@pytest.fixture
def token(proxy, tmp_path):
    """The file with the token of the controller's kubeconfig."""
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    first = trustme.CA()
    first.cert_pem.write_to_path(authority)
    token.write_text("first")
    proxy.secure(first)
    proxy.demand("first")
    config = yaml.safe_load(proxy.kubeconfig.read_text())
    address = f"https://127.0.0.1:{proxy.server_port}"
    config["clusters"][0]["cluster"] = {"server": address, "certificate-authority": str(authority)}
    config["users"][0]["user"] = {"tokenFile": str(token)}
    proxy.kubeconfig.write_text(yaml.safe_dump(config))
    return token


def test_they_are_replaced(world, run_controller, proxy, token, cluster):
    controller = run_controller("--all-namespaces", namespaces=(), kubeconfig=proxy.kubeconfig)
    proxy.hears(KINDS)
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)

    token.write_text("second")
    proxy.demand("second")
    proxy.hears(KINDS)
    world.scale("daskcluster/demo", 3)
    world.workers("demo-default", 3, ready=False)
    assert not any(REFUSED in line for line in controller.log)

    proxy.demand("third")
    controller.wait_for_health("/readyz", 503)
    assert REFUSED in controller.health("/readyz")[1]
    world.scale("daskcluster/demo", 4)
    token.write_text("third")
    world.workers("demo-default", 4, ready=False)
    controller.wait_for_health("/readyz", 200)
    proxy.hears(KINDS)
    assert sum(REFUSED in line for line in controller.log) == 1

    second = trustme.CA()
    second.cert_pem.write_to_path(token.with_name("ca.crt"))
    proxy.secure(second)
    proxy.hears(KINDS)
    world.scale("daskcluster/demo", 5)
    world.workers("demo-default", 5, ready=False)
    assert world.is_quiet("pods")
    assert controller.process.poll() is None


def test_answers_about_kinds_are_cut(world, run_controller, proxy, cluster):
    for path in ("/apis", "/apis/kubernetes.dask.org/v1", "/api/v1"):
        proxy.cut(path, 1)
    controller = run_controller("--all-namespaces", namespaces=(), kubeconfig=proxy.kubeconfig)
    proxy.hears(KINDS)
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    assert controller.process.poll() is None
