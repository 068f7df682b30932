"""Volumes are directories, each inside of where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.pods.downward import Downward
from kaito.local.pods.environment import ConfigError
from kaito.local.pods.mounts import mounts
from kaito.local.pods.objects import Named
from kaito.local.pods.payload import VolumeError
from kaito.local.pods.volumes import Places, Volumes, inside, named_by, stand_ins
from kaito.runtime import Key, Object

HELD: dict[Named, Object] = {
    ("configmap", Key("ns", "conf")): {"data": {"a": "1"}},
    ("secret", Key("ns", "sec")): {"data": {"b": "Mg=="}},
    ("persistentvolumeclaim", Key("ns", "claim")): {"metadata": {"uid": "c-uid"}},
}


def pod(*volumes: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c"}], "volumes": list(volumes)},
    }


async def set_up(tmp_path: Path, *volumes: Any) -> dict[str, Path]:
    async def tokens(_: Object, audience: str, lasts: int | None) -> bytes:
        return f"token for {audience} of {lasts}".encode()

    places = Places(pod=tmp_path / "pod", node=tmp_path / "node", claims=tmp_path / "claims")
    return await Volumes(places, Downward(pod(*volumes), {}), HELD.get, tokens, 0.0).set_up()


async def test_each_kind_lies_where_it_belongs(tmp_path: Path) -> None:
    found = await set_up(
        tmp_path,
        {"name": "scratch", "emptyDir": {}},
        {"name": "plain"},
        {"name": "disk", "hostPath": {"path": "/var/x"}},
        {"name": "kept", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "conf", "configMap": {"name": "conf"}},
        {"name": "cloud", "csi": {"driver": "disk.csi.example.com"}},
    )
    assert {name: str(path.relative_to(tmp_path)) for name, path in found.items()} == {
        "scratch": "pod/volumes/scratch",
        "plain": "pod/volumes/plain",
        "disk": "node/var/x",
        "kept": "claims/c-uid",
        "conf": "pod/volumes/conf",
        "cloud": "pod/volumes/cloud",
    }
    assert all(path.is_dir() for path in found.values())


async def test_sources_are_projected_into_one_volume(tmp_path: Path) -> None:
    sources = [
        {"configMap": {"name": "conf"}},
        {"secret": {"name": "sec", "items": [{"key": "b", "path": "deep/b"}]}},
        {"serviceAccountToken": {"path": "token", "audience": "me", "expirationSeconds": 600}},
        {
            "downwardAPI": {
                "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
            }
        },
        {"configMap": {"name": "none", "optional": True}},
    ]
    found = await set_up(tmp_path, {"name": "all", "projected": {"sources": sources}})
    texts = {name: (found["all"] / name).read_text() for name in ("a", "deep/b", "token", "labels")}
    assert texts == {
        "a": "1",
        "deep/b": "2",
        "token": "token for me of 600",
        "labels": 'app="x"',
    }


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        (
            {"persistentVolumeClaim": {"claimName": "none"}},
            'persistentvolumeclaim "none" not found',
        ),
        (
            {"hostPath": {"path": "/x", "type": "Directory"}},
            "hostPath type check failed: /x is not a directory",
        ),
        (
            {"hostPath": {"path": "/x", "type": "File"}},
            "hostPath type check failed: /x is not a file",
        ),
        ({"hostPath": {"path": "/../../x"}}, "the path '../../x' leads out of its volume"),
        (
            {"projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}},
            "the local cluster has no projected source named clusterTrustBundle",
        ),
    ],
)
async def test_a_volume_that_cannot_be_set_up_is_named(
    tmp_path: Path, volume: Any, message: str
) -> None:
    with pytest.raises(VolumeError) as refused:
        await set_up(tmp_path, {"name": "v", **volume})
    assert str(refused.value) == f'MountVolume.SetUp failed for volume "v" : {message}'


def test_what_volumes_are_made_of_is_known_beforehand() -> None:
    known = named_by(
        pod(
            {"name": "a", "configMap": {"name": "one"}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "two"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "three"}},
            {"name": "d", "emptyDir": {}},
        )
    )
    assert list(known) == [
        ("configmap", Key("ns", "one")),
        ("secret", Key("ns", "two")),
        ("persistentvolumeclaim", Key("ns", "three")),
    ]


def test_storage_that_needs_a_driver_is_stood_in_for() -> None:
    volumes = [{"name": "a", "nfs": {}}, {"name": "b", "emptyDir": {}}, {"name": "c", "image": {}}]
    assert stand_ins(pod(*volumes)) == ["a", "c"]


@given(st.text(alphabet="./ab\\", max_size=20))
def test_no_path_leads_out_of_its_directory(path: str) -> None:
    top = Path("/nowhere/at/all")
    try:
        place = inside(top, path)
    except VolumeError:
        return
    assert place.is_relative_to(top)


def test_a_symbolic_link_leads_out_no_more_than_a_path(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    (volume / "in").symlink_to("other")
    assert inside(volume, "in/x") == volume / "other" / "x"
    for path in ("out", "out/passwd", "in/../out"):
        with pytest.raises(VolumeError, match="leads out of its volume"):
            inside(volume, path)


def test_part_of_a_volume_may_be_mounted(tmp_path: Path) -> None:
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/whole/"},
            {"name": "v", "mountPath": "/part", "subPath": "a/b"},
            {"name": "v", "mountPath": "/mine", "subPathExpr": "pods/$(NAME)"},
        ]
    }
    found = mounts(container, {"v": tmp_path}, {"NAME": "p"})
    assert found == {
        "/whole": tmp_path,
        "/part": tmp_path / "a/b",
        "/mine": tmp_path / "pods/p",
    }
    assert (tmp_path / "pods/p").is_dir()


@pytest.mark.parametrize("part", ["../x", "/etc", "a/../../x"])
def test_no_part_of_a_volume_lies_outside_of_it(tmp_path: Path, part: str) -> None:
    mount = {"name": "v", "mountPath": "/m", "subPathExpr": "$(PART)"}
    with pytest.raises(ConfigError, match='failed to prepare subPath for volumeMount "v"'):
        mounts({"volumeMounts": [mount]}, {"v": tmp_path / "v"}, {"PART": part})
