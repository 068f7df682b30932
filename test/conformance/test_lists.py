"""Lists: pages, versions, selectors, order."""

from __future__ import annotations

import base64

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space, lease, pod

pytestmark = pytest.mark.apiserver

FUTURE = "999999999999"


@pytest.fixture
async def five(api: Api, ns: Space) -> Space:
    for name in "ebdac":
        (await api.create(ns.leases(), lease(name, labels={"n": name}))).ok()
    return ns


async def test_a_list_carries_a_version_and_its_items_no_kind(api: Api, five: Space) -> None:
    answer = await api.get(five.leases())
    assert answer.body["kind"] == "LeaseList"
    assert answer.body["apiVersion"] == "coordination.k8s.io/v1"
    assert int(answer.version) > 0
    assert all("kind" not in item for item in answer.body["items"])


async def test_an_empty_list_has_no_items(api: Api, ns: Space) -> None:
    answer = await api.get(ns.leases())
    assert answer.body["items"] == []
    assert answer.version


async def test_a_list_of_a_namespace_that_is_missing_is_empty(api: Api, word: str) -> None:
    answer = await api.get(Space(f"{word}-none").leases())
    assert (answer.status, answer.names) == (200, [])


async def test_a_list_is_sorted_by_name(api: Api, five: Space) -> None:
    assert (await api.get(five.leases())).names == list("abcde")


async def test_names_are_sorted_by_their_bytes(api: Api, ns: Space) -> None:
    for name in ("b", "a.b", "a-b", "a0", "a"):
        await api.create(ns.leases(), lease(name))
    assert (await api.get(ns.leases())).names == ["a", "a-b", "a.b", "a0", "b"]


async def test_pages_follow_each_other_to_the_end(api: Api, five: Space) -> None:
    first = await api.get(five.leases(), limit=2)
    second = await api.get(five.leases(), limit=2, continue_=first.metadata["continue"])
    third = await api.get(five.leases(), limit=2, continue_=second.metadata["continue"])
    assert first.names + second.names + third.names == list("abcde")
    assert (first.metadata["remainingItemCount"], second.metadata["remainingItemCount"]) == (3, 1)
    assert not {"continue", "remainingItemCount"} & third.metadata.keys()


async def test_the_pages_of_a_list_have_one_version(api: Api, five: Space) -> None:
    first = await api.get(five.leases(), limit=2)
    await api.create(five.leases(), lease("f"))
    second = await api.get(five.leases(), limit=2, continue_=first.metadata["continue"])
    assert first.version == second.version


async def test_a_continued_list_shows_the_moment_of_its_first_page(api: Api, five: Space) -> None:
    first = await api.get(five.leases(), limit=1)
    await api.delete(five.leases("c"))
    await api.create(five.leases(), lease("aa"))
    rest = await api.get(five.leases(), continue_=first.metadata["continue"])
    assert rest.names == list("bcde")


async def test_a_page_that_holds_everything_has_no_continuation(api: Api, five: Space) -> None:
    answer = await api.get(five.leases(), limit=5)
    assert "continue" not in answer.metadata


async def test_pages_under_a_selector_say_nothing_of_what_remains(api: Api, five: Space) -> None:
    first = await api.get(five.leases(), limit=2, labelSelector="n!=a")
    token = first.metadata["continue"]
    second = await api.get(five.leases(), limit=2, continue_=token, labelSelector="n!=a")
    assert "remainingItemCount" not in first.metadata
    assert first.names + second.names == list("bcde")


async def test_a_continue_token_that_is_garbage_is_refused(api: Api, five: Space) -> None:
    answer = await api.get(five.leases(), limit=1, continue_="garbage")
    assert answer.status == 400
    assert answer.message.startswith("invalid continue token: continue key is not valid")


async def test_a_continue_token_excludes_a_version(api: Api, five: Space) -> None:
    first = await api.get(five.leases(), limit=1)
    token = first.metadata["continue"]
    answer = await api.get(five.leases(), limit=1, continue_=token, resourceVersion=first.version)
    assert answer.status == 400
    assert "specifying resource version is not allowed when using continue" in answer.message


async def test_a_limit_must_be_a_number(api: Api, ns: Space) -> None:
    answer = await api.get(ns.leases(), limit="ten")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == 'strconv.ParseInt: parsing "ten": invalid syntax'


async def test_an_exact_version_lists_the_past(api: Api, five: Space) -> None:
    past = (await api.get(five.leases())).version
    await api.delete(five.leases("a"))
    query = {"resourceVersion": past, "resourceVersionMatch": "Exact"}
    answer = await api.get(five.leases(), **query)
    assert answer.names == list("abcde")
    assert answer.version == past


