"""The registry as the distribution specification has it, over HTTP without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from test.unit.local.registry.registry_client import (
    IMAGE,
    INDEX,
    RegistryClient,
    content,
    descriptor,
    digest_of,
    error,
    image,
    read,
)

if TYPE_CHECKING:
    from test.unit.local.conftest import ManualClock

LAYER = b"0123456789"
NOTHING = digest_of(b"nothing")
SEGMENTS = [
    *("a", "..", "%2e%2e", "", "\x00", "index.sqlite", NOTHING, "sha256:x", "_catalog", "token"),
    *("blobs", "uploads", "manifests", "tags", "list", "referrers"),
]


@pytest.fixture
def registry(clock: ManualClock, tmp_path: Path) -> RegistryClient:
    return RegistryClient(clock, tmp_path)


class TestBlobs:
    """Contents, and how they are sent."""

    async def test_a_blob_is_sent_at_once_and_read_back(self, registry: RegistryClient) -> None:
        made = await registry.ask(
            "POST", "a/b/blobs/uploads/", LAYER, query={"digest": digest_of(LAYER)}
        )
        assert made.status == 201
        assert made.headers["location"] == f"/v2/a/b/blobs/{digest_of(LAYER)}"
        found = await registry.ask("GET", f"a/b/blobs/{digest_of(LAYER)}")
        assert (found.status, await content(found)) == (200, LAYER)
        assert found.headers["docker-content-digest"] == digest_of(LAYER)
        there = await registry.ask("HEAD", f"a/b/blobs/{digest_of(LAYER)}")
        assert (there.headers["content-length"], there.body) == ("10", b"")

    @pytest.mark.parametrize("rest", [LAYER[4:], b""])
    async def test_an_upload_that_is_cancelled_while_it_is_sent_is_unknown(
        self, registry: RegistryClient, rest: bytes
    ) -> None:
        where = (await registry.ask("POST", "a/blobs/uploads/")).headers["location"][4:]

        async def body() -> AsyncIterator[bytes]:
            yield LAYER[:4]
            assert (await registry.ask("DELETE", where)).status == 204
            yield rest

        refused = await registry.ask("PUT", where, body(), query={"digest": digest_of(LAYER[:4])})
        assert error(refused) == (404, "BLOB_UPLOAD_UNKNOWN")

    async def test_a_blob_is_sent_in_chunks(self, registry: RegistryClient) -> None:
        begun = await registry.ask("POST", "a/blobs/uploads/")
        assert begun.status == 202
        where = begun.headers["location"].removeprefix("/v2/")
        first = await registry.ask(
            "PATCH", where, LAYER[:4], content_range="0-3", content_length="4"
        )
        assert (first.status, first.headers["range"]) == (202, "0-3")
        assert (await registry.ask("GET", where)).headers["range"] == "0-3"
        for wrong in ("0-3", "5-6", "4-3", "x"):
            refused = await registry.ask("PATCH", where, LAYER[4:], content_range=wrong)
            assert error(refused) == (416, "RANGE_INVALID")
            assert refused.headers["range"] == "0-3"
        await registry.ask("PATCH", where, LAYER[4:8])
        done = await registry.ask(
            "PUT", where, LAYER[8:], query={"digest": digest_of(LAYER)}, content_range="8-9"
        )
        assert done.status == 201
        found = await registry.ask("GET", f"a/blobs/{digest_of(LAYER)}")
        assert await content(found) == LAYER
        assert error(await registry.ask("GET", where)) == (404, "BLOB_UPLOAD_UNKNOWN")

    async def test_what_is_not_what_it_claims_to_be_is_not_kept(
        self, registry: RegistryClient, tmp_path: Path
    ) -> None:
        refused = await registry.ask("POST", "a/blobs/uploads/", LAYER, query={"digest": NOTHING})
        assert error(refused) == (400, "DIGEST_INVALID")
        assert [
            path for path in tmp_path.rglob("*") if path.is_file() and "sql" not in path.name
        ] == []

    async def test_an_upload_is_its_repositorys_and_can_be_given_up(
        self, registry: RegistryClient, tmp_path: Path
    ) -> None:
        begun = await registry.ask("POST", "a/blobs/uploads/")
        name = begun.headers["docker-upload-uuid"]
        other = await registry.ask("PATCH", f"b/blobs/uploads/{name}", LAYER)
        assert error(other) == (404, "BLOB_UPLOAD_UNKNOWN")
        assert (await registry.ask("DELETE", f"a/blobs/uploads/{name}")).status == 204
        assert list((tmp_path / "uploads").iterdir()) == []

    async def test_two_requests_cannot_write_to_one_upload(self, registry: RegistryClient) -> None:
        begun = await registry.ask("POST", "a/blobs/uploads/")
        where = begun.headers["location"].removeprefix("/v2/")
        started, finish = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield LAYER[:5]
            started.set()
            await finish.wait()
            yield LAYER[5:]

        first = asyncio.create_task(registry.ask("PATCH", where, slowly()))
        await started.wait()
        second = await registry.ask("PATCH", where, LAYER)
        assert error(second) == (409, "BLOB_UPLOAD_INVALID")
        finish.set()
        assert (await first).headers["range"] == "0-9"

    async def test_what_came_before_the_sender_broke_off_can_be_gone_on_with(
        self, registry: RegistryClient
    ) -> None:
        begun = await registry.ask("POST", "a/blobs/uploads/")
        where = begun.headers["location"].removeprefix("/v2/")

        async def broken() -> AsyncIterator[bytes]:
            yield LAYER[:5]
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await registry.ask("PATCH", where, broken())
        assert (await registry.ask("GET", where)).headers["range"] == "0-4"
        done = await registry.ask("PUT", where, LAYER[5:], query={"digest": digest_of(LAYER)})
        assert done.status == 201

    async def test_a_blob_that_is_too_large_is_refused(
        self, clock: ManualClock, tmp_path: Path
    ) -> None:
        registry = RegistryClient(clock, tmp_path, most=5)
        begun = await registry.ask("POST", "a/blobs/uploads/")
        where = begun.headers["location"].removeprefix("/v2/")
        assert error(await registry.ask("PATCH", where, LAYER)) == (413, "SIZE_INVALID")
        assert list((tmp_path / "uploads").iterdir()) == []

    async def test_only_so_many_uploads_are_open_and_idle_ones_make_room(
        self, registry: RegistryClient, clock: ManualClock
    ) -> None:
        for _ in range(100):
            assert (await registry.ask("POST", "a/blobs/uploads/")).status == 202
        assert error(await registry.ask("POST", "a/blobs/uploads/")) == (429, "TOOMANYREQUESTS")
        clock.advance(3601)
        assert (await registry.ask("POST", "a/blobs/uploads/")).status == 202

    async def test_a_blob_is_mounted_from_another_repository(
        self, registry: RegistryClient
    ) -> None:
        found = await registry.push_blob("a", LAYER)
        mounted = await registry.ask(
            "POST", "b/blobs/uploads/", query={"mount": found, "from": "a"}
        )
        assert mounted.status == 201
        assert (await registry.ask("HEAD", f"b/blobs/{found}")).status == 200
        unknown = await registry.ask(
            "POST", "b/blobs/uploads/", query={"mount": NOTHING, "from": "a"}
        )
        assert unknown.status == 202, "an ordinary upload instead"

    async def test_a_blob_belongs_to_the_repositories_that_have_got_it(
        self, registry: RegistryClient
    ) -> None:
        found = await registry.push_blob("a", LAYER)
        assert error(await registry.ask("GET", f"b/blobs/{found}")) == (404, "BLOB_UNKNOWN")
        await registry.push_blob("b", LAYER)
        assert (await registry.ask("DELETE", f"a/blobs/{found}")).status == 202
        assert (await registry.ask("GET", f"a/blobs/{found}")).status == 404
        assert await content(await registry.ask("GET", f"b/blobs/{found}")) == LAYER

    @pytest.mark.parametrize(
        ("asked", "status", "said", "got"),
        [
            ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
            ("bytes=7-", 206, "bytes 7-9/10", b"789"),
            ("bytes=7-99", 206, "bytes 7-9/10", b"789"),
            ("bytes=-3", 206, "bytes 7-9/10", b"789"),
            ("bytes=0-9", 200, None, LAYER),
            ("bytes=", 200, None, LAYER),
            ("bytes=1-2,4-5", 200, None, LAYER),
            ("lines=1-2", 200, None, LAYER),
        ],
    )
    async def test_a_part_of_a_blob_is_read(
        self, registry: RegistryClient, asked: str, status: int, said: str | None, got: bytes
    ) -> None:
        found = await registry.push_blob("a", LAYER)
        answer = await registry.ask("GET", f"a/blobs/{found}", range=asked)
        assert (answer.status, await content(answer)) == (status, got)
        assert answer.headers.get("content-range") == said
        assert answer.headers["content-length"] == str(len(got))

    @pytest.mark.parametrize("asked", ["bytes=10-", "bytes=5-2", "bytes=-0"])
    async def test_a_part_that_there_is_not_is_refused(
        self, registry: RegistryClient, asked: str
    ) -> None:
        found = await registry.push_blob("a", LAYER)
        answer = await registry.ask("GET", f"a/blobs/{found}", range=asked)
        assert error(answer) == (416, "RANGE_INVALID")
        assert answer.headers["content-range"] == "bytes */10"

    async def test_an_empty_blob_is_one(self, registry: RegistryClient) -> None:
        found = await registry.push_blob("a", b"")
        answer = await registry.ask("GET", f"a/blobs/{found}")
        assert (answer.status, await content(answer)) == (200, b"")


class TestManifests:
    """Manifests, tags and referrers."""

    async def test_a_manifest_is_kept_byte_by_byte(self, registry: RegistryClient) -> None:
        found = await registry.push_image("team/adapter")
        text = json.dumps(image()).encode()
        assert found == digest_of(text)
        for reference in ("v1", found):
            answer = await registry.ask("GET", f"team/adapter/manifests/{reference}")
            assert (answer.status, answer.body) == (200, text)
            assert answer.headers["content-type"] == IMAGE
            assert answer.headers["docker-content-digest"] == found
            head = await registry.ask("HEAD", f"team/adapter/manifests/{reference}")
            assert (head.headers["content-length"], head.body) == (str(len(text)), b"")

    async def test_a_tag_moves(self, registry: RegistryClient) -> None:
        old = await registry.push_image("a", "v1", b"one")
        new = await registry.push_image("a", "v1", b"two")
        answer = await registry.ask("HEAD", "a/manifests/v1")
        assert answer.headers["docker-content-digest"] == new != old
        assert (await registry.ask("GET", f"a/manifests/{old}")).status == 200

    @pytest.mark.parametrize(
        ("text", "media_type", "expected"),
        [
            (image(b"absent"), IMAGE, (400, "MANIFEST_BLOB_UNKNOWN")),
            (image(), "application/json", (415, "MANIFEST_INVALID")),
            (image(), "", (415, "MANIFEST_INVALID")),
            (image(), INDEX, (400, "MANIFEST_INVALID")),
            (image(schemaVersion=1), IMAGE, (400, "MANIFEST_INVALID")),
            (image(layers=None), IMAGE, (400, "MANIFEST_INVALID")),
            (image(layers=[{}]), IMAGE, (400, "MANIFEST_INVALID")),
            (image(config="x"), IMAGE, (400, "MANIFEST_INVALID")),
            (image(annotations={"a": 1}), IMAGE, (400, "MANIFEST_INVALID")),
            (image(artifactType=1), IMAGE, (400, "MANIFEST_INVALID")),
            (image(subject={"mediaType": IMAGE}), IMAGE, (400, "MANIFEST_INVALID")),
            (
                image(layers=[{**descriptor(b"layer"), "digest": "../../etc"}]),
                IMAGE,
                (400, "DIGEST_INVALID"),
            ),
            (image(layers=[{**descriptor(b"layer"), "size": 4}]), IMAGE, (400, "SIZE_INVALID")),
            (b"{", IMAGE, (400, "MANIFEST_INVALID")),
            (b'{"a":"\\ud800"}', IMAGE, (400, "MANIFEST_INVALID")),
            (b"[" * 100_000, IMAGE, (400, "MANIFEST_INVALID")),
            (b" " * (4 * 2**20 + 1), IMAGE, (413, "MANIFEST_INVALID")),
        ],
    )
    async def test_a_manifest_that_is_none_is_refused(
        self, registry: RegistryClient, text: Any, media_type: str, expected: tuple[int, str]
    ) -> None:
        for part in (b"{}", b"layer"):
            await registry.push_blob("a", part)
        assert error(await registry.push("a", "v1", text, media_type)) == expected

    async def test_a_foreign_layer_lies_elsewhere(self, registry: RegistryClient) -> None:
        await registry.push_blob("a", b"{}")
        layers = [{**descriptor(b"absent"), "urls": ["https://example.com/layer"]}]
        assert (await registry.push("a", "v1", image(layers=layers))).status == 201

    async def test_a_manifest_by_digest_must_have_that_digest(
        self, registry: RegistryClient
    ) -> None:
        await registry.push_image("a")
        assert error(await registry.push("a", NOTHING, image())) == (400, "DIGEST_INVALID")

    async def test_an_index_has_manifests(self, registry: RegistryClient) -> None:
        found = await registry.push_image("a")
        text = json.dumps(image()).encode()
        index = {"schemaVersion": 2, "manifests": [descriptor(text, IMAGE)]}
        assert (await registry.push("a", "all", index, INDEX)).status == 201
        assert index["manifests"][0]["digest"] == found  # type: ignore[index]  # a list of dicts
        lacking = {"schemaVersion": 2, "manifests": [descriptor(b"absent", IMAGE)]}
        refused = await registry.push("a", "all", lacking, INDEX)
        assert error(refused) == (400, "MANIFEST_BLOB_UNKNOWN")

    async def test_what_says_to_be_about_a_manifest_is_found(
        self, registry: RegistryClient
    ) -> None:
        subject = descriptor(json.dumps(image()).encode(), IMAGE)
        path = f"a/referrers/{subject['digest']}"
        empty = await registry.ask("GET", path)
        assert (empty.status, read(empty)["manifests"]) == (200, [])
        assert empty.headers["content-type"] == INDEX
        await registry.push_blob("a", b"{}")
        await registry.push_blob("a", b"layer")
        notes = {"org.example": "yes"}
        about = image(subject=subject, artifactType="text/signature", annotations=notes)
        pushed = await registry.push("a", "signature", about)
        assert pushed.status == 201, "the subject need not be there"
        assert pushed.headers["oci-subject"] == subject["digest"]
        await registry.push("a", "other", image(subject=subject))
        found = {
            each["artifactType"]: each
            for each in read(await registry.ask("GET", path))["manifests"]
        }
        assert set(found) == {"text/signature", "application/vnd.oci.empty.v1+json"}
        assert found["text/signature"]["annotations"] == notes
        filtered = await registry.ask("GET", path, query={"artifactType": "text/signature"})
        assert read(filtered)["manifests"] == [found["text/signature"]]
        assert filtered.headers["oci-filters-applied"] == "artifactType"

    async def test_a_tag_and_a_manifest_are_deleted(self, registry: RegistryClient) -> None:
        found = await registry.push_image("a", "v1")
        await registry.push("a", "v2", image())
        assert (await registry.ask("DELETE", "a/manifests/v1")).status == 202
        assert error(await registry.ask("GET", "a/manifests/v1")) == (404, "MANIFEST_UNKNOWN")
        assert (await registry.ask("GET", "a/manifests/v2")).status == 200
        assert (await registry.ask("DELETE", f"a/manifests/{found}")).status == 202
        assert (await registry.ask("GET", "a/manifests/v2")).status == 404
        assert error(await registry.ask("DELETE", "a/manifests/v2")) == (404, "MANIFEST_UNKNOWN")

    async def test_tags_and_repositories_are_listed_in_pages(
        self, registry: RegistryClient
    ) -> None:
        for tag in ("v2", "v1", "v10"):
            await registry.push_image("a", tag)
        first = await registry.ask("GET", "a/tags/list", query={"n": 2})
        assert read(first) == {"name": "a", "tags": ["v1", "v10"]}
        link, _, relation = first.headers["link"].partition(";")
        assert relation == ' rel="next"'
        path, _, query = link.strip("<>").partition("?")
        rest = await registry.ask("GET", path.removeprefix("/v2/"), query=parse_qsl(query))
        assert read(rest)["tags"] == ["v2"]
        assert "link" not in rest.headers
        await registry.push_blob("b/c", b"x")
        assert read(await registry.ask("GET", "_catalog")) == {"repositories": ["a", "b/c"]}
        after = await registry.ask("GET", "_catalog", query={"last": "a"})
        assert read(after) == {"repositories": ["b/c"]}
        none = await registry.ask("GET", "a/tags/list", query={"n": 0})
        assert read(none)["tags"] == []

    @pytest.mark.parametrize("number", ["-1", "x", "1e9", "9999999999"])
    async def test_a_number_that_is_none_is_refused(
        self, registry: RegistryClient, number: str
    ) -> None:
        await registry.push_image("a")
        refused = await registry.ask("GET", "a/tags/list", query={"n": number})
        assert error(refused) == (400, "PAGINATION_NUMBER_INVALID")

    async def test_what_is_no_text_is_answered_all_the_same(self, registry: RegistryClient) -> None:
        await registry.push_image("a")
        last = await registry.ask("GET", "a/tags/list", query={"last": b"\xff"})
        assert read(last)["tags"] == []
        strange = await registry.ask("GET", "a/blobs/uploads/\udcff")
        assert error(strange) == (404, "BLOB_UPLOAD_UNKNOWN")

    async def test_an_unknown_repository_has_no_tags(self, registry: RegistryClient) -> None:
        assert error(await registry.ask("GET", "a/tags/list")) == (404, "NAME_UNKNOWN")


class TestGarbage:
    """What is deleted leaves the disk; what is needed stays."""

    def files(self, directory: Path) -> set[str]:
        return {f"sha256:{path.name}" for path in (directory / "blobs" / "sha256").iterdir()}

    async def test_a_blob_that_nobody_holds_leaves_the_disk(
        self, registry: RegistryClient, tmp_path: Path
    ) -> None:
        found = await registry.push_blob("a", LAYER)
        await registry.ask("POST", "b/blobs/uploads/", query={"mount": found, "from": "a"})
        await registry.ask("DELETE", f"a/blobs/{found}")
        assert self.files(tmp_path) == {found}
        await registry.ask("DELETE", f"b/blobs/{found}")
        assert self.files(tmp_path) == set()

    async def test_the_parts_of_a_deleted_image_go_when_nobody_has_asked_for_them(
        self, registry: RegistryClient, clock: ManualClock, tmp_path: Path
    ) -> None:
        shared, own = b"shared", b"own"
        kept = await registry.push_image("a", "v1", shared)
        await registry.push_blob("a", own)
        both = image(layers=[descriptor(shared), descriptor(own)])
        gone = (await registry.push("a", "v2", both)).headers["docker-content-digest"]
        clock.advance(3601)
        await registry.ask("DELETE", f"a/manifests/{gone}")
        assert self.files(tmp_path) == {kept, digest_of(b"{}"), digest_of(shared)}

    async def test_a_part_that_is_about_to_be_used_stays(
        self, registry: RegistryClient, clock: ManualClock, tmp_path: Path
    ) -> None:
        gone = await registry.push_image("a")
        clock.advance(3601)
        assert (await registry.ask("HEAD", f"a/blobs/{digest_of(b'layer')}")).status == 200
        await registry.ask("DELETE", f"a/manifests/{gone}")
        assert self.files(tmp_path) == {digest_of(b"layer")}

    async def test_a_restart_keeps_what_there_is_and_sweeps_what_was_unfinished(
        self, registry: RegistryClient, clock: ManualClock, tmp_path: Path
    ) -> None:
        found = await registry.push_image("a")
        begun = await registry.ask("POST", "a/blobs/uploads/", b"")
        await registry.ask("PATCH", begun.headers["location"].removeprefix("/v2/"), LAYER)
        stray = tmp_path / "blobs" / "sha256" / ("0" * 64)
        stray.write_bytes(b"of a run that was killed")
        registry.storage.close()
        again = RegistryClient(clock, tmp_path)
        assert (await again.ask("GET", "a/manifests/v1")).headers["docker-content-digest"] == found
        assert not stray.exists()
        assert list((tmp_path / "uploads").iterdir()) == []


class TestNames:
    """Names that are none reach neither the disk nor the index."""

    @pytest.mark.parametrize(
        "name",
        [
            *("A", "a//b", "../a", "a/..", "a/../b", "%2e%2e/a", "a%2f..%2fb", "a b", "a\x00"),
            *(
                "-a",
                "a-",
                "a___b",
                "a.",
                ".a",
                "a/",
                "ü",
                "\udcff",
                "%ff",
                "a" * 256,
                "a/" * 200 + "a",
            ),
        ],
    )
    async def test_a_repository_cannot_be_called_so(
        self, registry: RegistryClient, name: str
    ) -> None:
        answer = await registry.ask("POST", f"{name}/blobs/uploads/")
        assert error(answer)[1] == "NAME_INVALID"

    @pytest.mark.parametrize(
        "name", ["a", "a/b/c", "a.b_c__d-e---f/0", "blobs/uploads/x", "manifests/tags", "a" * 255]
    )
    async def test_a_repository_can_be_called_so(self, registry: RegistryClient, name: str) -> None:
        found = await registry.push_image(name)
        assert (await registry.ask("HEAD", f"{name}/manifests/{found}")).status == 200

    @pytest.mark.parametrize(
        ("reference", "code"),
        [
            ("-v1", "TAG_INVALID"),
            ("v" * 129, "TAG_INVALID"),
            ("..", "TAG_INVALID"),
            ("sha256:abc", "DIGEST_INVALID"),
            (f"sha256:{'A' * 64}", "DIGEST_INVALID"),
            (f"sha512:{'a' * 128}", "DIGEST_INVALID"),
            (f"sha256:{'a' * 63}%00", "DIGEST_INVALID"),
        ],
    )
    async def test_a_reference_cannot_be_this(
        self, registry: RegistryClient, reference: str, code: str
    ) -> None:
        assert error(await registry.push("a", reference, image())) == (400, code)

    async def test_an_upload_cannot_be_guessed_into_the_file_system(
        self, registry: RegistryClient
    ) -> None:
        answer = await registry.ask("PATCH", "a/blobs/uploads/..%2f..%2findex.sqlite", LAYER)
        assert answer.status == 404

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]),
        path=st.one_of(
            st.text(),
            st.lists(
                st.sampled_from(SEGMENTS),
                max_size=8,
            ).map("/".join),
        ),
        body=st.binary(max_size=40),
    )
    def test_no_path_leads_out_of_the_directory_or_into_a_crash(
        self, registry: RegistryClient, tmp_path: Path, method: str, path: str, body: bytes
    ) -> None:
        answer = asyncio.run(registry.ask(method, path, body, query={"digest": digest_of(body)}))
        assert answer.status < 500
        assert {each.name for each in tmp_path.iterdir()} <= {
            *("blobs", "uploads", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm")
        }

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "a/manifests/v1"),
            ("PUT", f"a/blobs/{NOTHING}"),
            ("PUT", "a/blobs/uploads/"),
            ("POST", "a/tags/list"),
            ("DELETE", "_catalog"),
            ("PUT", f"a/referrers/{NOTHING}"),
        ],
    )
    async def test_what_is_not_supported_says_so(
        self, registry: RegistryClient, method: str, path: str
    ) -> None:
        answer = await registry.ask(method, path)
        assert error(answer) in {(405, "UNSUPPORTED"), (401, "UNAUTHORIZED")}
