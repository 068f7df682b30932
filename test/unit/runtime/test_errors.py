"""Every refusal becomes the error that says what to do."""

from __future__ import annotations

import msgspec
import pytest

from kaito.runtime import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Call,
    CallTimedOut,
    Conflict,
    ConnectionFailed,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    RuntimeFailure,
    ServerError,
    TooManyRequests,
    Unauthorized,
    api_error,
)
from kaito.runtime.errors import describe
from kaito.testing.script import status_body

CALL = Call(method="GET", path="/api/v1/pods")


def refused(code: int, reason: str = "", **details: object) -> ApiError:
    return api_error(code, msgspec.json.encode(status_body(code, reason, details=details)), CALL)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", BadRequest),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Expired),
        (410, "Gone", Expired),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
        (405, "MethodNotAllowed", ApiError),
    ],
)
def test_the_code_and_the_reason_choose_the_error(
    code: int, reason: str, kind: type[ApiError]
) -> None:
    assert type(refused(code, reason)) is kind


def test_a_name_that_is_taken_is_a_conflict_too() -> None:
    assert isinstance(refused(409, "AlreadyExists"), Conflict)


def test_an_error_in_a_watch_has_its_code_in_the_body_alone() -> None:
    body = msgspec.json.encode(status_body(410, "Expired"))
    assert type(api_error(0, body)) is Expired


@pytest.mark.parametrize(
    "body", [b"<html>no route</html>", b"\xff\xfe", b'{"message":"\xff"}', b"", b"[1]"]
)
def test_a_body_that_is_no_status_becomes_the_message(body: bytes) -> None:
    error = api_error(503, body)
    assert type(error) is ServerError
    assert error.status.code == 503


def test_a_page_of_a_proxy_is_cut_short() -> None:
    assert len(api_error(502, b"x" * 10_000).status.message) == 500


def test_the_causes_name_the_fields() -> None:
    error = refused(422, "Invalid", causes=[{"field": "spec.x", "message": "m", "reason": "r"}])
    assert [(cause.field, cause.message) for cause in error.causes] == [("spec.x", "m")]


@pytest.mark.parametrize(
    ("headers", "seconds", "expected"),
    [
        ({"retry-after": "7"}, 0, 7.0),
        ({}, 3, 3.0),
        ({"retry-after": "7"}, 3, 7.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, None),
        ({"retry-after": "-1"}, 0, None),
        ({}, 0, None),
    ],
)
def test_the_wait_comes_from_the_header_or_else_from_the_body(
    headers: dict[str, str], seconds: int, expected: float | None
) -> None:
    details = {"retryAfterSeconds": seconds} if seconds else {}
    body = msgspec.json.encode(status_body(429, "TooManyRequests", details=details))
    assert api_error(429, body, headers=headers).retry_after == expected


@pytest.mark.parametrize(
    ("message", "causes", "expected"),
    [
        ("Timeout: Too large resource version: 9", [], True),
        ("Timeout", [{"reason": "ResourceVersionTooLarge", "message": "x"}], True),
        ("Timeout", [], False),
    ],
)
def test_a_version_from_the_future_is_told_by_its_cause_or_on_old_servers_by_its_message(
    message: str, causes: list[object], expected: bool
) -> None:
    body = status_body(504, "Timeout", message, details={"causes": causes})
    assert api_error(504, msgspec.json.encode(body)).version_too_large is expected


def test_an_error_says_what_was_asked() -> None:
    assert str(refused(404, "NotFound")) == (
        "404 NotFound: NotFound, said the script (GET /api/v1/pods)"
    )
    assert describe(refused(404, "NotFound"))["call"] == "GET /api/v1/pods"
    assert describe(KeyError("x")) == {"error": "'x'", "type": "KeyError"}


def test_the_standard_library_words_for_lost_and_late_catch_them_too() -> None:
    assert issubclass(ConnectionFailed, ConnectionError)
    assert issubclass(CallTimedOut, TimeoutError)
    assert issubclass(ConnectionFailed, RuntimeFailure)


@pytest.mark.parametrize(("code", "expected"), [(429, True), (500, True), (404, False)])
def test_only_what_may_pass_by_itself_is_transient(code: int, expected: bool) -> None:
    assert refused(code).transient is expected
