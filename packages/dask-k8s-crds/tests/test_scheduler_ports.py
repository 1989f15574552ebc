"""The ports of a scheduler and its dashboard, by arguments, probes, Service and declared ports."""

import pytest

from dask_k8s_crds.scheduler_ports import COMM, DASHBOARD, SchedulerPorts


def read(*args, sidecar=None, **fields):
    main = {"name": "scheduler", "args": ["dask", "scheduler", *args], **fields}
    return SchedulerPorts.of({"containers": [*([sidecar] if sidecar else []), main]})


def probe(port, path="/health"):
    return {"readinessProbe": {"httpGet": {"port": port, "path": path}}}


def service(name, port, **fields):
    return {"ports": [{"name": "tcp-comm", "port": 8786}, {"name": name, "port": port, **fields}]}


NAMED = [{"name": "http-dashboard", "containerPort": 9000}]
USUAL = service("http-dashboard", 8787, targetPort="http-dashboard")


@pytest.mark.parametrize(
    "ports, spec, expected",
    [
        pytest.param(read(), None, 8787, id="default"),
        pytest.param(read("--dashboard-address", ":9001"), USUAL, 9001, id="argument"),
        pytest.param(read("--dashboard-address=0.0.0.0:9001"), USUAL, 9001, id="argument-with-host"),
        pytest.param(read("--dashboard-address", "9001", ports=NAMED), USUAL, 9001, id="argument-number"),
        pytest.param(read("--dashboard-address", ":0", ports=NAMED), USUAL, 9000, id="any-port"),
        pytest.param(read("--dashboard-address", "$(X)", ports=NAMED), USUAL, 9000, id="a-variable"),
        pytest.param(read(ports=NAMED), None, 9000, id="declared"),
        pytest.param(read(ports=[{"name": "dashboard", "containerPort": 9}]), None, 9, id="other-name"),
        pytest.param(read(ports=NAMED), USUAL, 9000, id="target-by-name"),
        pytest.param(read(), service("http-dashboard", 80, targetPort=9002), 9002, id="target-by-number"),
        pytest.param(read(), service("dashboard", 80, targetPort=9002), 9002, id="name-of-flyte"),
        pytest.param(
            read(ports=[{"name": "web", "containerPort": 9003}]),
            service("http-dashboard", 80, targetPort="web"),
            9003,
            id="target-by-another-name",
        ),
        pytest.param(read(**probe(9004)), None, 9004, id="probe"),
        pytest.param(read(ports=NAMED, **probe("http-dashboard")), None, 9000, id="probe-by-name"),
        pytest.param(read(**probe(9004, "/other")), None, 8787, id="probe-of-something-else"),
        pytest.param(
            read(sidecar={"name": "login", "ports": [{"name": "login", "containerPort": 4180}]}),
            service("http-dashboard", 80, targetPort="login"),
            8787,
            id="behind-a-proxy",
        ),
        pytest.param(
            read(sidecar={"name": "login", "ports": [{"name": "http-dashboard", "containerPort": 4180}]}),
            USUAL,
            8787,
            id="behind-a-proxy-of-that-name",
        ),
        pytest.param(read("--dashboard-address", ":99999"), None, 8787, id="no-port"),
    ],
)
def test_where_the_dashboard_listens(ports, spec, expected):
    assert ports.container_port(DASHBOARD, spec) == expected


@pytest.mark.parametrize(
    "ports, spec, expected",
    [
        pytest.param(read(), USUAL, 8787, id="usual"),
        pytest.param(read(), service("http-dashboard", 80, targetPort=1), 80, id="by-name"),
        pytest.param(read(), service("dashboard", 80), 80, id="by-the-other-name"),
        pytest.param(read(), service("web", 80, targetPort=8787), 80, id="by-target"),
        pytest.param(
            read("--dashboard-address", ":9001"), service("web", 80, targetPort=9001), 80, id="by-argument"
        ),
        pytest.param(
            read("--dashboard-address", ":9001"), service("web", 80, targetPort=8787), None, id="not-served"
        ),
        pytest.param(read(), {"ports": None}, None, id="no-ports"),
        pytest.param(read(), None, None, id="no-service"),
    ],
)
def test_the_port_of_the_service(ports, spec, expected):
    assert ports.service_port(DASHBOARD, spec) == expected


def test_the_node_port():
    spec = service("web", 80, targetPort=8787, nodePort=30080)
    assert read().service_port(DASHBOARD, spec, "nodePort") == 30080
    assert read().service_port(COMM, spec, "nodePort") is None


def test_the_comm():
    spec = {"ports": [{"name": "x", "port": 1, "targetPort": 9786}, {"name": "y", "port": 2}]}
    assert read("--port", "9786").container_port(COMM, spec) == 9786
    assert read("--port", "9786").service_port(COMM, spec) == 1
    assert read().container_port(COMM, service("http-dashboard", 8787)) == 8786


@pytest.mark.parametrize(
    "ports, expected",
    [
        pytest.param(read(), "", id="none"),
        pytest.param(read("--dashboard-prefix", "/team/dask"), "/team/dask", id="argument"),
        pytest.param(read("--dashboard-prefix=team/dask/"), "/team/dask", id="slashes"),
        pytest.param(read("--dashboard-prefix", "/"), "", id="root"),
        pytest.param(read(**probe(8787, "/team/dask/health")), "/team/dask", id="probe"),
        pytest.param(read("--dashboard-prefix", '"><script>'), "", id="no-path"),
        pytest.param(read("--dashboard-prefix", "x" * 10_000), "", id="too-long"),
    ],
)
def test_prefix(ports, expected):
    assert ports.prefix == expected


def test_no_dashboard():
    assert read().has_dashboard
    assert not read("--no-dashboard").has_dashboard


def test_a_shell_line():
    line = "exec dask scheduler --dashboard-address :9001 --dashboard-prefix /a --no-dashboard"
    ports = SchedulerPorts.of({"containers": [{"name": "x", "command": ["sh", "-c", line]}]})
    assert (ports.container_port(DASHBOARD, None), ports.prefix, ports.has_dashboard) == (9001, "/a", False)


def test_what_is_kept_is_bounded():
    many = [{"name": "n" * 1000, "containerPort": number} for number in range(1, 1000)]
    ports = read(ports=many, sidecar={"name": "x", "ports": many})
    assert (len(ports.declared), len(ports.foreign)) == (32, 32)
    assert max(len(name) for name, _ in ports.declared) == 15
