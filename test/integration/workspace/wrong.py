"""Manifests that are wrong in one way each: where, in which words, and who can tell.

`cel` ones are refused by the API server alone; the others need the catalogue, the annotations or
another object, and so the webhook.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaito.runtime import Object

SERVE: Object = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "metadata": {"name": "w", "namespace": "default"},
    "resource": {
        "instanceType": "Standard_NC24ads_A100_v4",
        "labelSelector": {"matchLabels": {"apps": "phi-3"}},
    },
    "inference": {"preset": {"name": "phi-3-mini-4k-instruct"}},
}
TUNE: Object = {
    **{name: SERVE[name] for name in ("apiVersion", "kind", "metadata", "resource")},
    "tuning": {
        "preset": {"name": "phi-3-mini-128k-instruct"},
        "method": "qlora",
        "input": {"urls": ["https://huggingface.co/datasets/a/b/resolve/main/train.parquet"]},
        "output": {"image": "registry.example.com/adapter:1", "imagePushSecret": "push"},
    },
}
ADAPTER: Object = {"source": {"name": "a", "image": "registry.example.com/a:1"}, "strength": "1.0"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """`changes` are by dotted path into `base`; None removes."""

    changes: Mapping[str, Any]
    path: str
    words: str
    cel: bool = True
    base: str = "serve"

    @property
    def manifest(self) -> Object:
        made = copy.deepcopy(SERVE if self.base == "serve" else TUNE)
        for path, value in self.changes.items():
            *parents, last = path.split(".")
            inner = made
            for step in parents:
                inner = inner.setdefault(step, {})
            if value is None:
                inner.pop(last, None)
            else:
                inner[last] = copy.deepcopy(value)
        return made

    def __str__(self) -> str:
        return f"{self.path or '<root>'}: {self.words}"


def adapters(*given: Mapping[str, Any]) -> dict[str, Any]:
    return {"inference.adapters": list(given)}


def source(**fields: Any) -> dict[str, Any]:
    return adapters({"source": {"name": "a", "image": "r.io/a:1", **fields}})


def noted(key: str, value: str) -> dict[str, Any]:
    return {"metadata": {"name": "w", "namespace": "default", "annotations": {key: value}}}


def expression(**fields: Any) -> dict[str, Any]:
    return {"resource.labelSelector": {"matchExpressions": [{"key": "a", **fields}]}}


SELECTOR = "resource.labelSelector"
SOURCE = "inference.adapters[0].source"
OPTIONS = "inference.preset.presetOptions"
WRONG = (
    # Names and shape.
    Wrong({"metadata.name": "9lives"}, "", "start with a letter"),
    Wrong({"metadata.name": "a" * 64}, "", "at most 63 characters"),
    Wrong({"inference": None}, "", "Neither inference nor tuning is set"),
    Wrong({"tuning": TUNE["tuning"]}, "", "inference and tuning are both set"),
    Wrong({"inference.preset": None}, "inference", "neither preset nor template"),
    Wrong(
        {"inference.template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
        "inference",
        "both preset and template",
    ),
    Wrong({"resource": None}, "resource", "Required value"),
    Wrong({SELECTOR: None}, SELECTOR, "Required value"),
    Wrong({"inference.preset.name": ""}, "inference.preset.name", "at least 1"),
    Wrong({"inference.preset.accessMode": "secret"}, "inference.preset.accessMode", "Unsupported"),
    Wrong({"inference.config": "a/b"}, "inference.config", "name of a ConfigMap"),
    Wrong({f"{OPTIONS}.modelAccessSecret": "a: b"}, f"{OPTIONS}.modelAccessSecret", "of a Secret"),
    Wrong({f"{OPTIONS}.imagePullSecrets": [""]}, f"{OPTIONS}.imagePullSecrets[0]", "of a Secret"),
    Wrong({f"{OPTIONS}.image": "r.io/A"}, f"{OPTIONS}.image", "no image reference"),
    Wrong(
        {"inference.preset.accessMode": "private"},
        f"{OPTIONS}.image",
        "is not set, and accessMode is private",
    ),
    # Nodes.
    Wrong({"resource.instanceType": "a b"}, "resource.instanceType", "letters, digits"),
    Wrong({"resource.preferredNodes": ["Node 1"]}, "resource.preferredNodes[0]", "of a Node"),
    Wrong({f"{SELECTOR}.matchLabels": {"a": "b c"}}, f"{SELECTOR}.matchLabels[a]", "letters,"),
    Wrong(
        expression(operator="In", values=["b c"]),
        f"{SELECTOR}.matchExpressions[0].values[0]",
        "must be letters, digits",
    ),
    Wrong({"resource.count": 0}, "resource.count", "greater than or equal to 1"),
    Wrong({"resource.count": "two"}, "resource.count", "must be of type integer"),
    Wrong({f"{SELECTOR}.matchLabels": {"a b": "c"}}, f"{SELECTOR}.matchLabels", "no label key"),
    Wrong(expression(operator="Exists"), f"{SELECTOR}.matchExpressions[0]", "one label equals"),
    Wrong(
        expression(operator="In", values=["x", "y"]),
        f"{SELECTOR}.matchExpressions[0]",
        "one label equals one value",
    ),
    Wrong(
        {"resource.partition": {"mode": "mig", "count": 1}},
        "resource.partition",
        "profile with mode mig",
    ),
    Wrong({"resource.partition": {"mode": "half"}}, "resource.partition.mode", "Unsupported"),
    # Adapters.
    Wrong(adapters({"strength": "1"}), "inference.adapters[0].source", "source is not set"),
    Wrong(adapters(ADAPTER, ADAPTER), "inference.adapters", "two adapters of one name"),
    Wrong(source(name="A b"), f"{SOURCE}.name", "must be lower-case"),
    Wrong(source(urls=["https://a.b/c"]), f"{SOURCE}.urls", "urls cannot be used"),
    Wrong(adapters({"source": {"name": "a", "urls": ["u"]}}), f"{SOURCE}.urls", "cannot be used"),
    Wrong(source(imagePullSecrets=["a/b"]), f"{SOURCE}.imagePullSecrets[0]", "name of a Secret"),
    Wrong(
        source(volumeSource={"emptyDir": {}}),
        "inference.adapters[0].source",
        "exactly one of image and volumeSource",
    ),
    Wrong(source(image="r.io/A:1"), "inference.adapters[0].source.image", "no image reference"),
    Wrong(
        source(image="ACR_REPO_HERE.azurecr.io/a:1"),
        "inference.adapters[0].source.image",
        "still holds the placeholder",
    ),
    Wrong(
        adapters({**ADAPTER, "strength": "1.5"}),
        "inference.adapters[0].strength",
        "a number from 0 to 1",
    ),
    Wrong(
        adapters(*({"source": {"name": f"a{n}", "image": "i"}} for n in range(11))),
        "inference.adapters",
        "at most 10 items",
    ),
    # Tuning.
    Wrong({"tuning.method": "full"}, "tuning.method", "must be lora or qlora", base="tune"),
    Wrong({"tuning.method": None}, "tuning.method", "must be lora or qlora", base="tune"),
    Wrong({"tuning.config": "../x"}, "tuning.config", "name of a ConfigMap", base="tune"),
    Wrong(
        {"tuning.output.imagePushSecret": "My Secret!"},
        "tuning.output.imagePushSecret",
        "name of a Secret",
        base="tune",
    ),
    Wrong({"tuning.input": {}}, "tuning.input", "exactly one of urls, image", base="tune"),
    Wrong(
        {"tuning.input": {"urls": ["s3://b/d"]}},
        "tuning.input.urls[0]",
        "an http or https link",
        base="tune",
    ),
    Wrong(
        {"tuning.input": {"urls": ["https://DATA_SET_HERE/x"]}},
        "tuning.input.urls[0]",
        "still holds the placeholder",
        base="tune",
    ),
    Wrong({"tuning.output": {}}, "tuning.output", "exactly one of image", base="tune"),
    Wrong(
        {"tuning.output.imagePushSecret": None},
        "tuning.output.imagePushSecret",
        "imagePushSecret is not set",
        base="tune",
    ),
    Wrong({"resource.count": 2}, "resource.count", "must be 1 for tuning", base="tune"),
    Wrong(
        {"resource.partition": {"mode": "mig", "profile": "1g.5gb"}},
        "resource.partition",
        "partition cannot be used for tuning",
        base="tune",
    ),
    # What the catalogue, the annotations and addresses tell.
    Wrong({"inference.preset.name": "phi-9"}, "inference.preset.name", "no model that", cel=False),
    Wrong({"tuning.preset.name": "gpt"}, "tuning.preset.name", "no model", cel=False, base="tune"),
    Wrong(
        {"inference.preset.name": "llama-3.1-8b-instruct"},
        "inference.preset.presetOptions.modelAccessSecret",
        "is gated",
        cel=False,
    ),
    Wrong(
        {"resource.instanceType": "p3.2xlarge"}, "resource.instanceType", "no GPU size", cel=False
    ),
    Wrong(
        {f"{SELECTOR}.matchLabels": {"kubernetes.io/arch": "arm64"}},
        SELECTOR,
        "leave that label out",
        cel=False,
    ),
    Wrong(
        {f"{SELECTOR}.matchLabels": {"kaito.sh/workspace": "other"}},
        SELECTOR,
        "which KAITO sets itself",
        cel=False,
    ),
    Wrong(
        noted("kaito.sh/runtime", "tgi"),
        "metadata.annotations[kaito.sh/runtime]",
        "write vllm or transformers",
        cel=False,
    ),
    Wrong(
        noted("kaito.sh/node-image-family", "windows"),
        "metadata.annotations[kaito.sh/node-image-family]",
        "write ubuntu, ",
        cel=False,
    ),
    Wrong(
        noted("kaito.sh/api-key-secret", "My Key"),
        "metadata.annotations[kaito.sh/api-key-secret]",
        "which is no name of a Secret",
        cel=False,
    ),
    Wrong(
        noted("kaito.sh/network-policy", "everybody"),
        "metadata.annotations[kaito.sh/network-policy]",
        "write namespace",
        cel=False,
    ),
    Wrong(
        adapters({"source": {"name": "phi-3-mini-4k-instruct", "image": "r.io/a:1"}}),
        "inference.adapters[0].source.name",
        "is what the model itself is called",
        cel=False,
    ),
    Wrong(
        adapters({"source": {"name": "4bits", "image": "r.io/a:1"}, "strength": "0.5"}),
        "inference.adapters[0].source.name",
        "must then begin with a letter",
        cel=False,
    ),
    Wrong(
        {"tuning.input": {"urls": ["http://169.254.169.254/metadata"]}},
        "tuning.input.urls[0]",
        "leads to an address inside",
        cel=False,
        base="tune",
    ),
    Wrong(
        {"tuning.input": {"urls": ["https://a.b/c", "http://[1]/x"]}},
        "tuning.input.urls[1]",
        "(http://[1]/x) names no host",
        cel=False,
        base="tune",
    ),
    Wrong(
        noted("kaito.sh/node-class-name", "mine"),
        "metadata.annotations[kaito.sh/node-class-name]",
        "remove it",
        cel=False,
    ),
    Wrong(
        {"resource.partition": {"mode": "mig", "profile": "3g.41gb"}},
        "resource.partition.profile",
        "which is no slice of a GPU",
        cel=False,
    ),
    Wrong(
        {"resource.instanceType": "Standard_ND128isr_NDR_GB200_v6"},
        "resource.instanceType",
        "processors are arm64",
        cel=False,
    ),
    Wrong({"inference.config": "nothing"}, "inference.config", "not in this namespace", cel=False),
)
