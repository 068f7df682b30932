"""The webhook of Workspaces: what the API server asks before it stores one.

It reads nothing but one ConfigMap where one is newly named, live and within a second, and never
the internet. Anybody who reaches the port can ask, so few are read at a time. What was not looked
at is said in a warning, and judged by the controller later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from prometheus_client import Counter

from kaito.api.words import one_line, shown
from kaito.api.workspace import GROUP, PLURAL
from kaito.catalog.catalog import Catalog
from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.workspace.judge import Judgement, judge
from kaito.controllers.workspace.parameters import Config, Missing, config_name
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import (
    Cause,
    Client,
    Clock,
    Denied,
    Key,
    Metrics,
    NotFound,
    Object,
    Review,
    RuntimeFailure,
    SystemClock,
    Webhooks,
)
from kaito.runtime.clock import deadline
from kaito.runtime.errors import describe
from kaito.runtime.webhooks import PORT

PATH = f"/validate/{GROUP}/{PLURAL}"
CONFIGURATION = f"validation.{PLURAL}.{GROUP}"
SERVICE = "kaito-webhook"
NAMESPACE = "kaito-system"
OPERATIONS = ("CREATE", "UPDATE")
READ_SECONDS = 1.0
READS = 4  # at a time; the manager needs the API server for more than this
FIELD_LENGTH = 200  # characters of a path
WARNING_LENGTH = 500  # characters; a server shows 4096 of all warnings

log = structlog.get_logger("kaito.workspace.webhook")


class NotLookedAt(Exception):
    """Why a ConfigMap was not read; the message ends a sentence."""


class WorkspaceWebhook:
    """Judges Workspaces."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._settings = settings
        self._clock = clock or SystemClock()
        self._reads = asyncio.Semaphore(READS)
        self._outcomes = Counter(
            "kaito_webhook_config_reads_total",
            "ConfigMaps that a Workspace newly names, by what became of reading them.",
            ["outcome"],
            registry=(metrics or Metrics()).registry,
        )
        for outcome in ("read", "missing", "failed", "late", "busy"):
            self._outcomes.labels(outcome)

    def serve(self, webhooks: Webhooks) -> None:
        """Answer at PATH."""
        webhooks.validate(PATH, self.validate)

    async def validate(self, review: Review) -> Sequence[str]:
        """Raises Denied with every problem; what is returned are warnings."""
        if review.operation not in OPERATIONS or review.object is None or review.deleting:
            return ()
        if not isinstance(review.object.get("metadata"), Mapping):
            cause = Cause(reason="FieldValueInvalid", message="must be a map", field="metadata")
            raise Denied("metadata must be a map", causes=[cause])
        name = config_name(review.object)
        config: Config | None = None
        warnings: list[str] = []
        if name and (review.old is None or config_name(review.old) != name):
            try:
                config = await self._config(Key(review.key.namespace, name))
            except NotLookedAt as why:
                warnings.append(f"ConfigMap {shown(name)} was not looked at: {why}.")
        judgement = judge(
            review.object,
            review.old,
            catalog=self._catalog,
            settings=self._settings,
            config=config,
        )
        if judgement.problems:
            raise denied(judgement)
        return tuple(one_line(each, WARNING_LENGTH) for each in (*judgement.warnings, *warnings))

    async def _config(self, key: Key) -> Config:
        """The ConfigMap as it is now. NotLookedAt when that could not be found out."""
        try:
            CONFIG_MAPS.path(*key)
        except ValueError:  # nothing has such a name
            self._outcomes.labels("missing").inc()
            return Missing(name=key.name)
        if self._reads.locked():
            self._outcomes.labels("busy").inc()
            raise NotLookedAt(f"{READS} others are being read")
        try:
            async with self._reads, deadline(self._clock, READ_SECONDS):
                found: Config = await self._client.get(CONFIG_MAPS, key)
        except NotFound:
            self._outcomes.labels("missing").inc()
            return Missing(name=key.name)
        except TimeoutError:
            self._outcomes.labels("late").inc()
            log.warning("config not read", key=str(key), seconds=READ_SECONDS)
            raise NotLookedAt(f"it was not read within {READ_SECONDS:g} s") from None
        except RuntimeFailure as error:
            self._outcomes.labels("failed").inc()
            log.warning("config not read", key=str(key), **describe(error))
            raise NotLookedAt("the API server did not let it be read") from error
        self._outcomes.labels("read").inc()
        return found


def configuration(client_config: Object, *, failure_policy: str) -> Object:
    """The ValidatingWebhookConfiguration; `client_config` says where the webhook is.

    What is being deleted is not even asked about, for updates of it remove finalizers.
    """
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [
            {
                "name": CONFIGURATION,
                "clientConfig": client_config,
                "rules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": ["v1alpha1", "v1beta1"],
                        "resources": [PLURAL],
                        "operations": list(OPERATIONS),
                        "scope": "Namespaced",
                    }
                ],
                "matchConditions": [
                    {
                        "name": "not-being-deleted",
                        "expression": "!has(object.metadata.deletionTimestamp)",
                    }
                ],
                "failurePolicy": failure_policy,
                "sideEffects": "None",
                "timeoutSeconds": 5,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def installation() -> list[Object]:
    """What a cluster needs for the webhook beside the daemon: a Service and the configuration.

    The daemon adds the certificate that it makes; until then the API server cannot ask, and with
    the policy Fail it lets nobody write Workspaces. Their deletion it never prevents.
    """
    service = {"name": SERVICE, "namespace": NAMESPACE}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            "spec": {
                "selector": {"app.kubernetes.io/name": "kaito-manager"},
                "ports": [{"name": "https", "port": 443, "targetPort": PORT}],
            },
        },
        configuration({"service": {**service, "path": PATH}}, failure_policy="Fail"),
    ]


def denied(judgement: Judgement) -> Denied:
    """The refusal that names every problem with its path."""
    causes = [
        Cause(
            reason="FieldValueInvalid",
            message=each.message,
            field=one_line(each.path, FIELD_LENGTH) or "<nil>",
        )
        for each in judgement.problems
    ]
    return Denied(" ".join(each.message for each in judgement.problems), causes=causes)
