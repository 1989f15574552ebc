"""What the handlers need of Kubernetes, for `dask-k8s-controller manifests`."""

from dask_k8s_controller import Plugin, Rule

RIGHTS = Plugin(rules=(Rule("", ("services",), ("list", "watch", "patch")),))
