"""Whatever a claim and the settings say, AKS takes the pool that is asked for, or a sentence says
why nobody asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api import labels
from kaito.local.azure.limits import Limits
from kaito.local.azure.schema import agent_pool
from kaito.local.azure.validation import check_name, desired_properties
from kaito.provisioner import SettingsError, Unsatisfiable, node_request
from kaito.provisioner.aks.pool import body
from kaito.provisioner.settings import CloudSettings, read
from test.unit.provisioner.machines import A10, A100, machine, requirement

TYPE = "node.kubernetes.io/instance-type"
WORDS = st.sampled_from(["", "ubuntu", "Managed", "EPHEMERAL", "none", "Install", "windows", "ü"])
PRICES = st.sampled_from(["-1", "1.5", "0", "0.123456", "999999.99999", "1e9", "nan", ""])
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        labels.NODE_IMAGE_FAMILY: WORDS | st.text(max_size=9),
        labels.OS_DISK_TYPE: WORDS | st.text(max_size=9),
        labels.GPU_DRIVER: WORDS | st.text(max_size=9),
        labels.SPOT_MAX_PRICE: PRICES | st.text(max_size=9),
    },
)
VALUES: Mapping[str, st.SearchStrategy[str]] = {
    TYPE: st.sampled_from([A100, A10, "Standard_D4s_v5"]),
    "topology.kubernetes.io/zone": st.sampled_from(
        ["eastus-1", "eastus-2", "eastus-4", "westus-1", "1", "0", "", "eastus"]
    ),
    "karpenter.sh/capacity-type": st.sampled_from(["spot", "on-demand", "reserved"]),
    "kubernetes.io/os": st.sampled_from(["linux", "windows"]),
}
REQUIREMENTS = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(
        lambda key: st.builds(
            lambda values, operator: requirement(key, *values, operator=operator),
            st.lists(VALUES[key], min_size=1, max_size=3),
            st.sampled_from(["In", "In", "NotIn"]),
        )
    ),
    max_size=4,
)
STORAGE = st.one_of(
    st.integers(-1, 2**70),
    st.sampled_from(["0", "1", "1Ki", "30Gi", "2040Gi", "2048Gi", "2049Gi", "3Ti", "5e3Gi"]),
)
TAINT = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["sku", "example.com/sku", "a b", "/", "a:b"]) | st.text(max_size=5),
        "value": st.sampled_from(["gpu", "", "a:b", "=", "v" * 64]) | st.text(max_size=5),
        "effect": st.sampled_from(["NoSchedule", "NoExecute", "Never"]),
    }
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "LOCATION": st.sampled_from(["eastus", "East US", "westus"]),
        "AZURE_TAGS": st.text("ab=,/<>ü ", max_size=12),
        "AZURE_OS_DISK_TYPE": st.sampled_from(["managed", "Ephemeral"]),
        "AZURE_GPU_DRIVER": st.sampled_from(["none", "Install"]),
        "AZURE_API_VERSION": st.sampled_from(["2026-08-01", "2026-07-02-preview"]),
    },
)
NEEDED = {
    "ARM_SUBSCRIPTION_ID": "s",
    "ARM_RESOURCE_GROUP": "g",
    "AZURE_CLUSTER_NAME": "c",
    "AZURE_CREDENTIAL": "default",
}


def cloud(found: dict[str, str]) -> CloudSettings | None:
    try:
        return read(found, NEEDED)
    except SettingsError:
        return None


@settings(deadline=None)
@given(
    name=st.sampled_from(["ws0a1b2c3d4", "ws0a1b2c3d4e5", "Ws1", "a"]) | st.text(max_size=12),
    annotations=ANNOTATIONS,
    requirements=REQUIREMENTS,
    storage=STORAGE,
    taints=st.lists(TAINT, max_size=2),
    found=SETTINGS,
)
def test_aks_takes_what_is_asked_for_or_nobody_asks(
    name: str,
    annotations: dict[str, str],
    requirements: list[dict[str, Any]],
    storage: str | int,
    taints: list[dict[str, str]],
    found: dict[str, str],
) -> None:
    given_settings = cloud(found)
    if given_settings is None:
        return
    born = machine(name)
    claim = machine(
        name,
        metadata={
            "name": name,
            "labels": born.metadata.labels,
            "annotations": annotations,
            "creationTimestamp": born.metadata.creation_timestamp,
        },
        spec={
            "requirements": [requirement(TYPE, A100), *requirements],
            "resources": {"requests": {"storage": storage}},
            "taints": taints,
            "startupTaints": taints,
        },
    )
    told = ""
    try:
        request = node_request(claim)
        size = request.instance_types[0]
        wire = body(request, size, given_settings.pools, given_settings.location)
    except Unsatisfiable as error:
        told = str(error)
    if told:
        assert len(told) > 20, "a sentence"
        return
    check_name(request.name)
    sent = agent_pool(json.dumps(wire).encode(), preview=given_settings.pools.starting_taints)
    kept = desired_properties(request.name, sent, None, Limits())
    assert {**kept, **sent} == kept, "as it was asked for"
    assert (kept.get("scaleSetPriority") == "Spot") is request.spot
