"""The options of `kaito models` and `kaito skus`: which of the catalogue is asked for.

The standard library alone, because the parser of every command loads it.
"""

from __future__ import annotations

import argparse
import re
from math import isfinite

CLOUDS = ("azure", "aws", "arc")
DTYPES = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    **{name: name for name in ("float32", "float16", "bfloat16", "int8", "fp8", "fp4")},
}
"""What may be written for a data type, and the name that it has in the catalogue."""


def models_options(parser: argparse.ArgumentParser) -> None:
    """Which models, and where they are to run."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="everything that is known of this one"
    )
    parser.add_argument(
        "--size", metavar="SKU", help="those that run on nodes of this size, and on how many"
    )
    parser.add_argument(
        "--cloud", choices=CLOUDS, help="whose sizes and prices count (default: azure)"
    )
    parser.add_argument(
        "--quantization", metavar="Q", help="fp8, mxfp4, ...; none for weights as they were trained"
    )
    parser.add_argument("--license", metavar="L", help="apache-2.0, mit, ...")
    parser.add_argument(
        "--access", choices=["open", "gated"], help="whether the weights need a token"
    )
    parser.add_argument("--architecture", metavar="A", help="such as LlamaForCausalLM")
    parser.add_argument("--search", metavar="TEXT", help="those with this in a name")
    parser.add_argument(
        "--max-weights", metavar="GIB", type=_amount, help="those with no larger weights"
    )
    parser.add_argument(
        "--historical", action="store_true", help="presets of earlier releases, too"
    )
    _output(parser)


def skus_options(parser: argparse.ArgumentParser) -> None:
    """Which sizes."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="everything that is known of this one"
    )
    parser.add_argument("--cloud", choices=CLOUDS, help="default: azure")
    parser.add_argument("--gpu", metavar="GPU", help="A100, H100, ...")
    parser.add_argument("--count", metavar="N", type=_number, help="with so many GPUs")
    parser.add_argument(
        "--min-memory", metavar="GIB", type=_amount, help="with as much GPU memory in all"
    )
    parser.add_argument(
        "--max-price", metavar="USD", type=_amount, help="an hour, by the cloud's list"
    )
    parser.add_argument(
        "--dtype",
        choices=sorted(DTYPES),
        metavar="TYPE",
        help="whose GPUs compute in it: fp32, fp16, bf16, int8, fp8 or fp4",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="that run this model on one node, and its context there"
    )
    parser.add_argument(
        "--retired", action="store_true", help="those that their cloud offers no more, too"
    )
    _output(parser)


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=["text", "wide", "json"],
        default="text",
        help="text is 80 columns wide; wide tells more, a line each",
    )


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not (isfinite(amount) and amount >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount; take a number from 0 on")
    return amount


def _number(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of GPUs; take 1 or more")
    return int(text)
