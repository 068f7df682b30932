"""Every wrong manifest is refused with its path and its sentence, by whoever can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import yaml

from kaito.catalog.catalog import load
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.kinds import WORKSPACES
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.webhook import (
    CONFIGURATION,
    PATH,
    WorkspaceWebhook,
    configuration,
)
from kaito.runtime import (
    Address,
    Denied,
    Invalid,
    Key,
    Object,
    Resource,
    Review,
    Site,
    SystemClock,
    Webhooks,
)
from kaito.runtime.authority import VALIDATING, Authority
from kaito.runtime.serving import serving
from kaito.testing import VirtualClock
from test.integration.workspace.stage import Stage, stage
from test.integration.workspace.wrong import ADAPTER, SERVE, TUNE, WRONG, Wrong

UNKNOWN = next(wrong for wrong in WRONG if "no model that" in wrong.words)
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")


def review(new: Object, old: Object | None = None) -> Review:
    return Review(
        uid="u",
        operation="UPDATE" if old else "CREATE",
        group="kaito.sh",
        version="v1beta1",
        plural="workspaces",
        subresource="",
        kind="Workspace",
        key=Key("default", "w"),
        object=new,
        old=old,
        user="ann",
        groups=(),
        dry_run=False,
    )


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    async with stage() as made:
        yield made


@pytest.fixture
def webhook(scene: Stage) -> WorkspaceWebhook:
    # On a clock that stands still no read is late, however busy the machine is.
    return WorkspaceWebhook(scene.client, load(), Settings(), clock=VirtualClock())


async def test_every_wrong_manifest_that_the_server_can_tell_is_refused_by_it(scene: Stage) -> None:
    strict = scene.client.with_options(dry_run=True)
    for wrong in WRONG:
        if wrong.cel:
            with pytest.raises(Invalid) as refused:
                await strict.create(WORKSPACES, wrong.manifest)
            found = [
                (cause.field.removeprefix("<nil>"), cause.message) for cause in refused.value.causes
            ]
            assert any(at == wrong.path and wrong.words in said for at, said in found), (
                str(wrong),
                found,
            )


async def test_what_only_the_webhook_can_tell_passes_the_server(scene: Stage) -> None:
    strict = scene.client.with_options(dry_run=True)
    for wrong in WRONG:
        if not wrong.cel:
            await strict.create(WORKSPACES, wrong.manifest)


async def test_the_webhook_refuses_what_the_server_cannot(webhook: WorkspaceWebhook) -> None:
    for wrong in WRONG:
        if not wrong.cel:
            try:
                warnings = await webhook.validate(review(wrong.manifest))
            except Denied as refused:
                found = [(cause.field, cause.message) for cause in refused.causes]
            else:
                pytest.fail(f"{wrong} passes with {warnings}")
            assert len(found) == 1, (str(wrong), found)
            assert found[0][0] == wrong.path, (str(wrong), found)
            assert wrong.words in found[0][1], (str(wrong), found)


def test_the_same_judgement_refuses_what_the_server_refuses() -> None:
    """For clusters whose API server has no CEL: the schema's bounds and the rules, in Python."""
    for wrong in WRONG:
        if wrong.cel:
            found = judge(wrong.manifest, None, catalog=load(), settings=Settings())
            assert found.problems, str(wrong)


@pytest.mark.parametrize("wrong", [w for w in WRONG if not w.cel], ids=str)
def test_a_wrong_workspace_that_is_being_deleted_passes(wrong: Wrong) -> None:
    gone = wrong.manifest
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not judge(gone, SERVE, catalog=load(), settings=Settings()).problems


@pytest.mark.parametrize("wrong", [w for w in WRONG if not w.cel], ids=str)
def test_a_wrong_workspace_whose_user_changes_nothing_passes(wrong: Wrong) -> None:
    labelled = wrong.manifest
    labelled["metadata"] |= {"labels": {"team": "a"}, "finalizers": []}
    assert not judge(labelled, wrong.manifest, catalog=load(), settings=Settings()).problems


async def test_all_problems_come_in_one_answer(webhook: WorkspaceWebhook) -> None:
    wrong = Wrong(
        {
            "inference.preset.name": "phi-9",
            "resource.instanceType": "p3.2xlarge",
            "resource.labelSelector.matchLabels": {"kubernetes.io/os": "windows"},
        },
        "",
        "",
    )
    with pytest.raises(Denied) as refused:
        await webhook.validate(review(wrong.manifest))
    assert {cause.field for cause in refused.value.causes} == {
        "inference.preset.name",
        "resource.instanceType",
        "resource.labelSelector",
    }


async def test_a_size_of_azures_shape_that_nobody_knows_is_a_warning(
    webhook: WorkspaceWebhook,
) -> None:
    unknown = Wrong({"resource.instanceType": "Standard_NX96_v9"}, "", "")
    (warning,) = await webhook.validate(review(unknown.manifest))
    assert "Standard_NX96_v9 is no size that KAITO knows" in warning


