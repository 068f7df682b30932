"""A model from its own configuration: the config.json of Hugging Face, or Mistral's params.json.

Pure: where the configuration comes from is for others. Whatever stands in it, the result is a Model
whose figures are positive and finite, or Unreadable.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace

from kaito.catalog.cache import Cache
from kaito.catalog.config import LONGEST, Config, Unreadable
from kaito.catalog.context import ASSUMED, LENGTHS, MISTRAL, context_of
from kaito.catalog.defaults import Defaults, defaults, version
from kaito.catalog.engine import Engine, engine
from kaito.catalog.layers import WIDTHS, Shape, caches
from kaito.catalog.model import Access, Model
from kaito.catalog.projection import LAYOUTS

GIB = 1024**3
BILLION = 10**9

# Where the models of twelve years of transformers keep the same figure; upstream's order, and more.
HIDDEN = ("hidden_size", "n_embd", "d_model", "dim", "n_embed")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads")
KV_HEADS = ("num_key_value_heads", "n_head_kv", "n_kv_heads", "num_kv_heads")
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels")
INTERMEDIATE = ("intermediate_size", "ffn_hidden_size", "n_inner")
VOCABULARY = ("vocab_size", "padded_vocab_size")
FIELDS = {
    "context": LENGTHS,
    "layers": LAYERS,
    "hidden": HIDDEN,
    "heads": HEADS,
    "kv_heads": KV_HEADS,
    "head_dim": HEAD_DIM,
    "vocabulary": VOCABULARY,
}
"""By the figure of a model; the first is what the messages call it."""

NESTED = ("text_config", "llm_config", "language_config")  # a multimodal model's language model
WHOLE = 8  # bits: quantised weights that are stored one by one
LONGEST_NAME = 80  # characters of a stranger's word that is kept
BITS = {  # of the weights, by the name of the method where it alone decides
    **dict.fromkeys(("fp8", "FP8", "float-quantized", "fbgemm_fp8"), 8),
    **dict.fromkeys(("mxfp4", "nvfp4", "NVFP4", "nvfp4-pack-quantized"), 4),
}


def model_of(
    name: str,
    config: Mapping[str, object],
    *,
    source: str,
    weights_bytes: int | None = None,
    parameters: int | None = None,
    revision: str | None = None,
    date: datetime.date | None = None,
    access: Access | None = None,
    license: str | None = None,  # noqa: A002 (the field of Model that it fills)
    mistral_format: bool = False,
) -> Model:
    """The model with this configuration.

    `parameters`: how many numbers the weight files hold, which are no parameters where several are
    packed into one; without it they follow from the size of weights that are not quantised.
    `mistral_format`: its weights are Mistral's consolidated files; so they are, too, when the
    configuration is a params.json. Raises Unreadable when a figure has a wrong type or contradicts
    another, and when the engine runs none of its architectures.
    """
    told = _merged(Config(name, config))
    architecture = _architecture(told, engine())
    lacking = _defaults(told)
    length = context_of(told, default=lacking.context)
    rank = told.number("kv_lora_rank")
    rope = told.number("qk_rope_head_dim", least=0) if rank is not None else None
    method, bits = _quantization(told)
    dtype = _dtype(told)
    if method is not None and bits != WHOLE:
        parameters = None
    weights = None if weights_bytes is None else round(weights_bytes / GIB, 2)
    groups: tuple[Cache, ...] = ()
    untold = None
    layers, hidden, heads, kv_heads, head_dim = _shape(told, lacking)
    if layers is not None and kv_heads is not None and head_dim is not None:
        groups, untold = caches(
            told,
            Shape(
                layers=layers,
                kv_heads=kv_heads,
                head_dim=head_dim,
                context=length.tokens,
                latent=None if rank is None else rank + (rope or 0),
            ),
        )
    model = Model(
        name=name,
        weights_gib=weights,
        parameters_b=parameters_b(weights, None if method else dtype)
        if parameters is None
        else round(parameters / BILLION, 2),
        context=length.tokens,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        # Elsewhere it may be a list, or of some layers alone.
        intermediate=told.number(*INTERMEDIATE) if architecture in LAYOUTS else None,
        kv_lora_rank=rank,
        rope_head_dim=rope,
        vocabulary=told.number(*VOCABULARY) or lacking.vocabulary,
        architecture=architecture,
        dtype=dtype,
        quantization=method,
        quantization_bits=bits,
        mistral_format=mistral_format or _is_params(told),
        tool_parser=engine().tool.of(name, architecture),
        reasoning_parser=engine().reasoning.of(name, architecture),
        chat_template=engine().chat_template.of(name, architecture),
        remote_code=bool(told.section("auto_map").fields),
        access=access,
        license=license,
        revision=revision,
        caches=groups,
        source="; ".join([source, *_inherited(told, lacking)]),
        date=date,
    )
    return replace(model, unknown=_unknown(model, untold, assumed=length.assumed))


def parameters_b(weights_gib: float | None, dtype: str | None) -> float | None:
    """Billions of parameters in weights of one data type; None when that is not known."""
    if weights_gib is None or dtype not in WIDTHS:
        return None
    return round(weights_gib * GIB / WIDTHS[dtype] / BILLION, 2)


def _merged(config: Config) -> Config:
    """With the fields of its language model, where it is one model of several."""
    thinker = config.section("thinker_config")
    nested = config.section(*NESTED).over(thinker.section("text_config"))
    return config.over(nested)


def _defaults(config: Config) -> Defaults:
    """What its class has for the fields that it leaves out."""
    if _is_params(config):
        return Defaults(context=MISTRAL)
    # Where it is one model of several, the class is the language model's, which may go unnamed.
    kind = config.section(*NESTED).text("model_type") or config.text("model_type") or ""
    found = defaults(kind)
    return defaults(f"{kind}_text") if found == Defaults() else found


def _inherited(config: Config, lacking: Defaults) -> list[str]:
    """The fields that came from its class, and whose class it is."""
    fields = [
        keys[0]
        for figure, keys in FIELDS.items()
        if getattr(lacking, figure) is not None and not config.fields.keys() & set(keys)
    ]
    if not fields:
        return []
    if _is_params(config):
        return [f"vLLM {engine().version} ({', '.join(fields)})"]
    return [f"defaults of transformers {version()} ({', '.join(fields)})"]


def _is_params(config: Config) -> bool:
    return {"dim", "n_layers"} <= config.fields.keys()


def _architecture(config: Config, engine: Engine) -> str:
    """The first that the engine runs, of those that write text."""
    named = config.texts("architectures") or []
    if not named and _is_params(config):
        named = [_params_architecture(config)]
    for architecture in named:
        if architecture in engine.pooling:
            raise Unreadable(
                f"The architecture of {config.owner} is {architecture}, which turns text into "
                "vectors, scores or labels and writes none: name a model that does."
            )
        if architecture in engine.drafts:
            raise Unreadable(
                f"The architecture of {config.owner} is {architecture}, which only guesses ahead "
                "for another model: name the model that it is made for."
            )
        if architecture in engine.architectures:
            return architecture
    if not named:
        raise Unreadable(
            f"The configuration of {config.owner} has no architectures, by which vLLM chooses how "
            "to run a model: give the config.json that comes with the weights, or name another "
            "model."
        )
    name = named[0][:LONGEST_NAME]
    near = engine.architectures_like(name)
    instead = f"; the nearest that it runs: {', '.join(near)}" if near else ""
    raise Unreadable(
        f"{config.owner} is a {name}, which vLLM {engine.version} does not run{instead}: name a "
        "model with one of its architectures, or run this one by inference.template."
    )


def _params_architecture(config: Config) -> str:
    """What vLLM makes of a params.json (vllm/transformers_utils/configs/mistral.py)."""
    experts = config.section("moe")
    if config.section("vision_encoder").fields or config.section("multimodal").fields:
        return "PixtralForConditionalGeneration"
    if not experts.fields:
        return "MistralForCausalLM"
    shared = experts.number("num_shared_experts", least=0)
    return "MistralLarge3ForCausalLM" if shared else "MixtralForCausalLM"


def _shape(
    config: Config, lacking: Defaults
) -> tuple[int | None, int | None, int | None, int | None, int | None]:
    """Layers, hidden size, heads, heads of keys and values, size of a head."""
    layers = config.number(*LAYERS) or len(config.texts("layers_block_type") or ()) or None
    if layers is None and not config.is_list("layers_block_type"):
        layers = lacking.layers
    if layers is not None and layers > LONGEST:
        raise Unreadable(
            f"The configuration of {config.owner} has {layers} layers, more than any model: "
            "correct it, or name another model."
        )
    hidden = config.number(*HIDDEN) or lacking.hidden
    heads = config.number(*HEADS) or lacking.heads
    kv_heads = _kv_heads(config) or lacking.kv_heads or heads
    head_dim = config.number(*HEAD_DIM) or lacking.head_dim
    if head_dim is None and hidden is not None and heads is not None:
        head_dim = hidden // heads
    if head_dim == 0:
        raise Unreadable(
            f"The configuration of {config.owner} has more attention heads ({heads}) than its "
            f"hidden size ({hidden}) can be divided by: correct it, or name another model."
        )
    if heads is not None and kv_heads is not None and heads % kv_heads:
        raise Unreadable(
            f"The configuration of {config.owner} has {heads} attention heads, which cannot share "
            f"{kv_heads} heads of keys and values evenly: correct it, or name another model."
        )
    return layers, hidden, heads, kv_heads, head_dim


def _kv_heads(config: Config) -> int | None:
    # Falcon 7B writes a number beside multi_query that holds for its newer siblings alone.
    if config.flag("multi_query") and not config.flag("new_decoder_architecture"):
        return 1
    if config.flag("multi_query_attention"):  # ChatGLM
        return config.number("multi_query_group_num") or 1
    nested = config.section("attn_config").number("kv_n_heads")  # MPT, DBRX
    return config.number(*KV_HEADS) or nested


def _quantization(config: Config) -> tuple[str | None, int | None]:
    """What the weights are quantised by, and to how many bits."""
    told = config.section("quantization_config", "compression_config")
    method = told.text("format", "quant_algo", "quant_method")
    if method is None and config.section("quantization").fields:
        told = config.section("quantization")
        weights = told.text("qformat_weight") or ""
        method = "fp8" if weights.startswith("fp8") else told.text("format", "quant_method")
    if method is None:
        return None, None
    return method[:LONGEST_NAME], told.number("bits", "w_bit") or _bits(told) or BITS.get(method)


def _bits(told: Config) -> int | None:
    """Of the groups that compressed-tensors tells apart, where they agree."""
    groups = told.section("config_groups")
    found = {groups.section(key).section("weights").number("num_bits") for key in groups.fields}
    return found.pop() if len(found) == 1 else None


def _dtype(config: Config) -> str | None:
    name = (config.text("torch_dtype", "dtype") or "").removeprefix("torch.")
    return name if name in WIDTHS else None


def _unknown(model: Model, untold: str | None, *, assumed: bool) -> str | None:
    names = [FIELDS[fact][0] if fact in FIELDS else fact for fact in model.missing]
    reasons = [f"does not tell {', '.join(names)}"] if names else []
    if assumed:
        reasons.append(
            f"does not tell {LENGTHS[0]}: vLLM takes {ASSUMED:,} tokens for the longest context"
        )
    if untold is not None:
        reasons.append(
            f"does not tell {untold}: its cache is counted as if every layer remembered every token"
        )
    return f"its configuration {' and '.join(reasons)}" if reasons else None
