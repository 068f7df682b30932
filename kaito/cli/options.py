"""The options of the daemons and of `kaito plan`, and what may be written for them.

The standard library alone, because the parser of every command loads it.
"""

from __future__ import annotations

import argparse
import re
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

HUB = "https://huggingface.co"
NO_HUB = "none"
MOST_USERS = 2**31  # Kubernetes' bound
USER_DIGITS = 10
TOKEN_DIGITS = 15
TIMES = {"k": 10**3, "M": 10**6, "G": 10**9}
UNITS = ("", "Ki", "Mi", "Gi", "Ti")
SIZE = re.compile(r"([0-9]{1,15})(|Ki|Mi|Gi|Ti)")
DATA_LIMIT = 20 * 1024**3

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def provisioner_options(parser: argparse.ArgumentParser) -> None:
    """What `kaito provisioner` alone takes."""
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
        type=seconds,
        default=3600.0,
        metavar="S",
        help="how long Pods may take to leave a node whose claim does not say (default: 3600)",
    )
    parser.add_argument(
        "--making-seconds",
        type=seconds,
        default=3600.0,
        metavar="S",
        help="how long a node pool may be in the making before it is given up (default: 3600)",
    )
    parser.add_argument(
        "--joining-seconds",
        type=seconds,
        default=900.0,
        metavar="S",
        help="how long its node may take from then on to join the cluster (default: 900)",
    )


def sweep_options(parser: argparse.ArgumentParser) -> None:
    """What `kaito provisioner sweep` takes."""
    parser.add_argument(
        "--delete",
        metavar="NAME",
        nargs="+",
        help="delete these, each after another look at its proof; KIND/NAME where a name is "
        "several things (default: delete nothing)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="with --delete, say what would be deleted; without it nothing is deleted anyway",
    )
    _report_options(parser)
    parser.epilog = (
        "Exit codes: 0 nothing is left over, or all that was named is deleted; 1 something is "
        "left over, or could not be deleted; 2 called wrongly; 69 the cluster or the cloud does "
        "not answer; 78 the settings are wrong."
    )


def ledger_options(parser: argparse.ArgumentParser) -> None:
    """What `kaito provisioner ledger` takes."""
    _report_options(parser)


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    # Where it stands before the command, it is the daemon's option and holds as well.
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="default: $KUBECONFIG, ~/.kube/config, or the pod's own service account",
    )


def daemon_options(parser: argparse.ArgumentParser) -> None:
    """What both daemons take."""
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
        type=seconds,
        default=15.0,
        metavar="S",
        help="how long others wait for a dead leader (default: 15)",
    )
    parser.add_argument(
        "--lease-namespace",
        metavar="NS",
        type=namespace,
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


def plan_options(parser: argparse.ArgumentParser) -> None:
    """What `kaito plan` takes."""
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
        type=namespace,
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
    cloud_option(parser)
    node_options(parser)
    engine_options(parser)
    tuning_options(parser)
    hub_option(parser)
    parser.add_argument(
        "--model-config",
        metavar="[ORG/MODEL=]PATH",
        help="a model that is in no catalogue: its config.json, or the folder with its weights",
    )
    parser.add_argument(
        "--tokens",
        metavar="N",
        type=tokens,
        help="how many tokens a training learns from, in all its epochs, such as 5M: its time and "
        "price are told for these (default: for each million)",
    )


def workspace_options(parser: argparse.ArgumentParser) -> None:
    """Which Workspace of which cluster."""
    parser.add_argument("name", metavar="WORKSPACE")
    _where(parser)


def why_options(parser: argparse.ArgumentParser) -> None:
    """What `kaito why` takes."""
    parser.add_argument(
        "target",
        metavar="WORKSPACE",
        nargs="+",
        help="its name; `workspace NAME` and `workspace/NAME` are the same",
    )
    _where(parser)
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    parser.epilog = (
        "Exit codes: 0 it is ready or on its way; 1 it is not, or could not be looked at; 2 called "
        "wrongly."
    )


def _where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NS",
        type=namespace,
        default="default",
        help="where it is (default: default)",
    )
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config")


def cloud_option(parser: argparse.ArgumentParser) -> None:
    """Whose sizes there are."""
    parser.add_argument(
        "--cloud",
        choices=["azure", "aws", "arc"],
        default="azure",
        help="whose sizes resource.instanceType names (default: azure)",
    )


