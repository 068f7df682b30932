"""Command line: what there is to call, and how failures are told."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

from kaito.cli.options import (
    amount,
    cloud_option,
    daemon_options,
    engine_options,
    hub_option,
    ledger_options,
    namespaces,
    node_options,
    plan_options,
    port,
    provisioner_options,
    sweep_options,
    tuning_options,
    webhook_options,
    why_options,
    workspace_options,
)
from kaito.cli.selection import models_options, skus_options

# Exit codes: 1 the command failed, 2 it was called wrongly (argparse), 130 interrupted. Daemons
# tell more (kaito.runtime.ExitCode). A package that is not installed counts as misconfigured for
# every command: whoever starts it again need not try.
FAILED = 1
NOT_INSTALLED = 78
INTERRUPTED = 130


class CommandError(Exception):
    """A failure the user can act on: its text is the one line that is printed."""

    def __init__(self, text: str, *, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


class _Version(argparse.Action):
    """Looks the version up when it is asked for: reading package metadata takes time."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002 - argparse names it
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"kaito {version('kaito')}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Errors are one line on standard error."""
    arguments = build_parser().parse_args(argv)
    debug = arguments.debug
    try:
        module = importlib.import_module(f"kaito.cli.{arguments.module}")
        code: int = getattr(module, arguments.function)(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (kaito crds | head); that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        print(f"kaito: {_one_line(error)}", file=sys.stderr)
        return _exit_code(_innermost(error))
    return code


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ModuleNotFoundError):
        return NOT_INSTALLED
    return error.code if isinstance(error, CommandError) else FAILED


def _one_line(error: BaseException) -> str:
    error = _innermost(error)
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        extra = {"azure": "azure", "cryptography": "webhook"}.get(missing, "local")
        return f'{text}; install it with: pip install "kaito[{extra}]"'
    if isinstance(error, CommandError) or type(error).__module__.startswith("kaito."):
        return text
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        hint = "; take another port" if error.errno == errno.EADDRINUSE else ""
        return f"{about}{error.strerror}{hint} (--debug shows where)"
    return f"{type(error).__name__}: {text} (--debug shows where)"


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show a traceback on failure")
    parser = _Parser(
        prog="kaito",
        description="Run large language models on Kubernetes, GPU nodes included.",
        parents=[common],
    )
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def command(under: _Commands, name: str, text: str, to: str) -> argparse.ArgumentParser:
        made = under.add_parser(
            name, help=text, description=text, parents=[common], conflict_handler="resolve"
        )
        module, _, function = to.partition(":")
        made.set_defaults(module=module, function=function)
        return made

    manager = command(
        commands, "manager", "Reconcile Workspaces: the workspace daemon.", "manager:run"
    )
    daemon_options(manager)
    manager.add_argument(
        "--namespaces",
        metavar="A,B",
        type=namespaces,
        default=(),
        help="look after these namespaces only (default: all)",
    )
    cloud_option(manager)
    node_options(manager)
    engine_options(manager)
    tuning_options(manager)
    hub_option(manager)
    webhook_options(manager)
    provisioner = command(
        commands,
        "provisioner",
        "Turn Machines and NodeClaims into GPU nodes on AKS: the machine daemon.",
        "provisioner:run",
    )
    daemon_options(provisioner)
    provisioner_options(provisioner)
    under = provisioner.add_subparsers(
        metavar="COMMAND",
        title="commands",
        description="Without one, the daemon runs.",
        parser_class=_Parser,
    )
    sweep = command(
        under,
        "sweep",
        "Show pools, claims and Nodes that have lost the others, or delete some by name.",
        "sweep:run",
    )
    sweep_options(sweep)
    ledger = command(
        under, "ledger", "Show which pools were asked for, and what became of them.", "ledger:run"
    )
    ledger_options(ledger)
    plan = command(
        commands,
        "plan",
        "Tell what Workspaces would take and cost, before any money is spent.",
        "plan:run",
    )
    plan_options(plan)
    why = command(
        commands,
        "why",
        "Tell why a Workspace is not ready, from the request down to the cause, and the way out.",
        "why:run",
    )
    why_options(why)
    past = command(
        commands,
        "history",
        "List what a Workspace was: its revisions, which serves, and why one was undone.",
        "revisions:show",
    )
    workspace_options(past)
    past.add_argument("-o", "--output", choices=["text", "json"], default="text")
    rollback = command(
        commands,
        "rollback",
        "Make a Workspace again what it was in an earlier revision.",
        "revisions:rollback",
    )
    workspace_options(rollback)
    rollback.add_argument(
        "--to-revision",
        type=amount,
        metavar="N",
        help="see `kaito history` (default: the last other one that served)",
    )
    models = command(
        commands, "models", "List the models of the catalogue, or tell of one.", "models:run"
    )
    models_options(models)
    skus = command(
        commands, "skus", "List the node sizes of the catalogue, or tell of one.", "skus:run"
    )
    skus_options(skus)
    command(commands, "crds", "Print every custom resource definition as YAML.", "crds:run")

    local = commands.add_parser(
        "local",
        help="A whole cluster in one process, for development and tests.",
        description="A whole cluster in one process, for development and tests.",
    )
    local_commands = local.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    up = command(local_commands, "up", "Run a local cluster in the foreground.", "local:up")
    up.add_argument(
        "--kubeconfig", metavar="FILE", required=True, help="written when the cluster is ready"
    )
    up.add_argument("--port", type=port, default=0, help="HTTPS port (default: a free one)")
    up.add_argument(
        "--data-dir", metavar="DIR", help="keep the cluster's state here (default: in memory)"
    )
    up.add_argument(
        "--nodes", type=amount, default=0, metavar="N", help="start with N CPU nodes (default: 0)"
    )
    up.add_argument(
        "--profile",
        metavar="NAME|FILE",
        default="demo",
        help="how long simulated things take: demo (seconds to watch; the default), instant, "
        "azure (minutes), or a YAML file with timings",
    )
    up.add_argument(
        "--image",
        metavar="PATTERN=COMMAND",
        action="append",
        default=[],
        help="run images like PATTERN as this program of this machine, such as python:*=python3; "
        "whoever may create pods may then run anything here; may be given again",
    )
    up.add_argument(
        "--engine",
        metavar="COMMAND",
        default="",
        help="answer with this program instead of a simulated engine; it is told --port, "
        "--served_model_name and --adapters_dir",
    )
    up.add_argument(
        "--trainer",
        metavar="COMMAND",
        default="",
        help="train with this program instead of a simulated trainer; it is told --port, and what "
        "the Pod says less the options that COMMAND has",
    )
    up.add_argument(
        "--max-pools",
        type=amount,
        default=100,
        metavar="N",
        help="agent pools that the cluster takes; more than 100 is more than AKS allows, and is "
        "said at start (default: 100)",
    )
    up.add_argument(
        "--max-nodes-per-pool",
        type=amount,
        default=1000,
        metavar="N",
        help="nodes that an agent pool takes; more than 1000 is more than AKS allows, and is said "
        "at start (default: 1000)",
    )
    up.add_argument(
        "--throttle",
        action="store_true",
        help="answer 429 as Azure does once its request budgets are spent; they refill 50 times "
        "faster than Azure's, as everything here is faster",
    )
    up.add_argument(
        "--no-controllers", action="store_true", help="without the manager and the provisioner"
    )
    pools = command(
        local_commands, "pools", "List the agent pools of the local Azure endpoint.", "local:pools"
    )
    pools.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG")
    pools.add_argument("-o", "--output", choices=["table", "json"], default="table")
    _fault_commands(local_commands, command)
    return parser


