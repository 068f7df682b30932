"""Tokens of service accounts: issued on request, and recognised while this server's data lives."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from kaito.local.apiserver import bodies, times, typed
from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.creates import check_namespace
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.options import write_options
from kaito.local.apiserver.ownership.managers import Ownership
from kaito.local.apiserver.status import StatusError, bad_request, conflict, invalid, not_found

Object = dict[str, Any]
GROUP, KIND = "authentication.k8s.io", "TokenRequest"
VERSION = f"{GROUP}/v1"
MODEL = "AuthenticationV1TokenRequest"
AUDIENCE = "https://kubernetes.default.svc"
HOUR = 3600  # seconds; how long a token lives that was asked for without a duration
SHORTEST, LONGEST = 600, 2**32  # seconds
BOUND = {"Pod": "pods", "Node": "nodes", "Secret": "secrets"}


class Tokens:
    """Issues tokens signed with a secret of this server's own."""

    def __init__(self, core: Core, secret: bytes) -> None:
        self._core = core
        self._secret = secret

    def create(self, call: Call) -> Object:
        """The answer to a TokenRequest, its token included. Raises StatusError."""
        kinds = self._core.kinds
        options = write_options(call, "CreateOptions")
        body = bodies.read_as(kinds, MODEL, call.request, KIND, VERSION, options)
        meta, spec = body.setdefault("metadata", {}), body.setdefault("spec", {})
        if meta.get("namespace"):
            check_namespace(call, body)
        seconds = spec.setdefault("expirationSeconds", HOUR)
        self._own(body, options.manager)
        account = self._account(call, meta)
        spec["audiences"] = spec.get("audiences") or [AUDIENCE]
        bound = spec.setdefault("boundObjectRef", None)
        if fault := _duration_fault(seconds):
            raise invalid(GROUP, KIND, "", [wrong("spec.expirationSeconds", seconds, fault)])
        if bound is not None:
            self._check_bound(call, bound)
        now = self._core.clock.now()
        named = {k: account["metadata"][k] for k in ("name", "namespace", "uid")}
        meta.update({**named, "creationTimestamp": times.stamp(now)})
        body["status"] = {
            "token": self._issue(account, spec, now + seconds),
            "expirationTimestamp": times.stamp(now + seconds),
        }
        return body

    def _own(self, body: Object, manager: str) -> None:
        node = self._core.kinds.types.node(MODEL)
        sent = {k: v for k, v in body.items() if k != "status"}
        rules = Ownership(node, VERSION, "token")
        rules.update(typed.zero_of(node), sent, manager, self._core.stamp())

    def _account(self, call: Call, meta: Object) -> Object:
        """The account in the path, which the request may name again. Raises StatusError."""
        kind, target = call.kind, call.target
        if meta.get("name") and meta["name"] != target.name:
            why = "must match the service account name if specified"
            raise invalid(GROUP, KIND, target.name, [wrong("metadata.name", meta["name"], why)])
        record = self._core.record(kind, target.namespace, target.name)
        if record is None:
            raise not_found(kind.group, kind.plural, target.name)
        account = kind.value(record)
        uid = account["metadata"]["uid"]
        if meta.get("uid") and meta["uid"] != uid:
            raise conflict(
                GROUP,
                KIND,
                target.name,
                f"the UID in the token request ({meta['uid']}) does not match the UID of the "
                f"service account ({uid})",
            )
        return account

    def _check_bound(self, call: Call, bound: Object) -> None:
        """The object that a token shall live and die with. Raises StatusError."""
        group, _, version = bound.get("apiVersion", "").rpartition("/")
        name, form = bound.get("name", ""), bound.get("kind", "")
        plural = BOUND.get(form) if not group else None
        if plural is None:
            raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={form}")
        kind = self._core.kinds.get("", "v1", plural)
        assert kind is not None
        record = self._core.record(kind, call.target.namespace, name)
        if record is None:
            raise not_found("", plural, name)
        found = kind.value(record)
        if form == "Pod" and found["spec"].get("serviceAccountName") != call.target.name:
            raise bad_request(
                f'cannot bind token for serviceaccount "{call.target.name}" to pod running with '
                "different serviceaccount name."
            )
        if bound.get("uid") and bound["uid"] != found["metadata"]["uid"]:
            raise self._other_uid(form, name, bound["uid"], found["metadata"]["uid"])

    @staticmethod
    def _other_uid(form: str, name: str, given: str, found: str) -> StatusError:
        return conflict(
            "",
            form,
            name,
            f"the UID in the bound object reference ({given}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )

    def _issue(self, account: Object, spec: Object, expires: float) -> str:
        """A JWT that this server alone checks."""
        meta = account["metadata"]
        claims = {
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
            "uid": meta["uid"],
            "aud": spec["audiences"],
            "exp": int(expires),
            "iat": int(self._core.clock.now()),
        }

        def part(value: object) -> str:
            return base64.urlsafe_b64encode(encode(value)).decode().rstrip("=")

        text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
        return f"{text}.{self._sign(text)}"

    def _sign(self, text: str) -> str:
        mac = hmac.digest(self._secret, text.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def user(self, token: str) -> User | None:
        """The service account that a token of ours stands for, while both are alive."""
        parts = token.split(".")
        if len(parts) != 3:
            return None
        signature = self._sign(f"{parts[0]}.{parts[1]}")
        if not hmac.compare_digest(signature.encode(), parts[2].encode()):
            return None
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            _, _, namespace, name = claims["sub"].split(":")
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        accounts = self._core.kinds.get("", "v1", "serviceaccounts")
        assert accounts is not None
        record = self._core.record(accounts, namespace, name)
        if (
            record is None
            or record.value()["metadata"]["uid"] != claims.get("uid")
            or claims.get("exp", 0) < self._core.clock.now()
        ):
            return None
        return User(
            claims["sub"],
            (
                "system:serviceaccounts",
                f"system:serviceaccounts:{namespace}",
                "system:authenticated",
            ),
            claims["uid"],
        )


def _duration_fault(seconds: int) -> str:
    if SHORTEST <= seconds <= LONGEST:
        return ""
    limit = "less than 10 minutes" if seconds < SHORTEST else "larger than 2^32 seconds"
    return f"may not specify a duration {limit}"