def node_options(parser: argparse.ArgumentParser) -> None:
    """How nodes are asked for."""
    parser.add_argument(
        "--node-request",
        choices=["machine", "nodeclaim", "nodepool", "byo"],
        default="machine",
        help="what asks for nodes: Machines (default) or NodeClaims, one a node, NodePools of "
        "Karpenter, one a Workspace; byo: nothing, they are brought",
    )
    parser.add_argument(
        "--node-class",
        metavar="GROUP/KIND/NAME",
        type=node_class,
        help="of NodeClaims and NodePools that another provisioner than KAITO's answers, such as "
        "karpenter.azure.com/AKSNodeClass/default",
    )


def node_class(text: str) -> tuple[str, str, str]:
    """A node class as it is written: its API group, its kind and its name."""
    parts = tuple(text.split("/"))
    if len(parts) != 3 or not all(parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no node class; write GROUP/KIND/NAME, such as "
            "karpenter.azure.com/AKSNodeClass/default"
        )
    group, kind, name = parts
    return group, kind, name


def engine_options(parser: argparse.ArgumentParser) -> None:
    """How the engine of presets runs."""
    parser.add_argument(
        "--engine-user",
        metavar="UID",
        type=user,
        default=0,
        help="the user that the engine runs as, for images that need no root (default: the image's "
        "own)",
    )
    parser.add_argument(
        "--nvme-class",
        metavar="NAME",
        default="",
        help="the StorageClass of nodes' own NVMe disks, for weights (default: none)",
    )


def tuning_options(parser: argparse.ArgumentParser) -> None:
    """How models are trained."""
    parser.add_argument(
        "--checkpoint-class",
        metavar="NAME",
        default="",
        help="the StorageClass of disks for checkpoints of trainings whose result is an image "
        "(default: none, and an evicted training begins anew)",
    )
    parser.add_argument(
        "--data-network",
        metavar="CIDR",
        type=network,
        action="append",
        default=[],
        help="a private network that links to training data may lead to all the same; repeatable",
    )
    parser.add_argument(
        "--data-limit",
        metavar="BYTES",
        type=size,
        default=DATA_LIMIT,
        help="how much training data may be loaded, such as 500Mi or 1Ti (default: 20Gi)",
    )


def network(text: str) -> str:
    """A network of addresses."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no network; write an address and the bits of its network, such as "
            "10.1.0.0/16"
        ) from None


def size(text: str) -> int:
    """An amount of bytes, at least one."""
    found = SIZE.fullmatch(text)
    amount = int(found[1]) * 1024 ** UNITS.index(found[2]) if found else 0
    if amount == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no amount of bytes; write a whole number, with Ki, Mi, Gi or Ti behind it"
        )
    return amount


def tokens(text: str) -> int:
    """A number of tokens; k, M and G are thousands, millions and billions."""
    digits, times = (text[:-1], TIMES[text[-1:]]) if text[-1:] in TIMES else (text, 1)
    plain = digits.isascii() and digits.isdecimal() and len(digits) <= TOKEN_DIGITS
    if not plain or not int(digits):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of tokens: write a whole number such as 5000000 or 5M"
        )
    return int(digits) * times


def user(text: str) -> int:
    """The number of a user that is not root."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= USER_DIGITS else 0
    if not 0 < number < MOST_USERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no user: write a number from 1 on")
    return number


def hub_option(parser: argparse.ArgumentParser) -> None:
    """Where models that are in no catalogue are read."""
    parser.add_argument(
        "--hub",
        metavar="URL",
        type=hub_address,
        default=HUB,
        help="where models that are in no catalogue are read, with the token in $HF_TOKEN if "
        f"there is one; {NO_HUB}: nowhere (default: {HUB})",
    )


def webhook_options(parser: argparse.ArgumentParser) -> None:
    """Where the webhook is."""
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


def hub_address(text: str) -> str:
    """An address of a hub, or NO_HUB."""
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


def port(text: str) -> int:
    """A port; 0 for a free one."""
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; take 0 to 65535")
    return int(text)


def amount(text: str) -> int:
    """A number of nodes, pools or times."""
    if not text.isdigit() or int(text) > 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; take 0 to 10000")
    return int(text)


def namespaces(text: str) -> tuple[str, ...]:
    """Names of namespaces, separated by commas."""
    # A list of a namespace that cannot be is empty for ever, and the daemon would sit idle.
    return tuple(dict.fromkeys(namespace(name.strip()) for name in text.split(",")))


def namespace(text: str) -> str:
    """The name of a namespace."""
    if not NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no namespace; take 1 to 63 lower-case letters, digits and inner hyphens"
        )
    return text


def seconds(text: str) -> float:
    """A time."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no lease time; take 1 to 3600 seconds")
    return seconds
