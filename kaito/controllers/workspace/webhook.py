"""The webhook of Workspaces: what the API server asks before it stores one.

It reads nothing but one ConfigMap where one is named, live and within a second, and never the
internet. What it could not find out in time, the controller says later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kaito.api.workspace import GROUP, PLURAL
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace.judge import Judgement, judge
from kaito.controllers.workspace.kinds import CONFIG_MAPS
from kaito.controllers.workspace.parameters import Config, Missing, config_name
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import (
    Cause,
    Client,
    Denied,
    Key,
    NotFound,
    Object,
    Review,
    RuntimeFailure,
    Webhooks,
)
from kaito.runtime.webhooks import PORT

PATH = f"/validate/{GROUP}/{PLURAL}"
CONFIGURATION = f"validation.{PLURAL}.{GROUP}"
SERVICE = "kaito-webhook"
NAMESPACE = "kaito-system"
READ_SECONDS = 1.0


class WorkspaceWebhook:
    """Judges Workspaces."""

    def __init__(self, client: Client, catalog: Catalog, settings: Settings) -> None:
        self._client = client
        self._catalog = catalog
        self._settings = settings

    def serve(self, webhooks: Webhooks) -> None:
        """Answer at PATH."""
        webhooks.validate(PATH, self.validate)

    async def validate(self, review: Review) -> Sequence[str]:
        """Raises Denied with every problem; what is returned are warnings."""
        if review.object is None or review.deleting:
            return ()
        # First without the ConfigMap: most changes are of nothing that is judged.
        judgement = self._judge(review, None)
        name = config_name(review.object)
        if name and not judgement.problems and self._is_news(review):
            judgement = self._judge(review, await self._config(Key(review.key.namespace, name)))
        if judgement.problems:
            raise denied(judgement)
        return judgement.warnings

    def _judge(self, review: Review, config: Config | None) -> Judgement:
        assert review.object is not None
        return judge(
            review.object,
            review.old,
            catalog=self._catalog,
            settings=self._settings,
            config=config,
        )

    def _is_news(self, review: Review) -> bool:
        return review.old is None or config_name(review.old) != config_name(review.object or {})

    async def _config(self, key: Key) -> Config | None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._client.get(CONFIG_MAPS, key)
        except NotFound:
            return Missing(name=key.name)
        except (RuntimeFailure, TimeoutError):
            return None


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
                        "operations": ["CREATE", "UPDATE"],
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
        Cause(reason="FieldValueInvalid", message=each.message, field=each.path or "<nil>")
        for each in judgement.problems
    ]
    return Denied(" ".join(each.message for each in judgement.problems), causes=causes)
