"""The group of all commands. The ``dask`` command always imports it; it imports each command when needed."""

from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from dask_k8s_client.cli.parameters import target_options


class Entry(NamedTuple):
    """The module and function of a command, and its line in the list of commands."""

    target: str
    help: str


COMMANDS = {
    "create": Entry("manage:create", "Create a cluster."),
    "list": Entry("show:list_", "List clusters."),
    "get": Entry("show:get", "Show how a cluster is."),
    "describe": Entry("show:describe", "Show a cluster with its groups, pods and events."),
    "scale": Entry("manage:scale", "Set the number of workers of a group."),
    "adapt": Entry("manage:adapt", "Let a cluster have as many workers as its work needs."),
    "restart": Entry("manage:restart", "Replace the workers of a cluster by new pods, a few at a time."),
    "logs": Entry("follow:logs", "Print what the pods of a cluster print."),
    "dashboard": Entry("follow:dashboard", "Open the dashboard of a cluster in the browser."),
    "port-forward": Entry("follow:port_forward", "Make a scheduler and its dashboard reachable from here."),
    "delete": Entry("manage:delete", "Delete a cluster."),
    "run": Entry("manage:run_job", "Run a command as a job, on a cluster for the length of it."),
    "gen": Entry("gen:gen", "Print a resource as YAML, for kubectl apply."),
    "local": Entry("local:local", "Have a Kubernetes on this machine, to try it all."),
}
"""In the order of a cluster's life."""


class Lazy(click.Group):
    """A group that imports the module of a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """Import a command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(f"dask_k8s_client.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List them without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete their names without importing them."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        completions = [CompletionItem(name, help=COMMANDS[name].help) for name in names]
        return completions + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    name="kubernetes",
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@target_options
def kubernetes() -> None:
    """Dask clusters on Kubernetes.

    What is not said is as in Dask's configuration under `kubernetes`, and as kubectl has it.
    Exit codes: 0 it is done, 1 it failed, 2 it was not understood.
    """
