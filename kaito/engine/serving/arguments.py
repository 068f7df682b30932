"""What the server is told: its arguments, as a Workspace's controller gives them, and variables."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PORT = 5000
ADAPTERS = "/mnt/adapter"
WEIGHTS = "/workspace/tfs/weights"
KEY = "KAITO_API_KEY"
RUNNING, WAITING = 16, 32
DRAIN = 20  # seconds; Kubernetes kills 30 seconds after SIGTERM unless a Pod says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve what."""

    model: str
    """A name on Hugging Face, or a directory."""
    name: str
    """What clients call it."""
    host: str = ""
    """The address to listen on; "" for all, for a Pod is asked from outside."""
    port: int = PORT
    dtype: str = "auto"
    device: str = "auto"
    revision: str = "main"
    quantization: str | None = None
    trust_remote_code: bool = False
    remote: bool = False
    """Whether files may be fetched from Hugging Face."""
    cache: str = ""
    """Where what is fetched lies; "" for Hugging Face's own choice."""
    chat_template: str = ""
    """A file with the template of a chat; "" for the model's own."""
    adapters: Path = Path(ADAPTERS)
    """A directory with one folder for each adapter."""
    running: int = RUNNING
    """How many requests are answered at once."""
    waiting: int = WAITING
    """How many more may wait for that."""
    drain: int = DRAIN
    """Seconds that answers under way have after SIGTERM."""
    key: str = ""
    """What clients must bring, "" for nothing."""


def parse(arguments: Sequence[str], variables: Mapping[str, str]) -> Settings:
    """The settings; exits with a sentence on standard error when arguments are wrong."""
    parser = argparse.ArgumentParser(prog="serving", description=__doc__, allow_abbrev=False)
    parser.add_argument("--pipeline", choices=["text-generation"], default="text-generation")
    parser.add_argument("--pretrained_model_name_or_path", default=WEIGHTS, metavar="MODEL")
    parser.add_argument("--served_model_name", default="", help="default: the model's last part")
    parser.add_argument("--torch_dtype", default="auto")
    parser.add_argument("--device_map", default="auto", help="auto, cpu, cuda:0 ...")
    parser.add_argument("--revision", default="main")
    parser.add_argument("--cache_dir", default="")
    parser.add_argument("--chat_template", default="", help="a file")
    parser.add_argument("--allow_remote_files", action="store_true")
    parser.add_argument("--trust_remote_code", action="store_true")
    quantized = parser.add_mutually_exclusive_group()
    quantized.add_argument("--load_in_4bit", action="store_true")
    quantized.add_argument("--load_in_8bit", action="store_true")
    parser.add_argument("--host", default="", help="default: all addresses")
    parser.add_argument("--port", type=_port, default=PORT)
    parser.add_argument("--adapters_dir", type=Path, default=Path(ADAPTERS))
    parser.add_argument("--max_running", type=_positive, default=RUNNING)
    parser.add_argument("--max_waiting", type=_count, default=WAITING)
    parser.add_argument("--drain_seconds", type=_count, default=DRAIN)
    said = parser.parse_args(arguments)
    model: str = said.pretrained_model_name_or_path
    return Settings(
        model=model,
        name=said.served_model_name or model.rstrip("/").rpartition("/")[2],
        host=said.host,
        port=said.port,
        dtype=said.torch_dtype,
        device=said.device_map,
        revision=said.revision,
        quantization=_quantization(said),
        trust_remote_code=said.trust_remote_code,
        remote=said.allow_remote_files,
        cache=said.cache_dir,
        chat_template=said.chat_template,
        adapters=said.adapters_dir,
        running=said.max_running,
        waiting=said.max_waiting,
        drain=said.drain_seconds,
        key=variables.get(KEY, ""),
    )


def environment(settings: Settings) -> dict[str, str]:
    """What Hugging Face's libraries read when they are imported, and not later."""
    found = {} if settings.remote else {"HF_HUB_OFFLINE": "1"}
    if settings.cache:
        found["HF_HUB_CACHE"] = settings.cache
    # Threads that wait for one another by spinning starve everybody else on a shared CPU.
    if "OMP_WAIT_POLICY" not in os.environ:
        found["OMP_WAIT_POLICY"] = "PASSIVE"
    return found


def _quantization(said: argparse.Namespace) -> str | None:
    if said.load_in_4bit:
        return "bnb-4bit"
    return "bnb-8bit" if said.load_in_8bit else None


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _port(text: str) -> int:
    value = _count(text)
    if value > 65535:
        raise argparse.ArgumentTypeError("must be at most 65535")
    return value


def _positive(text: str) -> int:
    value = _count(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
