"""Some of vLLM's arguments."""

from __future__ import annotations

import argparse


def make_arg_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("model_tag", nargs="?")
    for name in ("model", "download-dir", "max-model-len", "disable-access-log-for-endpoints"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--shutdown-timeout", type=int, default=0)
    parser.add_argument("--max-lora-rank", type=int, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512])
    parser.add_argument("--lora-modules", nargs="+", default=[])
    parser.add_argument("--middleware", action="append", default=[])
    parser.add_argument("--enable-lora", action=argparse.BooleanOptionalAction)
    return parser
