"""The protocol of admission reviews, as bytes."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import Cause, Denied
from kaito.runtime.admission import UID_LENGTH, NotAReview, Question, TooDeep, differences

WIDGET: dict[str, Any] = {"metadata": {"name": "w", "namespace": "ns"}, "spec": {"size": 1}}


def review(**fields: Any) -> bytes:
    request = {
        "uid": "u-1",
        "operation": "CREATE",
        "kind": {"group": "g.io", "version": "v1", "kind": "Widget"},
        "resource": {"group": "g.io", "version": "v1", "resource": "widgets"},
        "name": "w",
        "namespace": "ns",
        "userInfo": {"username": "ann", "groups": ["devs"]},
        "object": WIDGET,
        **fields,
    }
    envelope = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(envelope).encode()


def response(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer)["response"]
    return found


def test_a_review_says_who_does_what_to_which_object() -> None:
    asked = Question.read(review(operation="UPDATE", oldObject={"spec": {}}, dryRun=True)).review
    assert (asked.operation, asked.user, asked.groups) == ("UPDATE", "ann", ("devs",))
    assert (asked.group, asked.version, asked.plural, asked.kind) == (
        "g.io",
        "v1",
        "widgets",
        "Widget",
    )
    assert (asked.key, asked.object, asked.old) == (("ns", "w"), WIDGET, {"spec": {}})
    assert asked.dry_run


def test_an_object_that_waits_for_its_finalizers_says_so() -> None:
    gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert Question.read(review(object=gone)).review.deleting
    assert not Question.read(review()).review.deleting


@pytest.mark.parametrize("metadata", [None, [], "gone", {"deletionTimestamp": None}])
def test_odd_metadata_says_nothing_of_a_deletion(metadata: Any) -> None:
    assert not Question.read(review(object={"metadata": metadata})).review.deleting


def test_a_user_without_groups_is_one() -> None:
    asked = Question.read(review(userInfo={"username": "ann", "groups": None})).review
    assert (asked.user, asked.groups) == ("ann", ())


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_the_answer_has_the_version_and_the_uid_of_the_question(version: str) -> None:
    question = Question.read(review().replace(b"admission.k8s.io/v1", version.encode()))
    for answer in (question.admit(), question.deny(Denied("no"))):
        assert json.loads(answer)["apiVersion"] == version
        assert response(answer)["uid"] == "u-1"


def test_warnings_are_passed_on() -> None:
    assert response(Question.read(review()).admit(["careful"]))["warnings"] == ["careful"]


def test_a_refusal_is_forbidden_and_one_with_causes_is_invalid() -> None:
    question = Question.read(review())
    status = response(question.deny(Denied("no")))["status"]
    assert (status["code"], status["reason"], status["message"]) == (403, "Forbidden", "no")
    causes = [Cause(reason="FieldValueInvalid", message="is too big", field="spec.size")]
    status = response(question.deny(Denied("no", causes=causes)))["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["details"] == {
        "name": "w",
        "group": "g.io",
        "kind": "Widget",
        "causes": [{"reason": "FieldValueInvalid", "message": "is too big", "field": "spec.size"}],
    }


def test_a_changed_object_becomes_a_patch_of_what_differs() -> None:
    wanted = {**WIDGET, "spec": {"size": 2, "a/b~c": True}}
    answer = response(Question.read(review()).admit(wanted=wanted))
    assert answer["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(answer["patch"])) == [
        {"op": "replace", "path": "/spec/size", "value": 2},
        {"op": "add", "path": "/spec/a~1b~0c", "value": True},
    ]


def test_an_object_left_as_it_is_needs_no_patch() -> None:
    answer = response(Question.read(review()).admit(wanted=WIDGET))
    assert "patch" not in answer
    assert "patchType" not in answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        review().replace(b"AdmissionReview", b"ConversionReview"),
        review().replace(b"admission.k8s.io/v1", b"admission.k8s.io/v2"),
        review().replace(b'"uid": "u-1", ', b""),
        review(operation="PEEK"),
        review(uid="u" * (UID_LENGTH + 1)),
        b"[" * 5000,
    ],
)
def test_what_is_no_review_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NotAReview, match="AdmissionReview"):
        Question.read(body)


def test_what_a_body_holds_is_not_said_back_at_length() -> None:
    with pytest.raises(NotAReview) as refused:
        Question.read(review(operation="x" * 1_000_000))
    assert len(str(refused.value)) < 400


def test_an_object_that_nests_without_end_is_refused_under_its_uid() -> None:
    deep = review(object={"a": "HERE"}).replace(b'"HERE"', b'{"a":' * 1500 + b"1" + b"}" * 1500)
    envelope = json.loads(review())
    in_order = {name: envelope[name] for name in ("kind", "apiVersion", "request")}
    head = json.dumps(in_order).encode().partition(b'"operation"')[0]
    body = head + b'"operation"' + deep.partition(b'"operation"')[2]
    with pytest.raises(TooDeep) as refused:
        Question.read(body)
    answer = json.loads(refused.value.answer)
    assert answer["apiVersion"] == envelope["apiVersion"]
    assert (answer["response"]["uid"], answer["response"]["allowed"]) == ("u-1", False)
    assert "nests too deeply" in answer["response"]["status"]["message"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    before=st.dictionaries(st.text("ab/~", max_size=2), VALUES, max_size=3),
    after=st.dictionaries(st.text("ab/~", max_size=2), VALUES, max_size=3),
)
def test_the_differences_lead_from_one_object_to_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    patched = jsonpatch.apply_patch(before, [dict(change) for change in differences(before, after)])
    assert json.dumps(patched, sort_keys=True) == json.dumps(after, sort_keys=True)