async def test_a_version_of_zero_or_the_past_may_be_answered_by_the_present(
    api: Api, five: Space
) -> None:
    past = (await api.get(five.leases())).version
    await api.delete(five.leases("a"))
    newer = await api.get(five.leases(), resourceVersion=past, resourceVersionMatch="NotOlderThan")
    assert int(newer.version) >= int(past)
    assert (await api.get(five.leases(), resourceVersion="0")).status == 200


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (
            {"resourceVersionMatch": "Exact"},
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"resourceVersionMatch": "Newest", "resourceVersion": "1"},
            'supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
            "sendInitialEvents is forbidden for list",
        ),
    ],
)
async def test_a_version_match_that_makes_no_sense_is_refused(
    api: Api, ns: Space, query: dict[str, str], why: str
) -> None:
    answer = await api.get(ns.leases(), **query)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.startswith('ListOptions.meta.k8s.io "" is invalid')
    assert why in answer.message


async def test_a_version_that_is_no_number_is_a_bad_request(api: Api, ns: Space) -> None:
    answer = await api.get(ns.leases(), resourceVersion="abc")
    assert (answer.status, answer.reason) == (400, "BadRequest")


async def test_a_version_from_the_future_times_out(api: Api, five: Space) -> None:
    answer = await api.get(five.leases(), resourceVersion=FUTURE)
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert answer.message.startswith(f"Timeout: Too large resource version: {FUTURE}, current: ")
    assert answer.body["details"]["retryAfterSeconds"] == 1


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("env=prod", ["a", "b"]),
        ("env==prod,tier=gpu", ["a"]),
        ("env!=prod", ["c", "d"]),
        ("env in (prod, test)", ["a", "b", "c"]),
        ("env notin (prod,dev)", ["c", "d"]),
        ("env", ["a", "b", "c"]),
        ("!env", ["d"]),
        ("tier=", ["b"]),
        ("tier,env!=test", ["a", "b"]),
        ("size>3", ["c"]),
        ("size<4", ["d"]),
        ("", ["a", "b", "c", "d"]),
    ],
)
async def test_a_label_selector_finds(api: Api, ns: Space, selector: str, found: list[str]) -> None:
    for name, labels in {
        "a": {"env": "prod", "tier": "gpu"},
        "b": {"env": "prod", "tier": ""},
        "c": {"env": "test", "size": "5"},
        "d": {"size": "3"},
    }.items():
        await api.create(ns.leases(), lease(name, labels=labels))
    assert (await api.get(ns.leases(), labelSelector=selector)).names == found


@pytest.mark.parametrize("selector", ["a in (", "a=b=c", "!", "a in b", "-a=b", "a=b c", "a>x"])
async def test_a_label_selector_that_does_not_parse_is_a_bad_request(
    api: Api, ns: Space, selector: str
) -> None:
    answer = await api.get(ns.leases(), labelSelector=selector)
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("a in (b", "found '', expected: ',' or ')'"),
        ("a in (b c)", "found 'c', expected: ',' or ')'"),
        ("a in ((b))", "found '(', expected: ',', ')' or identifier"),
        ("a in b", "found 'b' expected: '('"),
        ("a in (,(", "found '(', expected: ',', or identifier"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=(", "found '(', expected: identifier"),
        (
            "a>99999999999999999999",
            (
                "values[0]: Invalid value: \"99999999999999999999\": for 'Gt', 'Lt' operators, the "
                "value must be an integer"
            ),
        ),
    ],
)
async def test_a_label_selector_is_refused_for_its_first_wrong_word(
    api: Api, ns: Space, selector: str, why: str
) -> None:
    answer = await api.get(ns.leases(), labelSelector=selector)
    assert answer.message == f"unable to parse requirement: {why}"


async def test_every_wrong_value_of_a_label_selector_is_named(api: Api, ns: Space) -> None:
    answer = await api.get(ns.leases(), labelSelector="a in (-b,-c)")
    assert answer.message.startswith("unable to parse requirement: [values[0][a]: Invalid value: ")
    assert 'values[1][a]: Invalid value: "-c": a valid label' in answer.message


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        (r"metadata.name=a\b", r"invalid field selector: invalid escape sequence: \b"),
        ("metadata.name=a\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
async def test_a_field_selector_that_does_not_parse_is_a_bad_request(
    api: Api, ns: Space, selector: str, why: str
) -> None:
    answer = await api.get(ns.leases(), fieldSelector=selector)
    assert (answer.status, answer.message) == (400, why)


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("metadata.name=p", ["p"]),
        ("metadata.name!=p", ["q"]),
        ("spec.nodeName=n1", ["q"]),
        ("spec.nodeName=", ["p"]),
        ("status.phase=Pending", ["p", "q"]),
        ("spec.restartPolicy=Never,metadata.name=p", ["p"]),
        ("metadata.namespace=other", []),
    ],
)
async def test_a_field_selector_of_pods_finds(
    api: Api, ns: Space, selector: str, found: list[str]
) -> None:
    (await api.create(ns.pods(), pod("p", restartPolicy="Never"))).ok()
    (await api.create(ns.pods(), pod("q", nodeName="n1"))).ok()
    assert (await api.get(ns.pods(), fieldSelector=selector)).names == found


