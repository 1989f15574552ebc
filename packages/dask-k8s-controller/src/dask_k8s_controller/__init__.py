"""The Dask controller for Kubernetes, and the public API for authors of plugins.

A plugin is a module of ``@kopf.on…`` handlers or a `Plugin` value, named by an entry point in the group
``dask_operator_plugin``. Only the names in ``__all__`` are public.
"""

from dask_k8s_controller.dask.findings import (
    HEALTHY,
    Finding,
    conditions,
    invalid_status,
    refused,
    without_effect,
)
from dask_k8s_controller.dask.last_applied import digest
from dask_k8s_controller.dask.pods.capacity import stuck_pods
from dask_k8s_controller.dask.pods.template import keeps_legacy_commands, pod_spec
from dask_k8s_controller.dask.pods.view import Pod, troubled
from dask_k8s_controller.dask.scheduler.answers import AgentError, Demand, Load, Retired, Waiting
from dask_k8s_controller.dask.world import Agent, World
from dask_k8s_controller.runtime.cache import Record, Watched
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.objects import Key, bounded
from dask_k8s_controller.runtime.plan import Create, Delete, Event, Patch, Plan
from dask_k8s_controller.runtime.plugin import Plugin, Reconcile, Reconciler, Rule
from dask_k8s_controller.runtime.results import After, Outcome, WriteError

__all__ = [
    "HEALTHY",
    "After",
    "Agent",
    "AgentError",
    "Create",
    "Delete",
    "Demand",
    "Event",
    "Finding",
    "Key",
    "Load",
    "Outcome",
    "Patch",
    "Plan",
    "Plugin",
    "Pod",
    "Reconcile",
    "Reconciler",
    "Record",
    "Retired",
    "Rule",
    "Waiting",
    "Watched",
    "World",
    "WriteError",
    "bounded",
    "conditions",
    "conditions_of",
    "digest",
    "invalid_status",
    "keeps_legacy_commands",
    "pod_spec",
    "refused",
    "stuck_pods",
    "troubled",
    "without_effect",
]