async def test_a_model_that_may_be_on_hugging_face_is_a_warning(webhook: WorkspaceWebhook) -> None:
    unknown = Wrong({"inference.preset.name": "acme/llm"}, "", "")
    (warning,) = await webhook.validate(review(unknown.manifest))
    assert "acme/llm is in no catalogue: its configuration is read from Hugging Face" in warning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vllm: {max-model-len: 2048}", ""),
        ("vllm: {max_model_len: 2048}\nmax_probe_steps: 6", ""),
        ("vllm: {max-model-len: many}", "must be a whole number"),
        ("vllm: {max-model-len: 1000000}", "must be at most 4096"),
        ("vllm: {max_model_len: 1000000}", "must be at most 4096"),
        ("vllm: {max_model_len: 1, max-model-len: 1}", "is given twice"),
        ("vLLM: {}", "vLLM is no section; sections are kv_cache"),
        ("vllm: [a]", "must be a map"),
        ("vllm: {a: {b: c}}", "must be one value"),
        ("a: [", "cannot be read as YAML"),
        ("vllm: {a: &a 1, b: *a}", "write it out"),
        ("vllm: " + "[" * 21, "nests deeper than 20 levels"),
        ("vllm: {max-model-len: 0x" + "f" * 9999 + "}", "must be a whole number"),
        ("vllm: {a: 2026-13-45}", "a date that is none"),
        ('vllm: {a: !!int ""}', "write the value alone"),
        ("vllm: {a: !!bool x}", "write the value alone"),
        ("vllm: !!timestamp x", "write the value alone"),
        ("vllm:\n\ta: b", "line 2, column 1: found"),
        ("#" * 70_000, "longer than 65536 characters"),
        ("", "it is empty"),
        ("# vllm:", "it is empty"),
    ],
)
async def test_the_configuration_of_the_model_server_is_read_once(
    scene: Stage, webhook: WorkspaceWebhook, text: str, words: str
) -> None:
    data = {"inference_config.yaml": text}
    names = {"name": "c", "namespace": "default"}
    await scene.client.create(CONFIG_MAPS, {"metadata": names, "data": data})
    asked = Wrong({"inference.config": "c"}, "", "").manifest
    if not words:
        assert await webhook.validate(review(asked)) == ()
        return
    with pytest.raises(Denied, match=words):
        await webhook.validate(review(asked))


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"QuantizationConfig": {"load_in_4bit": True}}, ""),
        ({"QuantizationConfig": {"load_in_4bit": True, "load_in_8bit": True}}, "keep one"),
        ({"QuantizationConfig": {"load_in_4bit": "yes"}}, "must be true or false"),
        ({}, "needs load_in_4bit or load_in_8bit"),
        ({"Optimizer": {}}, "is no section"),
        (
            {
                "QuantizationConfig": {"load_in_4bit": True},
                "TrainingArguments": {"output_dir": "/mnt/../etc"},
            },
            "must be a directory below /mnt",
        ),
    ],
)
async def test_the_configuration_of_the_trainer_is_read_too(
    scene: Stage, webhook: WorkspaceWebhook, training: Object, words: str
) -> None:
    data = {"training_config.yaml": yaml.safe_dump({"training_config": training})}
    names = {"name": "c", "namespace": "default"}
    await scene.client.create(CONFIG_MAPS, {"metadata": names, "data": data})
    asked = Wrong({"tuning.config": "c"}, "", "", base="tune").manifest
    if not words:
        assert await webhook.validate(review(asked)) == ()
        return
    with pytest.raises(Denied, match=words):
        await webhook.validate(review(asked))


async def test_right_manifests_pass_both(scene: Stage, webhook: WorkspaceWebhook) -> None:
    strict = scene.client.with_options(dry_run=True, field_validation="Strict")
    adapted = Wrong({"inference.adapters": [ADAPTER]}, "", "").manifest
    for manifest in (SERVE, TUNE, adapted):
        await strict.create(WORKSPACES, manifest)
        assert await webhook.validate(review(manifest)) == ()


async def test_the_api_server_asks_the_webhook_and_passes_its_words_on(scene: Stage) -> None:
    webhooks = Webhooks()
    WorkspaceWebhook(scene.client, load(), Settings()).serve(webhooks)
    clock = SystemClock()
    authority = Authority(scene.client, ["127.0.0.1"], [(VALIDATING, CONFIGURATION)], clock=clock)
    routes, tls = webhooks.routes(), authority.context
    async with serving(
        {"w": Site(address=Address("127.0.0.1", 0), routes=routes, tls=tls)}
    ) as addresses:
        where = {"url": f"https://{addresses['w']}{PATH}"}
        await scene.client.apply(VALIDATING, configuration(where, failure_policy="Fail"))
        await authority.ensure()
        with pytest.raises(Invalid) as refused:
            await scene.client.create(WORKSPACES, UNKNOWN.manifest)
        assert [cause.field for cause in refused.value.causes] == [UNKNOWN.path]
        await scene.client.create(WORKSPACES, SERVE)
