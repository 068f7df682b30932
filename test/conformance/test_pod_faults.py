"""What is wrong with a pod is named field by field, in a pod and in a template of pods.

data/pod_faults.json holds parts of specs with the causes that a kube-apiserver 1.36 gives.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from test.conformance.client import Answer, Api
from test.conformance.objects import Space, deployment, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]
CASES: list[Object] = json.loads(
    Path(__file__).with_name("data").joinpath("pod_faults.json").read_text()
)
NOUNS = sorted({case["of"] for case in CASES})
IMAGE = [{"name": "a", "image": "i"}]


def causes(answer: Answer) -> list[str]:
    found = answer.body.get("details", {}).get("causes", [])
    return sorted({f"{cause['field']}: {cause['message']}" for cause in found})


@pytest.mark.parametrize("noun", NOUNS)
async def test_faults_of_a_pod_are_named(api: Api, ns: Space, noun: str) -> None:
    cases = [case for case in CASES if case["of"] == noun]
    answers = await asyncio.gather(
        *(
            api.create(ns.pods(), pod("p", **{"containers": IMAGE, **case["spec"]}), dryRun="All")
            for case in cases
        )
    )
    assert [causes(answer) for answer in answers] == [case["faults"] for case in cases]


@pytest.mark.parametrize("noun", NOUNS)
async def test_faults_of_a_template_are_named_below_its_path(
    api: Api, ns: Space, noun: str
) -> None:
    cases = [case for case in CASES if case["of"] == noun and not case.get("pods_only")]
    answers = await asyncio.gather(
        *(
            api.create(
                ns.deployments(),
                deployment("d", **{"containers": IMAGE, **case["spec"]}),
                dryRun="All",
            )
            for case in cases
        )
    )
    wanted = [sorted(f"spec.template.{fault}" for fault in case["faults"]) for case in cases]
    assert [causes(answer) for answer in answers] == wanted


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x", ": Invalid value: {key}: invalid character 'x' looking for beginning of value"),
        (
            "[1]",
            ": Invalid value: {key}: json: cannot unmarshal number into .0 of type core.Toleration",
        ),
        (
            '[{"key": "a", "Operator": "X"}]',
            (
                '.scheduler.alpha.kubernetes.io/tolerations[0].operator: Unsupported value: "X": '
                'supported values: "Equal", "Exists"'
            ),
        ),
    ],
)
async def test_tolerations_in_an_annotation_are_read(
    api: Api, ns: Space, text: str, fault: str
) -> None:
    key = "scheduler.alpha.kubernetes.io/tolerations"
    made = pod("p", containers=IMAGE)
    made["metadata"]["annotations"] = {key: text}
    shown = fault.replace("{key}", json.dumps(key))
    assert causes(await api.create(ns.pods(), made)) == [f"metadata.annotations{shown}"]
