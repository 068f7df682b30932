"""What a program that runs as a container is given, and what becomes of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kaito.local.kinds import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    SERVICES,
)
from kaito.runtime import Key, Object, find_condition, is_true
from test.integration.local.pods_of_programs import (
    container,
    log,
    named,
    over,
    pod,
    running,
    state_of,
    told,
)

if TYPE_CHECKING:
    from test.integration.local.conftest import World

MOUNTED = "PodReadyToStartContainers"
BUSY = "import time\nwhile True: time.sleep(60)"
SERVE = (
    "import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'http.server', sys.argv[1]])"
)


@pytest.fixture
def world(programs: World) -> World:
    return programs


async def test_a_program_is_given_its_variables_and_files(world: World) -> None:
    await world.client.create(CONFIG_MAPS, named("ConfigMap", "conf", data={"greeting": "hello"}))
    secret = named("Secret", "secret", stringData={"password": "s3cret"})
    await world.client.create(SECRETS, secret)
    reads = """
        import json, os, pathlib, sys
        print(json.dumps({
            "word": os.environ["WORD"], "prefixed": os.environ["C_greeting"],
            "name": os.environ["NAME"], "label": pathlib.Path(sys.argv[1]).read_text(),
            "file": pathlib.Path(os.environ["CONF"], "greeting").read_text(), "said": sys.argv[2],
        }))
    """
    await world.client.create(
        PODS,
        pod(
            container(
                reads,
                "/etc/info/labels",
                "$(WORD) $(UNKNOWN)",
                env=[
                    {
                        "name": "PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": "secret", "key": "password"}},
                    },
                    {"name": "WORD", "value": "<$(PASSWORD)>"},
                    {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "CONF", "value": "/etc/conf"},
                ],
                envFrom=[{"prefix": "C_", "configMapRef": {"name": "conf"}}],
                volumeMounts=[
                    {"name": "conf", "mountPath": "/etc/conf"},
                    {"name": "info", "mountPath": "/etc/info"},
                ],
            ),
            labels={"app": "x"},
            volumes=[
                {"name": "conf", "configMap": {"name": "conf"}},
                {
                    "name": "info",
                    "downwardAPI": {
                        "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
                    },
                },
            ],
        ),
    )
    await over(world)
    assert json.loads(await log(world)) == {
        "word": "<s3cret>",
        "prefixed": "hello",
        "name": "p",
        "label": 'app="x"',
        "file": "hello",
        "said": "<s3cret> $(UNKNOWN)",
    }


async def test_a_file_follows_its_config_map(world: World) -> None:
    await world.client.create(CONFIG_MAPS, named("ConfigMap", "conf", data={"text": "old"}))
    waits = """
        import pathlib, sys, time
        file = pathlib.Path(sys.argv[1])
        print("first", file.read_text())
        open("seen", "w").close()
        while (text := file.read_text()) == "old": time.sleep(0.01)
        print("then", text)
    """
    mount = [{"name": "conf", "mountPath": "/conf"}]
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}]
    await world.client.create(
        PODS,
        pod(
            container(
                waits,
                "/conf/text",
                volumeMounts=mount,
                readinessProbe={"exec": {"command": ["test", "-e", "seen"]}},
            ),
            volumes=volumes,
        ),
    )
    await running(world)
    await world.client.patch(CONFIG_MAPS, Key("default", "conf"), {"data": {"text": "new"}})
    await over(world)
    assert await log(world) == "first old\nthen new\n"


async def test_init_containers_come_first_and_sidecars_end_last(world: World) -> None:
    mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    appends = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    sidecar = """
        import signal, sys, time
        def bye(*_):
            open(sys.argv[1], "a").write(" sidecar")
            sys.exit(0)
        signal.signal(signal.SIGTERM, bye)
        open(sys.argv[1] + ".up", "w").close()
        while True: time.sleep(60)
    """
    up = {"exec": {"command": ["test", "-e", "/shared/log.up"]}}
    found = pod(
        container(appends, "/shared/log", " main", **mounts),
        initContainers=[
            container(appends, "/shared/log", "init", name="one", **mounts),
            container(appends, "/shared/log", " two", name="two", **mounts),
            container(
                sidecar,
                "/shared/log",
                name="beside",
                restartPolicy="Always",
                startupProbe=up,
                **mounts,
            ),
        ],
        volumes=[{"name": "shared", "hostPath": {"path": "/data"}}],
    )
    await world.client.create(PODS, found)
    ended = await over(world)
    assert ended["status"]["phase"] == "Succeeded"
    (written,) = world.state.glob("nodes/*/data/log")
    assert written.read_text() == "init two main sidecar"
    assert state_of(ended, "beside")["state"]["terminated"]["exitCode"] == 0


async def test_a_failed_init_container_is_the_end_where_nothing_is_restarted(world: World) -> None:
    broken = container("raise SystemExit(7)", name="init")
    await world.client.create(PODS, pod(container("print(1)"), initContainers=[broken]))
    ended = await over(world)
    assert ended["status"]["phase"] == "Failed"
    assert state_of(ended, "init")["state"]["terminated"]["exitCode"] == 7
    assert state_of(ended)["state"]["waiting"]["reason"] == "PodInitializing"


async def test_a_container_that_is_not_alive_is_started_again(world: World) -> None:
    dead = {
        "exec": {"command": ["sh", "-c", "echo not well; exit 1"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    await world.client.create(
        PODS, pod(container(BUSY, livenessProbe=dead), restartPolicy="Always")
    )
    again = await world.object(
        PODS,
        "p",
        lambda p: any(s["restartCount"] for s in p["status"].get("containerStatuses", ())),
        "default",
    )
    assert state_of(again)["lastState"]["terminated"]["exitCode"] == 143
    await told(world, "Unhealthy", "Liveness probe failed: not well")
    await told(world, "Killing", "Container main failed liveness probe, will be restarted")


async def test_a_hook_runs_before_the_program_is_asked_to_end(world: World) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo bye > /out/said"]}}}
    await world.client.create(
        PODS,
        pod(
            container(BUSY, lifecycle=hook, volumeMounts=[{"name": "out", "mountPath": "/out"}]),
            volumes=[{"name": "out", "hostPath": {"path": "/out"}}],
        ),
    )
    await running(world)
    await world.client.delete(PODS, Key("default", "p"))
    await world.gone(PODS, "p")
    (said,) = world.state.glob("nodes/*/out/said")
    assert said.read_text() == "bye\n"


async def test_a_program_whose_first_hook_fails_is_ended(world: World) -> None:
    hook = {"postStart": {"exec": {"command": ["false"]}}}
    await world.client.create(PODS, pod(container(BUSY, lifecycle=hook)))
    ended = await over(world)
    # Ended by SIGTERM, or by SIGKILL where it did not come to hear the first.
    assert state_of(ended)["state"]["terminated"]["exitCode"] in (143, 137)
    await told(world, "FailedPostStartHook", "PostStartHook failed")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux alone")
async def test_a_program_that_takes_too_much_memory_is_killed(world: World) -> None:
    greedy = "held = b'x' * 300_000_000\n" + BUSY
    limits = {"limits": {"memory": "100Mi"}}
    await world.client.create(PODS, pod(container(greedy, resources=limits)))
    terminated = state_of(await over(world))["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)


@pytest.mark.parametrize(
    ("script", "policy", "message"),
    [
        ("open('/dev/termination-log', 'w')", "File", ""),
        ("import sys; open(sys.argv[1], 'w').write('because')", "File", "because"),
        ("print('at last'); raise SystemExit(1)", "FallbackToLogsOnError", "at last\n"),
        ("print('at last')", "FallbackToLogsOnError", ""),
    ],
    ids=["hard-coded", "written", "from the log", "no error"],
)
async def test_how_it_ended_is_told_in_its_own_words(
    world: World, script: str, policy: str, message: str
) -> None:
    if "'/dev" in script:
        script = "print('nothing said')"
    told_by = container(script, "/dev/termination-log", terminationMessagePolicy=policy)
    await world.client.create(PODS, pod(told_by))
    terminated = state_of(await over(world))["state"]["terminated"]
    assert terminated.get("message", "") == message


async def test_a_container_waits_for_what_it_refers_to(world: World) -> None:
    reference = {"configMapKeyRef": {"name": "late", "key": "k"}}
    variable = {"name": "K", "valueFrom": reference}
    script = "import os; print(os.environ['K'])"
    await world.client.create(PODS, pod(container(script, env=[variable])))
    waiting = await world.object(
        PODS,
        "p",
        lambda p: any(
            s["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"
            for s in p["status"].get("containerStatuses", ())
        ),
        "default",
    )
    assert state_of(waiting)["state"]["waiting"]["message"] == 'configmap "late" not found'
    await world.client.create(CONFIG_MAPS, named("ConfigMap", "late", data={"k": "here"}))
    await over(world)
    assert await log(world) == "here\n"


async def test_a_volume_that_cannot_be_set_up_is_told_of(world: World) -> None:
    volumes = [{"name": "v", "secret": {"secretName": "none"}}]
    await world.client.create(PODS, pod(container("print(1)"), volumes=volumes))
    said = 'MountVolume.SetUp failed for volume "v" : secret "none" not found'
    event = await told(world, "FailedMount", said)
    assert event["type"] == "Warning"


@pytest.mark.parametrize("image", ["nothing.example/known:1", "python:3.11"])
async def test_no_container_begins_before_the_volumes_are_there(world: World, image: str) -> None:
    init = {**container("print(1)"), "name": "first", "image": image}
    volumes = [{"name": "v", "projected": {"sources": [{"secret": {"name": "late"}}]}}]
    made = pod(container("print(2)"), initContainers=[init], volumes=volumes)
    await world.client.create(PODS, made)
    waiting = await world.object(
        PODS,
        "p",
        lambda each: find_condition(each["status"].get("conditions", []), MOUNTED) is not None,
        "default",
    )
    assert not is_true(waiting["status"]["conditions"], MOUNTED)
    (told_of,) = waiting["status"]["initContainerStatuses"]
    assert told_of["state"] == {"waiting": {"reason": "PodInitializing"}}

    await world.client.create(SECRETS, named("Secret", "late"))

    gone_on = await over(world)
    assert state_of(gone_on)["state"]["terminated"]["exitCode"] == 0


async def test_what_a_claim_holds_outlives_the_pod(world: World) -> None:
    claim = named(
        "PersistentVolumeClaim",
        "data",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    )
    await world.client.create(PERSISTENT_VOLUME_CLAIMS, claim)
    mounts = {"volumeMounts": [{"name": "d", "mountPath": "/d", "subPath": "part"}]}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    writes = container("import sys; open(sys.argv[1], 'w').write('kept')", "/d/x", **mounts)
    reads = container("import sys; print(open(sys.argv[1]).read())", "/d/x", **mounts)
    await world.client.create(PODS, pod(writes, name="writer", volumes=volumes))
    await over(world, "writer")
    await world.client.delete(PODS, Key("default", "writer"))
    await world.client.create(PODS, pod(reads, volumes=volumes))
    await over(world)
    assert await log(world) == "kept\n"


@pytest.mark.parametrize("said", [{"storageClassName": "fast"}, {}], ids=["named", "default"])
async def test_a_claim_of_a_class_is_bound_and_takes_its_volume_along(
    world: World, said: Object
) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        **said,
    }
    claims, key = PERSISTENT_VOLUME_CLAIMS, Key("default", "data")
    await world.client.create(claims, named("PersistentVolumeClaim", "data", spec=spec))
    bound = await world.object(
        claims, "data", lambda c: c["status"].get("phase") == "Bound", "default"
    )
    assert bound["status"]["capacity"] == {"storage": "1Gi"}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    mounts = [{"name": "d", "mountPath": "/d"}]
    writes = "import sys\nopen(sys.argv[1], 'w').close()\n" + BUSY
    await world.client.create(
        PODS,
        pod(
            container(
                writes,
                "/d/x",
                volumeMounts=mounts,
                readinessProbe={"exec": {"command": ["test", "-e", "/d/x"]}},
            ),
            volumes=volumes,
        ),
    )
    await running(world)
    assert len(list(world.state.glob("claims/*/x"))) == 1
    await world.client.delete(claims, key)
    # It is in use, and goes with the pod that uses it.
    assert (await world.client.get(claims, key))["metadata"]["deletionTimestamp"]
    await world.client.delete(PODS, Key("default", "p"))
    await world.gone(claims, "data")
    await world.gone(PERSISTENT_VOLUMES, bound["spec"]["volumeName"])
    assert list(world.state.glob("claims/*")) == []


async def test_programs_find_each_other_by_the_names_of_services(world: World) -> None:
    web = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    await world.client.create(SERVICES, named("Service", "web", spec=web))
    probe = {"readinessProbe": {"httpGet": {"port": 8080}}}
    for name in ("one", "two"):
        serving = container(SERVE, "8080", ports=[{"containerPort": 8080}], **probe)
        await world.client.create(PODS, pod(serving, name=name, labels={"app": "web"}))
    # Both listen on the same port, each on its own.
    for name in ("one", "two"):
        await running(world, name)
    asks = """
        import os, sys, urllib.request as u
        service = "http://{WEB_SERVICE_HOST}:{WEB_SERVICE_PORT}/".format(**os.environ)
        for url in (*sys.argv[1:], service): print(u.urlopen(url).status)
    """
    names = ("http://web/", "http://web.default.svc.cluster.local:80/", "http://one.web:8080/")
    await world.client.create(PODS, pod(container(asks, *names)))
    ended = await over(world)
    assert (ended["status"]["phase"], await log(world)) == ("Succeeded", "200\n" * 4)


async def test_a_program_can_be_its_service_account(world: World) -> None:
    asks = """
        import json, os, ssl, urllib.error, urllib.request as u, yaml
        config = yaml.safe_load(open(os.environ["KUBECONFIG"]))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        token = open(user["tokenFile"]).read()
        url = cluster["server"] + "/api/v1/namespaces/default/pods/p"
        request = u.Request(url, headers={"Authorization": f"Bearer {token}"})
        try: u.urlopen(request, context=trust)
        except urllib.error.HTTPError as refused: print(json.load(refused)["message"])
    """
    await world.client.create(PODS, pod(container(asks)))
    await over(world)
    assert 'User "system:serviceaccount:default:default" cannot get' in await log(world)


async def test_the_log_of_the_run_before_can_be_read(world: World) -> None:
    counts = """
        import pathlib, sys, time
        file = pathlib.Path(sys.argv[1])
        number = int(file.read_text()) + 1 if file.exists() else 1
        file.write_text(str(number))
        print("run", number)
        if number == 1: sys.exit(1)
        while True: time.sleep(60)
    """
    await world.client.create(
        PODS,
        pod(
            container(counts, "/d/n", volumeMounts=[{"name": "d", "mountPath": "/d"}]),
            restartPolicy="OnFailure",
            volumes=[{"name": "d", "emptyDir": {}}],
        ),
    )
    await world.object(
        PODS,
        "p",
        lambda p: any(
            s["restartCount"] == 1 and "running" in s["state"]
            for s in p["status"].get("containerStatuses", ())
        ),
        "default",
    )
    assert await log(world, "previous=true") == "run 1\n"


async def test_a_pod_that_writes_too_much_is_evicted(world: World) -> None:
    fills = "import sys\nopen(sys.argv[1], 'wb').write(bytes(3_000_000))\n" + BUSY
    mounts = [{"name": "scratch", "mountPath": "/scratch"}]
    volumes = [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}]
    await world.client.create(
        PODS, pod(container(fills, "/scratch/x", volumeMounts=mounts), volumes=volumes)
    )
    status = (await over(world))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"] == 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '
    await told(world, "Evicted", "Usage of EmptyDir volume")


async def test_words_of_a_pod_stay_words(world: World, tmp_path: Path) -> None:
    hostile = ["; touch /tmp/x", "`id`", "$(id)", "../../etc", "a\nb", "$HOME", "--memory", "-"]
    script = "import json, sys; print(json.dumps(sys.argv[1:]))"
    await world.client.create(PODS, pod(container(script, *hostile)))
    await over(world)
    assert json.loads(await log(world)) == hostile


async def test_no_part_of_a_volume_lies_outside_of_it(world: World) -> None:
    links = "import os, sys; os.symlink('/etc', sys.argv[1])"
    mounts = [{"name": "d", "mountPath": "/d"}]
    volumes = [{"name": "d", "hostPath": {"path": "/d"}}]
    first = container(links, "/d/way-out", name="links", volumeMounts=mounts)
    through = [{"name": "d", "mountPath": "/d", "subPath": "way-out"}]
    await world.client.create(
        PODS,
        pod(container("print(1)", volumeMounts=through), initContainers=[first], volumes=volumes),
    )
    event = await told(world, "Failed", "failed to prepare subPath")
    assert "leads out of its volume" in event["message"]


async def test_an_environment_does_not_grow_without_bound(world: World) -> None:
    doubled = [{"name": "V0", "value": "x" * 100}]
    doubled += [{"name": f"V{n}", "value": f"$(V{n - 1})" * 2} for n in range(1, 40)]
    await world.client.create(PODS, pod(container("print(1)", env=doubled)))
    await told(world, "Failed", "A text of more than 131072 bytes would come of")
