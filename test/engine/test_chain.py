"""From data to answers: what a tuning Workspace has trained is served by an inference Workspace.

A local cluster with both daemons as processes. What moves data, the trainer, the registry and the
server of models are the real ones; the model is small, and nodes and GPUs are simulated.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from hack.small_model import ADAPTER_ANSWER, pairs
from kaito.runtime import Call, Key
from test.e2e.images import registry
from test.e2e.stage import Stage, stage
from test.e2e.tunings import ACCOUNT, PRESET, create, give, serving, succeeded, tuning
from test.engine.serving import ANSWER, PATIENCE, QUESTION

SETTINGS = """
training_config:
  LoraConfig: {r: 8, lora_alpha: 16}
  TrainingArguments:
    learning_rate: 0.005
    max_length: 128
    num_train_epochs: 40
    per_device_train_batch_size: 16
    gradient_checkpointing: false
"""
QUANTIZED = "  QuantizationConfig: {load_in_4bit: true}\n"
# Threads that wait for one another starve everybody on a machine with few cores.
ONE_THREAD = "OMP_NUM_THREADS=1"


def program(module: str, *words: str) -> str:
    return shlex.join(["env", ONE_THREAD, sys.executable, "-m", module, *words])


def dataset() -> str:
    """Questions that all have the same answer, one that the model does not give."""
    return "".join(
        json.dumps({"prompt": question, "completion": ADAPTER_ANSWER}) + "\n"
        for question, _ in pairs()
    )


async def answer(made: Stage, key: Key, model: str) -> str:
    path = f"/api/v1/namespaces/{key.namespace}/services/{key.name}:80/proxy/v1/chat/completions"
    message = {"role": "user", "content": QUESTION}
    body = {"model": model, "messages": [message], "temperature": 0, "max_tokens": 30}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    asked = Call(method="POST", path=path, headers=headers, body=json.dumps(body).encode())
    found = json.loads(await made.client.send(asked))
    return str(found["choices"][0]["message"]["content"])


async def test_what_was_tuned_answers_as_strongly_as_it_is_asked_to(
    small_model: Path, tmp_path: Path
) -> None:
    own = f"--pretrained_model_name_or_path={small_model}"
    server = program("kaito.engine.serving", "--host=127.0.0.1", "--device_map=cpu", own)
    trainer = program("kaito.engine.tuning", own)
    options = ("--no-controllers", "--profile", "instant")
    async with stage(tmp_path, *options, "--engine", server, "--trainer", trainer) as made:
        made.patience = PATIENCE
        for daemon in ("manager", "provisioner"):
            await made.process(daemon).start()
        host = await registry(made, ACCOUNT)
        await give(made, "data", train__jsonl=dataset())
        await give(made, "lora", training_config__yaml=SETTINGS)
        await give(made, "qlora", training_config__yaml=SETTINGS + QUANTIZED)

        methods = ("lora", "qlora")
        images = [f"{host}/adapters/{method}:1" for method in methods]
        tunings = [
            await create(made, tuning(method, image, method=method, config=method))
            for method, image in zip(methods, images, strict=True)
        ]
        lora, qlora = [await succeeded(made, key) for key in tunings]
        assert [each.partition("@")[0] for each in (lora, qlora)] == images

        adapters = (("lora", lora, "1.0"), ("without", lora, "0.0"), ("qlora", qlora, "1.0"))
        key = await create(made, serving("served", *adapters))
        await made.until(lambda: made.is_true("WorkspaceReady", key), "the adapters served")
        answers = {name: await answer(made, key, name) for name in (PRESET, "lora", "without")}
        assert answers == {PRESET: ANSWER, "lora": ADAPTER_ANSWER, "without": ANSWER}
        assert await answer(made, key, "qlora") == ADAPTER_ANSWER
