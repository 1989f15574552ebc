"""The command line. Flags take precedence over environment variables, and those over the settings file."""

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml

from dask_k8s_controller.app import health, kopf_host, plugin_loading
from dask_k8s_controller.app.manifests import manifests as all_manifests
from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.leader_election import Election
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.resources import LEASES, SECRETS


def _read_file(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text()) or {}
        except yaml.YAMLError as error:
            raise click.BadParameter(f"{path} is not valid YAML: {error}") from error
        if not isinstance(values, dict):
            raise click.BadParameter(f"{path} is not a mapping of options")
        known = {parameter.name for parameter in context.command.params}
        unknown = sorted(map(str, set(values) - known))
        if unknown:
            options = ", ".join(sorted(filter(None, known)))
            raise click.BadParameter(f"{path}: unknown {', '.join(unknown)}; the options are {options}")
        context.default_map = values
    return path


def _check_address(_context: click.Context, _parameter: click.Parameter, address: str) -> str:
    host, _, port = address.rpartition(":")
    if address and not (host and port.isdecimal() and int(port) < 2**16):
        raise click.BadParameter(f"{address!r} is not HOST:PORT")
    return address


namespace_option = partial(click.option, "-n", "--namespace", "namespaces", multiple=True)
skip_plugin = click.option(
    "--skip-plugin",
    "skip_plugins",
    multiple=True,
    metavar="NAME",
    help="Start without the plugin of this entry point; may be repeated.",
)


@click.group(
    context_settings={
        "auto_envvar_prefix": "DASK_K8S_CONTROLLER",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    }
)
@click.version_option(package_name="dask-k8s-controller")
def main() -> None:
    """Turn DaskCluster and DaskWorkerGroup resources into schedulers and workers."""


@main.command()
@click.option(
    "--config",
    is_eager=True,
    expose_value=False,
    callback=_read_file,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with the other options, for example `log_format: json`.",
)
@namespace_option(help="Serve this namespace only; may be repeated.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Serve all namespaces (the default).")
@click.option("--cluster-domain", default="cluster.local", help="DNS domain of the cluster.")
@click.option(
    "--api-concurrency",
    type=click.IntRange(min=1),
    default=32,
    help="Most writes at a time.",
)
@click.option(
    "--api-rate",
    type=click.FloatRange(min=1),
    default=1000.0,
    help="Most writes per second.",
)
@click.option(
    "--watch-seconds",
    type=click.IntRange(min=1),
    default=240,
    help="Duration of one watch; /livez fails if nothing is received for 1.5 times as long.",
)
@click.option(
    "--health-address",
    default="",
    show_default=False,
    metavar="HOST:PORT",
    callback=_check_address,
    help="Address of /livez, /readyz and /metrics; by default they are not served.",
)
@click.option(
    "--leader-elect",
    is_flag=True,
    help="Reconcile only while holding the Lease; until then, wait as a standby that is ready.",
)
@click.option("--lease-name", default="dask-k8s-controller", help="The Lease of --leader-elect.")
@click.option(
    "--lease-namespace",
    default="",
    show_default=False,
    metavar="NAMESPACE",
    help="Of the Lease, and of the Secret with the key of agents' tokens; by default the controller's own.",
)
@click.option("--log-format", type=click.Choice(["full", "plain", "json"]), default="full")
@click.option("-v", "--verbose", is_flag=True, help="Log debug messages too.")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only.")
@skip_plugin
def run(*, all_namespaces: bool, skip_plugins: tuple[str, ...], **options: Any) -> None:
    """Run the controller until it receives a signal."""
    if all_namespaces and options["namespaces"]:
        raise click.UsageError("--namespace and --all-namespaces exclude each other")
    kopf_host.configure_logs(**{name: options.pop(name) for name in ("log_format", "verbose", "quiet")})
    asyncio.run(_run(_installed(skip_plugins), Settings(**options)))


async def _run(installed: tuple[plugin_loading.Installed, ...], settings: Settings) -> None:
    try:
        async with Api() as api:
            namespace = settings.lease_namespace or api.credentials.namespace()
            election = _election(api, namespace, settings) if settings.leader_elect else None
            key = SigningKey(api, Key(SECRETS, namespace, names.AGENT_KEY))
            installed_plugins = plugin_loading.values(installed)
            operator = Operator(api, installed_plugins, settings, key, election=election, clock=api.clock)
            async with health.serve(operator, settings.health_address):
                await kopf_host.run(operator.run, settings, operator.leading)
    except ConnectionError as error:
        raise click.ClickException(str(error)) from error


def _election(api: Api, namespace: str, settings: Settings) -> Election:
    key = Key(LEASES, namespace, settings.lease_name)
    # Exit at once, whatever a plugin is doing: another controller starts to write soon.
    return Election(api, key, on_lost=lambda: os._exit(1), clock=api.clock)


@main.command("plugins")
@skip_plugin
def show_plugins(skip_plugins: tuple[str, ...]) -> None:
    """List the installed plugins and the resources that each reconciles."""
    for plugin in _installed(skip_plugins):
        click.echo(f"{plugin.name}  {plugin.distribution} {plugin.version}  {plugin.form}  {plugin.target}")
        for reconciler in plugin.value.reconcilers if plugin.value else ():
            click.echo(f"    reconciles {reconciler.resource}")


@main.command()
@namespace_option(help="Grant access to this namespace only; may be repeated.")
@click.option("--controller-namespace", default="dask-operator", help="Namespace of the controller.")
@skip_plugin
def manifests(namespaces: tuple[str, ...], controller_namespace: str, skip_plugins: tuple[str, ...]) -> None:
    """Print the CRDs and RBAC for the installed plugins, for `kubectl apply -f -`."""
    installed = _installed(skip_plugins)
    declared = {plugin.distribution for plugin in installed if plugin.value}
    for plugin in installed:
        if plugin.distribution not in declared:
            notice = f'# plugin "{plugin.name}" is a module of handlers and declares no permissions'
            click.echo(f"{notice}: grant them with a role of your own", err=True)
    documents = all_manifests(
        plugin_loading.values(installed), controller_namespace=controller_namespace, namespaces=namespaces
    )
    click.echo(yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, allow_unicode=True), nl=False)


class _Plain(yaml.SafeDumper):
    """Writes no YAML aliases, since not every tool that reads manifests supports them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _installed(skip: tuple[str, ...]) -> tuple[plugin_loading.Installed, ...]:
    try:
        return plugin_loading.installed(skip=skip)
    except (plugin_loading.PluginError, LookupError) as error:
        raise click.ClickException(str(error)) from error