async def test_a_field_that_is_not_selectable_is_a_bad_request(api: Api, ns: Space) -> None:
    pods = await api.get(ns.pods(), fieldSelector="spec.foo=1")
    leases = await api.get(ns.leases(), fieldSelector="spec.holderIdentity=x")
    assert (pods.status, leases.status) == (400, 400)
    assert pods.message == "field label not supported: spec.foo"
    assert leases.message == (
        '"spec.holderIdentity" is not a known field selector: '
        'only "metadata.name", "metadata.namespace"'
    )


@pytest.mark.parametrize(
    ("path", "field", "why"),
    [
        ("/api/v1/namespaces", "name", "field label not supported: name"),
        ("/api/v1/events", "regarding.kind", "field label not supported: regarding.kind"),
        ("/apis/events.k8s.io/v1/events", "source", "field label not supported: source"),
        ("/apis/batch/v1/jobs", "a", 'field label "a" not supported for Job'),
        ("/api/v1/replicationcontrollers", "a", "field label not supported: a"),
        (
            "/apis/apps/v1/replicasets",
            "status.replicas",
            (
                '"status.replicas" is not a known field selector: only "metadata.name", '
                '"metadata.namespace"'
            ),
        ),
    ],
)
async def test_each_kind_has_its_own_words_for_an_unknown_field(
    api: Api, path: str, field: str, why: str
) -> None:
    answer = await api.get(path, fieldSelector=f"{field}=x")
    assert (answer.status, answer.message) == (400, why)


@pytest.mark.parametrize("name", ["limit", "timeoutSeconds"])
@pytest.mark.parametrize(
    ("text", "why"),
    [("", "invalid syntax"), ("1.5", "invalid syntax"), ("9" * 20, "value out of range")],
)
async def test_a_number_in_the_query_has_64_bits(
    api: Api, ns: Space, name: str, text: str, why: str
) -> None:
    answer = await api.get(ns.leases(), **{name: text})
    assert (answer.status, answer.message) == (400, f'strconv.ParseInt: parsing "{text}": {why}')


async def test_a_list_from_the_cache_has_no_pages(api: Api, five: Space) -> None:
    answer = await api.get(five.leases(), resourceVersion="0", limit=2)
    assert answer.names == list("abcde")
    assert "continue" not in answer.metadata


async def test_a_page_may_begin_at_any_key(api: Api, five: Space) -> None:
    text = b'{"v":"meta.k8s.io/v1","rv":-1,"start":"c"}'
    continuation = base64.urlsafe_b64encode(text).decode().rstrip("=")
    answer = await api.get(five.leases(), continue_=continuation)
    assert answer.names == ["c", "d", "e"]


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("a", "illegal base64 data at input byte 0"),
        ("e30=", "illegal base64 data at input byte 3"),
        ("e30", "server does not recognize this encoded version "),
        (
            "WzFd",
            "json: cannot unmarshal array into Go value of type storage.continueToken",
        ),
        (
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vYSJ9",
            "../a",
        ),
    ],
)
async def test_a_continue_token_is_read_with_care(
    api: Api, ns: Space, token: str, why: str
) -> None:
    answer = await api.get(ns.leases(), continue_=token)
    assert answer.message == f"invalid continue token: continue key is not valid: {why}"


async def test_a_list_goes_across_namespaces(api: Api, ns: Space, word: str) -> None:
    other = Space(f"{word}2")
    await api.create("/api/v1/namespaces", {"metadata": {"name": other.name}})
    for space in (other, ns):
        await api.create(space.leases(), lease("a", labels={"walk": word}))
    answer = await api.get("/apis/coordination.k8s.io/v1/leases", labelSelector=f"walk={word}")
    await api.delete(f"/api/v1/namespaces/{other.name}")
    found = [item["metadata"]["namespace"] for item in answer.body["items"]]
    assert found == [ns.name, other.name]


async def test_nothing_is_created_without_a_namespace(api: Api) -> None:
    answer = await api.create("/apis/coordination.k8s.io/v1/leases", lease("a"))
    assert (answer.status, answer.reason) == (405, "MethodNotAllowed")
