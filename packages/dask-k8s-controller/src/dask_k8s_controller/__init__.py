"""The controller of Dask on Kubernetes.

For plugin authors: a plugin is a module of ``@kopf.on…`` handlers or a `Plugin` value, named by an entry
point in the group ``dask_operator_plugin``. Only these names are public.
"""

from dask_k8s_controller.agent.answers import AgentError, Demand, Load, Retired, Waiting
from dask_k8s_controller.findings import Finding, refused, troubled
from dask_k8s_controller.plugin import (
    After,
    Agent,
    Outcome,
    Plugin,
    Reconcile,
    Reconciler,
    Rule,
    Watched,
    World,
)
from dask_k8s_controller.pods import keeps_legacy_commands, pod_spec
from dask_k8s_controller.resources import Key
from dask_k8s_controller.river.apply import WriteError
from dask_k8s_controller.river.cache import Record
from dask_k8s_controller.river.plan import Create, Delete, Patch, Plan, Tell

__all__ = [
    "After",
    "Agent",
    "AgentError",
    "Create",
    "Delete",
    "Demand",
    "Finding",
    "Key",
    "Load",
    "Outcome",
    "Patch",
    "Plan",
    "Plugin",
    "Reconcile",
    "Reconciler",
    "Record",
    "Retired",
    "Rule",
    "Tell",
    "Waiting",
    "Watched",
    "World",
    "WriteError",
    "keeps_legacy_commands",
    "pod_spec",
    "refused",
    "troubled",
]
