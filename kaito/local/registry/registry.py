"""The registry of a local cluster, as those who use it see it: an address, an account, secrets."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from kaito.runtime import Key, Object

USERNAME = "kaito"
SECRET = Key("kaito-system", "kaito-registry")
"""Where everybody who may read Secrets finds the account."""
SECRET_TYPE = "kubernetes.io/dockerconfigjson"  # noqa: S105 - what Kubernetes calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where images are pushed to and pulled from, and as whom. HTTPS with the cluster's CA."""

    host: str
    """As images name it: 127.0.0.1:PORT"""
    username: str
    password: str = field(repr=False)
    ca_pem: str = field(repr=False)
    """The certificate to trust."""

    @property
    def url(self) -> str:
        """https://127.0.0.1:PORT/v2/"""
        return f"https://{self.host}/v2/"

    def image(self, repository: str, tag: str = "latest") -> str:
        """The name of an image in this registry."""
        return f"{self.host}/{repository}:{tag}"

    def docker_config(self) -> Object:
        """What `docker login` would write: a config.json."""
        credentials = f"{self.username}:{self.password}".encode()
        entry = {
            "username": self.username,
            "password": self.password,
            "auth": base64.b64encode(credentials).decode(),
        }
        return {"auths": {self.host: entry}}

    def docker_secret(self, key: Key) -> Object:
        """A Secret with it, as imagePullSecrets and imagePushSecret want it, and the CA's
        certificate beside it."""
        config = json.dumps(self.docker_config()).encode()
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": key.namespace, "name": key.name},
            "type": SECRET_TYPE,
            "data": {
                ".dockerconfigjson": base64.b64encode(config).decode(),
                "ca.crt": base64.b64encode(self.ca_pem.encode()).decode(),
            },
        }
