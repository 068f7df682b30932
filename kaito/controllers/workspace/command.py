"""The command that serves a model: an engine's entry point and its flags, in one fixed order.

A list of arguments and never a shell's line, so nothing that a user writes can be a command.
"""

from __future__ import annotations

from kaito.api import labels
from kaito.catalog.precision import cache_type
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.presets import preset_of
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.weights import DIRECTORY, weights

ENTRY = ("python3", "/workspace/vllm/inference_api.py")
# Of transformers: one process, which spreads the model over all GPUs of the node.
LAUNCH = (
    *("accelerate", "launch", "--num_processes=1", "--num_machines=1", "--machine_rank=0"),
    *("--gpu_ids=all", "/workspace/tfs/inference_api.py"),
)
CONFIG = "/mnt/config"
CONFIG_FILE = f"{CONFIG}/inference_config.yaml"
BALANCED = "balanced"  # the engine's own performance mode
CHAT_TEMPLATES = "/workspace/chat_templates"
MISTRAL = "mistral"
RUNAI = "runai_streamer"  # reads weights of a disk or a store fastest

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
    transformers = runtime_of(plan.workspace) == "transformers"
    entry, told = (LAUNCH, _of_transformers(plan)) if transformers else (ENTRY, flags(plan))
    return [*entry, *(f"--{name}={value}" if value else f"--{name}" for name, value in told)]


def flags(plan: Plan) -> list[tuple[str, str]]:
    """What vLLM is told: names and values; a flag with an empty value stands alone."""
    model, gpus, split = plan.model, plan.gpus, plan.estimate
    inference = plan.workspace.inference
    assert model is not None
    assert gpus is not None
    assert split is not None
    assert inference is not None
    assert inference.preset is not None
    source = weights(plan)
    found = [
        ("model", source.model),
        # What the author calls it is what clients will call it.
        ("served-model-name", inference.preset.name),
        *([("download-dir", DIRECTORY)] if source.origin == "hub" else ()),
        ("dtype", _dtype(plan)),
        ("max-model-len", "auto"),
        ("gpu-memory-utilization", f"{gpus.memory_share:g}"),
        ("tensor-parallel-size", str(split.tensor_parallel)),
    ]
    if split.data_parallel > 1:
        found.append(("data-parallel-size", str(split.data_parallel)))
    if split.pipeline_parallel > 1:
        found.append(("pipeline-parallel-size", str(split.pipeline_parallel)))
    if plan.nodes > 1:
        found.append(("distributed-executor-backend", "ray"))
    if split.tensor_parallel > 1:
        # Its buffers take 1.5 GiB of each GPU from Hopper on.
        found.append(("compilation-config.pass_config.fuse_allreduce_rms", "False"))
    found += _revision(plan)
    if model.remote_code:
        found.append(("trust-remote-code", ""))
    if model.mistral_format:
        found += [(name, MISTRAL) for name in ("load-format", "config-format", "tokenizer-mode")]
    elif source.origin == "host":
        found.append(("load-format", RUNAI))
    if model.tool_parser:
        found += [("tool-call-parser", model.tool_parser), ("enable-auto-tool-choice", "")]
    if model.reasoning_parser:
        found.append(("reasoning-parser", model.reasoning_parser))
    if model.chat_template:
        found.append(("chat-template", f"{CHAT_TEMPLATES}/tool-chat-{model.chat_template}.jinja"))
    found += [flag for prefix, flag in BY_NAME if model.name.lower().startswith(prefix)]
    if cache_type(model) != "auto":
        found.append(("kv-cache-dtype", cache_type(model)))
    if inference.adapters:
        found.append(("enable-lora", ""))
    mode = plan.workspace.metadata.annotations.get(labels.PERFORMANCE_MODE, "").lower()
    if mode not in ("", BALANCED):
        found.append(("performance-mode", mode))
    if inference.config:
        found.append(("kaito-config-file", CONFIG_FILE))
    return found


def _of_transformers(plan: Plan) -> list[tuple[str, str]]:
    """What the transformers server is told. The template of a chat comes with the weights."""
    model, preset, source = plan.model, preset_of(plan.workspace), weights(plan)
    assert model is not None
    assert preset is not None
    found = [
        ("pipeline", "text-generation"),
        ("torch_dtype", _dtype(plan)),
        ("pretrained_model_name_or_path", source.model),
        *([("allow_remote_files", ""), ("cache_dir", DIRECTORY)] if source.origin == "hub" else ()),
        ("served_model_name", preset.name),
        *_revision(plan),
    ]
    if model.remote_code:
        found.append(("trust_remote_code", ""))
    return found


def _dtype(plan: Plan) -> str:
    assert plan.model is not None
    assert plan.estimate is not None
    return "auto" if plan.model.quantization else plan.estimate.precision.dtype


def _revision(plan: Plan) -> list[tuple[str, str]]:
    """The files that the estimate was made from, and no later ones."""
    model = plan.model
    if model is None or not plan.stranger or model.revision is None:
        return []
    return [("revision", model.revision)] if weights(plan).origin == "hub" else []
