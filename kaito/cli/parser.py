"""Command line: what there is to call, and how failures are told."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

from kaito.cli.selection import models_options, skus_options

# Exit codes: 1 the command failed, 2 it was called wrongly (argparse), 130 interrupted. Daemons
# tell more (kaito.runtime.ExitCode). A package that is not installed counts as misconfigured for
# every command: whoever starts it again need not try.
FAILED = 1
NOT_INSTALLED = 78
INTERRUPTED = 130

HUB = "https://huggingface.co"
NO_HUB = "none"

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


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
    _daemon_options(manager)
    manager.add_argument(
        "--namespaces",
        metavar="A,B",
        type=_namespaces,
        default=(),
        help="look after these namespaces only (default: all)",
    )
    _cloud_option(manager)
    _hub_option(manager)
    _webhook_options(manager)
    provisioner = command(
        commands,
        "provisioner",
        "Turn Machines and NodeClaims into GPU nodes on AKS: the machine daemon.",
        "provisioner:run",
    )
    _daemon_options(provisioner)
    _provisioner_options(provisioner)
    plan = command(
        commands,
        "plan",
        "Tell what Workspaces would take and cost, before any money is spent.",
        "plan:run",
    )
    _plan_options(plan)
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
    up.add_argument("--port", type=_port, default=0, help="HTTPS port (default: a free one)")
    up.add_argument(
        "--data-dir", metavar="DIR", help="keep the cluster's state here (default: in memory)"
    )
    up.add_argument(
        "--nodes", type=_count, default=0, metavar="N", help="start with N CPU nodes (default: 0)"
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
        "--max-pools",
        type=_count,
        default=100,
        metavar="N",
        help="agent pools that the cluster takes; more than 100 is more than AKS allows, and is "
        "said at start (default: 100)",
    )
    up.add_argument(
        "--max-nodes-per-pool",
        type=_count,
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
        "--times", type=_count, metavar="N", help="attempts of a pool that fail (default: all)"
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


def _provisioner_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--expire",
        action="store_true",
        help="delete NodeClaims at their expireAfter, and their nodes with them (default: never)",
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="replace nodes that have not been ready for 10 minutes, a fifth of them at a time "
        "(default: never)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=3600.0,
        metavar="S",
        help="how long Pods may take to leave a node whose claim does not say (default: 3600)",
    )
    parser.add_argument(
        "--making-seconds",
        type=_seconds,
        default=3600.0,
        metavar="S",
        help="how long a node pool may be in the making before it is given up (default: 3600)",
    )
    parser.add_argument(
        "--joining-seconds",
        type=_seconds,
        default=900.0,
        metavar="S",
        help="how long its node may take from then on to join the cluster (default: 900)",
    )


def _daemon_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="default: $KUBECONFIG, ~/.kube/config, or the pod's own service account",
    )
    parser.add_argument(
        "--no-leader-election",
        action="store_true",
        help="work without a lease; safe only while no second copy runs",
    )
    parser.add_argument(
        "--lease-seconds",
        type=_seconds,
        default=15.0,
        metavar="S",
        help="how long others wait for a dead leader (default: 15)",
    )
    parser.add_argument(
        "--lease-namespace",
        metavar="NS",
        type=_namespace,
        help="where the lease is (default: the pod's namespace, or kaito-system)",
    )
    parser.add_argument(
        "--metrics-address",
        metavar="ADDR",
        help="HOST:PORT, :PORT, or 0 for none (default: :8080 in a cluster, else a free port)",
    )
    parser.add_argument(
        "--probe-address",
        metavar="ADDR",
        help="as --metrics-address (default: :8081 in a cluster, else a free port)",
    )
    parser.add_argument(
        "--debug-address",
        metavar="ADDR",
        default="0",
        help="HOST:PORT on loopback for a look inside at /debug (default: none)",
    )
    parser.add_argument(
        "--log-format",
        choices=["json", "console"],
        help="default: console on a terminal, else json",
    )
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info"
    )


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        action="append",
        required=True,
        help="manifests: Workspaces, and ConfigMaps or Nodes that they use; - reads from stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=["text", "json", "yaml"],
        default="text",
        help="yaml prints the objects exactly as the controller would apply them",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NS",
        type=_namespace,
        default="default",
        help="of Workspaces that name none (default: default)",
    )
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="the cluster that is taken into account (default: $KUBECONFIG, ~/.kube/config)",
    )
    parser.add_argument(
        "--offline", action="store_true", help="ask neither a cluster nor Hugging Face"
    )
    _cloud_option(parser)
    _hub_option(parser)
    parser.add_argument(
        "--model-config",
        metavar="[ORG/MODEL=]PATH",
        help="a model that is in no catalogue: its config.json, or the folder with its weights",
    )


def _cloud_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cloud",
        choices=["azure", "aws", "arc"],
        default="azure",
        help="whose sizes resource.instanceType names (default: azure)",
    )


def _hub_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hub",
        metavar="URL",
        type=_hub,
        default=HUB,
        help="where models that are in no catalogue are read, with the token in $HF_TOKEN if "
        f"there is one; {NO_HUB}: nowhere (default: {HUB})",
    )


def _webhook_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-webhook", action="store_true", help="check Workspaces only after they are stored"
    )
    parser.add_argument(
        "--webhook-url",
        metavar="URL",
        help="outside a cluster: https://HOST:PORT where the API server reaches the webhook "
        "(default: no webhook there)",
    )
    parser.add_argument(
        "--webhook-address",
        metavar="ADDR",
        help="as --metrics-address (default: :9443, or as in --webhook-url)",
    )
    parser.add_argument(
        "--webhook-service",
        metavar="NAME",
        default="kaito-webhook",
        help="in a cluster: the Service in front of the webhook (default: kaito-webhook)",
    )
    parser.add_argument(
        "--webhook-certificate",
        metavar="DIR",
        type=Path,
        help="serve with tls.crt and tls.key of this directory (default: one made by itself)",
    )


def _hub(text: str) -> str:
    try:
        address = urlsplit(text)
        plain = address.hostname and address.port != 0 and not address.username
    except ValueError:
        plain = False
    if text != NO_HUB and not (plain and address.scheme in ("http", "https")):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address of a hub; write https://HOST, without user name, or {NO_HUB}"
        )
    return text.rstrip("/")


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; take 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; take 0 to 10000")
    return int(text)


def _namespaces(text: str) -> tuple[str, ...]:
    # A list of a namespace that cannot be is empty for ever, and the daemon would sit idle.
    return tuple(dict.fromkeys(_namespace(name.strip()) for name in text.split(",")))


def _namespace(text: str) -> str:
    if not NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no namespace; take 1 to 63 lower-case letters, digits and inner hyphens"
        )
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no lease time; take 1 to 3600 seconds")
    return seconds
