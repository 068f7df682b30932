"""Layers become files of one directory, whatever is in them."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.room import Budget
from kaito.engine.moving.tree import Tree
from test.unit.engine.moving.layers import KINDS, Made, layer, tar


def grown(
    tmp_path: Path, *layers: list[Made], limit: int | None = None, most: int = 1000
) -> dict[str, bytes]:
    """The files that are wanted of these layers."""
    root = tmp_path / "root"
    root.mkdir()
    tree = Tree(root, "r.io/a:1", Budget(root, limit), most)
    for members in layers:
        tree.add_layer(layer(tmp_path, *members))
    found = tree.settled("data")
    return {
        str(path.relative_to(found)): path.read_bytes()
        for path in sorted(found.rglob("*"))
        if path.is_file()
    }


def refused(tmp_path: Path, *layers: list[Made], **limits: int) -> Ended:
    with pytest.raises(Ended) as caught:
        grown(tmp_path, *layers, **limits)
    return caught.value


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
def test_a_layer_may_be_packed_in_any_of_three_ways(tmp_path: Path, packing: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    tree = Tree(root, "a", Budget(root))
    tree.add_layer(layer(tmp_path, Made("data/x", content=b"1"), packing=packing))
    assert (tree.settled("data") / "x").read_bytes() == b"1"


def test_what_is_wanted_is_below_data_where_there_is_such_a_folder(tmp_path: Path) -> None:
    members = [Made("data/x", content=b"1"), Made("etc/passwd", content=b"2")]
    assert grown(tmp_path, members) == {"x": b"1"}


def test_else_it_is_what_there_is(tmp_path: Path) -> None:
    assert grown(tmp_path, [Made("./a/x", content=b"1")]) == {"a/x": b"1"}


def test_later_layers_lie_over_earlier_ones(tmp_path: Path) -> None:
    first = [Made("a", content=b"1"), Made("b", content=b"1"), Made("c/d", content=b"1")]
    second = [Made("a", content=b"2"), Made("b/c", content=b"2"), Made("c", content=b"2")]
    assert grown(tmp_path, first, second) == {"a": b"2", "b/c": b"2", "c": b"2"}


def test_a_whiteout_removes_what_lies_below_it(tmp_path: Path) -> None:
    first = [Made("a", content=b"1"), Made("b/c", content=b"1"), Made("d", content=b"1")]
    second = [Made(".wh.a"), Made(".wh.b"), Made("e", content=b"2")]
    assert grown(tmp_path, first, second) == {"d": b"1", "e": b"2"}


def test_a_file_and_a_directory_may_take_each_others_place(tmp_path: Path) -> None:
    members = [
        Made("a"),
        Made("a/.wh.a"),
        Made("b"),
        Made("b/c", "directory"),
        Made("b/c/d", content=b"1"),
        Made("e/f", content=b"1"),
        Made("e", content=b"2"),
    ]
    assert grown(tmp_path, members) == {"a": b"", "b/c/d": b"1", "e": b"2"}


@pytest.mark.parametrize("first_or_last", [0, 1])
def test_an_opaque_directory_hides_all_of_the_layers_below(
    tmp_path: Path, first_or_last: int
) -> None:
    below = [Made("d/a", content=b"1"), Made("d/b/c", content=b"1"), Made("e", content=b"1")]
    above = [Made("d/new", content=b"2")]
    above.insert(first_or_last, Made("d/.wh..wh..opq"))
    assert grown(tmp_path, below, above) == {"d/new": b"2", "e": b"1"}


def test_links_within_become_the_files_they_lead_to(tmp_path: Path) -> None:
    members = [
        Made("data/blobs/x", content=b"1"),
        Made("data/a", "symlink", link="blobs/x"),
        Made("data/b/c", "symlink", link="../a"),
        Made("data/d", "symlink", link="/data/a"),
        Made("data/e", "hardlink", link="data/blobs/x"),
        Made("data/f", "symlink", link="g/x"),
        Made("data/g", "symlink", link="blobs"),
    ]
    # A directory that a link leads to has no place of its own.
    assert refused(tmp_path, members).ending == Ending.ARTIFACT_INVALID
    (tmp_path / "again").mkdir()
    found = grown(tmp_path / "again", members[:-2])
    assert found == dict.fromkeys(["a", "b/c", "blobs/x", "d", "e"], b"1")


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "../../etc/passwd",
        "nowhere",
        "x",
        "..",
        "",
        "/",
        "../../../../../../etc/passwd",
    ],
)
def test_a_link_that_leads_to_no_file_within_is_refused(tmp_path: Path, target: str) -> None:
    ended = refused(
        tmp_path, [Made("data/y", content=b"1"), Made("data/x", "symlink", link=target)]
    )
    assert ended.ending == Ending.ARTIFACT_INVALID
    assert "data/x" in ended.sentence


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members = [
        Made("data/out", "symlink", link=str(outside)),
        Made("data/out/x", content=b"1"),
        Made("data/y", content=b"1"),
    ]
    assert refused(tmp_path, members).ending == Ending.ARTIFACT_INVALID
    assert list(outside.iterdir()) == []


def test_nothing_is_written_through_a_link_to_a_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    members = [Made("x", "symlink", link=str(outside)), Made("x", content=b"ours")]
    assert grown(tmp_path, members) == {"x": b"ours"}
    assert outside.read_text() == "theirs"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "data/../../../x"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    ended = refused(tmp_path, [Made(name, content=b"1")])
    assert ended.ending == Ending.ARTIFACT_INVALID
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["data/.kaito/x", ".kaito/x", "data/a/.kaito"])
def test_what_is_hidden_stays_behind(tmp_path: Path, name: str) -> None:
    assert grown(tmp_path, [Made(name, content=b"1"), Made("data/y")]) == {"y": b""}
    (tmp_path / "blob").touch()
    tree = Tree(tmp_path / "other", "a", Budget(tmp_path))
    tree.add_file(name, tmp_path / "blob")
    with pytest.raises(Ended, match="holds no files"):
        tree.settled("data")


def test_a_path_from_the_top_is_one_from_the_directory(tmp_path: Path) -> None:
    assert grown(tmp_path, [Made("/data/x", content=b"1")]) == {"x": b"1"}


@pytest.mark.parametrize("kind", ["device", "fifo"])
def test_what_is_no_file_is_refused_where_it_is_wanted(tmp_path: Path, kind: str) -> None:
    assert "data/x" in refused(tmp_path, [Made("data/x", kind), Made("data/y")]).sentence


def test_a_system_below_the_data_may_have_anything(tmp_path: Path) -> None:
    members = [
        Made("dev/null", "device"),
        Made("bin", "symlink", link="usr/bin"),
        Made("bin/sh", "symlink", link="/nowhere"),
        Made("etc/mtab", "symlink", link="../../../proc/mounts"),
        Made("data/x", content=b"1"),
    ]
    assert grown(tmp_path, members) == {"x": b"1"}


def test_files_can_be_read_and_are_no_programs(tmp_path: Path) -> None:
    grown(tmp_path, [Made("data", "directory"), Made("data/x", content=b"1")])
    assert (tmp_path / "root/data/x").stat().st_mode & 0o7111 == 0
    assert (tmp_path / "root/data").stat().st_mode & 0o7022 == 0


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    ended = refused(tmp_path, [Made(str(number)) for number in range(11)], most=10)
    assert ended.ending == Ending.ARTIFACT_INVALID


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    members = [Made("a", content=b"1" * 60), Made("b", content=b"1" * 60)]
    assert refused(tmp_path, members, limit=100).ending == Ending.DATASET_TOO_LARGE


@pytest.mark.parametrize("members", [[], [Made("data", "directory")], [Made(".kaito/x")]])
def test_an_image_without_files_ends_in_words(tmp_path: Path, members: list[Made]) -> None:
    assert "no files" in refused(tmp_path, members).sentence


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
def test_a_layer_that_is_cut_off_is_refused(tmp_path: Path, packing: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    blob = layer(tmp_path, Made("x", content=os.urandom(100_000)), packing=packing)
    blob.write_bytes(blob.read_bytes()[:50_000])
    with pytest.raises(Ended, match="damaged"):
        Tree(root, "a", Budget(root)).add_layer(blob)


def test_a_name_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("x")
        info.pax_headers = {"comment": "x" * 2 * 1024 * 1024}
        archive.addfile(info)
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "blob").write_bytes(out.getvalue())
    with pytest.raises(Ended, match="damaged"):
        Tree(root, "a", Budget(root)).add_layer(tmp_path / "blob")


def filled(tmp_path: Path, content: bytes) -> int:
    """Bytes that unpacking a layer holds at once."""
    (tmp_path / "root").mkdir()
    (tmp_path / "blob").write_bytes(gzip.compress(content, 1))
    tree = Tree(tmp_path / "root", "a", Budget(tmp_path / "root"))
    tracemalloc.start()
    try:
        tree.add_layer(tmp_path / "blob")
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_are_forgotten_when_their_file_is_there(tmp_path: Path, kind: bytes) -> None:
    # The names of these attributes differ, so that none takes another's place.
    headers = (header(kind, **{f"k{each}": "x" * 900_000}) for each in range(20))
    content = b"".join(each + tar([Made("f")])[:1024] for each in headers)
    assert filled(tmp_path, content + bytes(1024)) < 10_000_000


def header(kind: bytes, **attributes: str) -> bytes:
    out = io.BytesIO()
    asked = attributes if kind == tarfile.XGLTYPE else {}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=asked) as file:
        if kind == tarfile.XHDTYPE:
            info = tarfile.TarInfo("f")
            info.pax_headers = attributes
            file.addfile(info)
        end = file.offset
    return out.getvalue()[:end]


HOLES = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}


@pytest.mark.parametrize(
    "content",
    [
        header(tarfile.XHDTYPE, **HOLES) + b"99999\n" + b"1\n" * 5000,
        header(tarfile.XHDTYPE, **{"GNU.sparse.map": "a,b"}),
        header(tarfile.XGLTYPE, comment="x") * 3000,
    ],
    ids=["holes", "numbers that are none", "headers of headers"],
)
def test_headers_that_nobody_writes_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Ended, match="damaged"):
        filled(tmp_path, content + bytes(1024))


def test_old_lists_of_holes_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.GNUTYPE_SPARSE
    with pytest.raises(Ended, match="damaged"):
        filled(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_links_and_titles_that_no_file_system_takes_are_refused(tmp_path: Path) -> None:
    assert (
        "is too long"
        in refused(tmp_path, [Made("data/x", kind="symlink", link="y" * 5000)]).sentence
    )
    (tmp_path / "blob").touch()
    with pytest.raises(Ended, match="no text"):
        Tree(tmp_path, "a", Budget(tmp_path)).add_file("\ud800", tmp_path / "blob")


NAMES = st.lists(
    st.sampled_from(["a", "b", "data", "..", ".", "", "out", ".wh.a", ".wh..wh..opq", "é\n"]),
    min_size=1,
    max_size=4,
).map("/".join)
MEMBERS = st.builds(
    Made,
    name=NAMES,
    kind=st.sampled_from(list(KINDS)),
    content=st.binary(max_size=8),
    link=st.one_of(NAMES, NAMES.map(lambda name: f"/{name}"), st.just("/outside")),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(layers=st.lists(st.lists(MEMBERS, max_size=8), max_size=3))
def test_nothing_lies_outside_and_no_link_is_left_whatever_an_archive_has(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[Made]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("tree")
    around = tmp_path / "around"
    (around / "root").mkdir(parents=True)
    (around / "out").write_text("theirs")
    tree = Tree(around / "root", "a", Budget(around))
    with contextlib.suppress(Ended):
        for members in layers:
            tree.add_layer(layer(tmp_path, *members))
        tree.settled("data")
    assert {path.name for path in around.iterdir()} == {"root", "out"}
    assert (around / "out").read_text() == "theirs"
    for path in (around / "root").rglob("*"):
        assert not path.is_symlink()
        assert path.is_file() or path.is_dir()
