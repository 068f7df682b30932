"""The command that serves a model: the engine's entry point and its flags, in one fixed order.

A list of arguments and never a shell's line, so nothing that a user writes can be a command.
"""

from __future__ import annotations

from kaito.catalog.precision import cache_type
from kaito.controllers.workspace.plan import Plan

ENTRY = ("python3", "/workspace/vllm/inference_api.py")
WEIGHTS = "/workspace/weights"
CONFIG = "/mnt/config"
CONFIG_FILE = f"{CONFIG}/inference_config.yaml"
CHAT_TEMPLATES = "/workspace/chat_templates"
MISTRAL = "mistral"

# What some models need besides, by the beginning of their names in lower case (kaito.md 3.6).
# Every entry that matches applies, in this order.
BY_NAME = (
    ("deepseek-ai/deepseek-r1-0", ("tokenizer-mode", "deepseek_v32")),
    ("deepseek-ai/deepseek-v3", ("tokenizer-mode", "deepseek_v32")),
    ("deepseek-ai/deepseek-v4", ("tokenizer-mode", "deepseek_v4")),
    ("qwen/qwen3.5", ("gdn-prefill-backend", "triton")),
    ("qwen/qwen3.6", ("gdn-prefill-backend", "triton")),
    ("qwen/qwen3.8", ("gdn-prefill-backend", "triton")),
    ("minimaxai/minimax-m2", ("enable-expert-parallel", "")),
    ("deepseek-ai/deepseek-v3.2", ("kernel-config.enable_flashinfer_autotune", "False")),
)


def command(plan: Plan) -> list[str]:
    """The container's command; equal plans have equal commands."""
    return [*ENTRY, *(f"--{name}={value}" if value else f"--{name}" for name, value in flags(plan))]


def flags(plan: Plan) -> list[tuple[str, str]]:
    """Names and values; a flag with an empty value stands alone."""
    model, gpus, split = plan.model, plan.gpus, plan.estimate
    inference = plan.workspace.inference
    assert model is not None
    assert gpus is not None
    assert split is not None
    assert inference is not None
    assert inference.preset is not None
    found = [
        ("model", model.name),
        # What the author calls it is what clients will call it.
        ("served-model-name", inference.preset.name),
        ("download-dir", WEIGHTS),
        ("dtype", "auto" if model.quantization else split.precision.dtype),
        ("max-model-len", "auto"),
        ("gpu-memory-utilization", f"{gpus.memory_share:g}"),
        ("tensor-parallel-size", str(split.tensor_parallel)),
    ]
    if split.data_parallel > 1:
        found.append(("data-parallel-size", str(split.data_parallel)))
    if split.pipeline_parallel > 1:
        found.append(("pipeline-parallel-size", str(split.pipeline_parallel)))
    if split.tensor_parallel > 1:
        # Its buffers take 1.5 GiB of each GPU from Hopper on.
        found.append(("compilation-config.pass_config.fuse_allreduce_rms", "False"))
    if plan.stranger and model.revision:
        # The files that the estimate was made from, and no later ones.
        found.append(("revision", model.revision))
    if model.remote_code:
        found.append(("trust-remote-code", ""))
    if model.mistral_format:
        found += [(name, MISTRAL) for name in ("load-format", "config-format", "tokenizer-mode")]
    if model.tool_parser:
        found += [("tool-call-parser", model.tool_parser), ("enable-auto-tool-choice", "")]
    if model.reasoning_parser:
        found.append(("reasoning-parser", model.reasoning_parser))
    if model.chat_template:
        found.append(("chat-template", f"{CHAT_TEMPLATES}/tool-chat-{model.chat_template}.jinja"))
    found += [flag for prefix, flag in BY_NAME if model.name.lower().startswith(prefix)]
    if cache_type(model) != "auto":
        found.append(("kv-cache-dtype", cache_type(model)))
    if inference.config:
        found.append(("kaito-config-file", CONFIG_FILE))
    return found