def _fault_commands(under: _Commands, command: Callable[..., argparse.ArgumentParser]) -> None:
    text = "Make the local Azure fail, to rehearse an incident."
    fault = under.add_parser("fault", help=text, description=text)
    commands = fault.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    add = command(commands, "add", "Put a fault into force; prints its id.", "faults:add")
    add.add_argument("kind", metavar="KIND", help="see `kaito local fault list --kinds`")
    add.add_argument(
        "--on",
        metavar="REQUEST",
        help="create (default), update, delete, delete-machines, abort, get, list or poll",
    )
    add.add_argument("--pool", metavar="PATTERN", help="pools by name, as in shells (default: *)")
    add.add_argument("--vm-size", metavar="PATTERN", help="sizes, as in shells (default: *)")
    add.add_argument(
        "--times", type=amount, metavar="N", help="attempts of a pool that fail (default: all)"
    )
    add.add_argument(
        "--seconds", type=float, metavar="S", help="how much longer slow takes (default: 30)"
    )
    add.add_argument(
        "--status", type=int, metavar="N", help="of other: 400 to 599, or 0 to fail later"
    )
    add.add_argument("--code", metavar="CODE", help="of other: the error's code")
    add.add_argument("--message", metavar="TEXT", help="of other: the error's words")
    show = command(commands, "list", "List the faults in force.", "faults:show")
    show.add_argument("--kinds", action="store_true", help="list those that there could be")
    clear = command(
        commands,
        "clear",
        "Take faults back: one by its id, or all that were added.",
        "faults:clear",
    )
    clear.add_argument("id", metavar="ID", nargs="?", default="")
    for each in (add, show, clear):
        each.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG")
