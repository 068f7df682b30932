"""Where the server is: found as kubectl finds it, or said in one sentence why not."""

from __future__ import annotations

import base64
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaito.runtime import (
    ClusterConfig,
    ConfigError,
    from_kubeconfig,
    in_cluster,
    load,
    parse_rfc3339,
)
from kaito.testing import VirtualClock

NOWHERE: Mapping[str, str] = {}


@pytest.fixture(scope="module")
def pem() -> tuple[str, str]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    return (
        certificate.public_bytes(text).decode(),
        key.private_bytes(
            text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(
    path: Path,
    *,
    cluster: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    namespace: str = "",
    name: str = "c",
) -> str:
    context: dict[str, str] = {"cluster": name, "user": name}
    if namespace:
        context["namespace"] = namespace
    server = {"server": "https://example.invalid:6443"}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": name,
                "contexts": [{"name": name, "context": context}],
                "clusters": [{"name": name, "cluster": server if cluster is None else cluster}],
                "users": [{"name": name, "user": user or {}}],
            }
        )
    )
    return str(path)


async def authorization(config: ClusterConfig) -> str | None:
    return await config.credentials.authorization()


# Kubeconfigs


async def test_a_token_and_a_namespace_are_taken_from_the_current_context(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "k", user={"token": "t"}, namespace="team")
    config = await from_kubeconfig(path)
    assert config.server == "https://example.invalid:6443"
    assert config.namespace == "team"
    assert not config.in_cluster
    assert await authorization(config) == "Bearer t"


async def test_the_namespace_is_default_where_the_context_names_none(tmp_path: Path) -> None:
    assert (await from_kubeconfig(kubeconfig(tmp_path / "k"))).namespace == "default"


async def test_the_authority_is_the_kubeconfigs_and_no_other(
    tmp_path: Path, pem: tuple[str, str]
) -> None:
    cluster = {"server": "https://x", "certificate-authority-data": b64(pem[0])}
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", cluster=cluster))
    assert config.tls is not None
    assert config.tls.context().verify_mode == ssl.CERT_REQUIRED
    assert config.tls.context().cert_store_stats()["x509"] == 1


async def test_a_client_certificate_speaks_without_a_header(
    tmp_path: Path, pem: tuple[str, str]
) -> None:
    user = {"client-certificate-data": b64(pem[0]), "client-key-data": b64(pem[1])}
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))
    assert await authorization(config) is None


async def test_verification_ends_only_when_it_is_told_to(tmp_path: Path) -> None:
    cluster = {"server": "https://x", "insecure-skip-tls-verify": True}
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", cluster=cluster))
    assert config.tls is not None
    assert config.tls.context().verify_mode == ssl.CERT_NONE


async def test_plain_http_needs_no_tls(tmp_path: Path) -> None:
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", cluster={"server": "http://x"}))
    assert config.tls is None


async def test_a_proxy_and_a_server_name_are_taken_over(tmp_path: Path) -> None:
    cluster = {"server": "https://x", "proxy-url": "http://p:1", "tls-server-name": "y"}
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", cluster=cluster))
    assert (config.proxy, config.tls_server_name) == ("http://p:1", "y")


def plugin(path: Path, answer: Mapping[str, Any]) -> dict[str, Any]:
    """An exec plugin that counts its runs in the token."""
    count = path.with_suffix(".count")
    script = f"""#!{sys.executable}
import json, pathlib
count = pathlib.Path({str(count)!r})
runs = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(runs))
status = {dict(answer)!r}
status["token"] = f"run-{{runs}}"
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                   "status": status}}))
"""
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(path),
            "interactiveMode": "Never",
        }
    }


async def test_row_28_an_exec_plugin_is_run_again_when_its_token_ends(tmp_path: Path) -> None:
    expired = {"expirationTimestamp": "2025-06-15T15:10:00Z"}
    path = kubeconfig(tmp_path / "k", user=plugin(tmp_path / "p", expired))
    clock = VirtualClock(now=parse_rfc3339("2025-06-15T15:00:00Z"))
    config = await from_kubeconfig(path, clock=clock)
    assert await authorization(config) == "Bearer run-1"
    assert await authorization(config) == "Bearer run-1"
    await clock.advance(600)
    assert await authorization(config) == "Bearer run-2"


async def test_row_28_an_exec_plugin_is_run_again_when_its_token_is_refused(
    tmp_path: Path,
) -> None:
    path = kubeconfig(tmp_path / "k", user=plugin(tmp_path / "p", {}))
    config = await from_kubeconfig(path)
    assert await authorization(config) == "Bearer run-1"
    config.credentials.refused("Bearer run-1")
    assert await authorization(config) == "Bearer run-2"


async def test_row_28_a_token_refused_before_its_time_is_fetched_again(tmp_path: Path) -> None:
    later = {"expirationTimestamp": "2999-01-01T00:00:00Z"}
    path = kubeconfig(tmp_path / "k", user=plugin(tmp_path / "p", later))
    config = await from_kubeconfig(path)
    await authorization(config)
    config.credentials.refused("Bearer run-1")
    assert await authorization(config) == "Bearer run-2"


async def test_row_27_a_token_file_of_a_kubeconfig_is_read_again_when_it_is_refused(
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", user={"tokenFile": str(token)}))
    assert await authorization(config) == "Bearer one"
    token.write_text("two")
    config.credentials.refused("Bearer one")
    assert await authorization(config) == "Bearer two"


async def test_several_kubeconfigs_are_joined_and_missing_ones_passed_over(
    tmp_path: Path,
) -> None:
    paths = [str(tmp_path / "missing"), kubeconfig(tmp_path / "k", user={"token": "t"}), ""]
    config = await from_kubeconfig(os.pathsep.join(paths))
    assert await authorization(config) == "Bearer t"


async def test_the_first_of_several_kubeconfigs_holds_where_two_define_a_name(
    tmp_path: Path,
) -> None:
    first = kubeconfig(tmp_path / "a", user={"token": "first"})
    second = kubeconfig(tmp_path / "b", user={"token": "second"})
    config = await from_kubeconfig(os.pathsep.join([first, second]))
    assert await authorization(config) == "Bearer first"


async def test_another_context_than_the_current_one_can_be_asked_for(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "a", user={"token": "dev"}, name="dev")
    second = kubeconfig(tmp_path / "b", user={"token": "prod"}, name="prod")
    config = await from_kubeconfig(os.pathsep.join([first, second]), context="prod")
    assert await authorization(config) == "Bearer prod"


async def test_a_path_is_relative_to_the_file_that_names_it(
    tmp_path: Path, pem: tuple[str, str]
) -> None:
    (tmp_path / "ca.crt").write_text(pem[0])
    (tmp_path / "token").write_text("relative")
    path = kubeconfig(
        tmp_path / "k",
        cluster={"server": "https://x", "certificate-authority": "ca.crt"},
        user={"tokenFile": "token"},
    )
    config = await from_kubeconfig(path)
    assert config.tls is not None
    assert config.tls.context().cert_store_stats()["x509"] == 1
    assert await authorization(config) == "Bearer relative"


async def test_a_plugin_given_by_a_path_is_relative_to_its_file(tmp_path: Path) -> None:
    user = plugin(tmp_path / "p", {})
    user["exec"]["command"] = "./p"
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))
    assert await authorization(config) == "Bearer run-1"


async def test_a_plugin_may_answer_with_a_client_certificate(
    tmp_path: Path, pem: tuple[str, str]
) -> None:
    answer = {"clientCertificateData": pem[0], "clientKeyData": pem[1]}
    user = plugin(tmp_path / "p", answer)
    script = (tmp_path / "p").read_text()
    (tmp_path / "p").write_text(script.replace('status["token"]', 'status["ignored"]'))
    path = kubeconfig(tmp_path / "k", cluster={"server": "https://x"}, user=user)
    config = await from_kubeconfig(path)
    assert config.tls is not None
    before = config.tls.context()
    assert await authorization(config) is None
    assert config.tls.context() is before


async def test_a_password_is_sent_as_kubectl_sends_it(tmp_path: Path) -> None:
    user = {"username": "ann", "password": "secret"}
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))
    assert await authorization(config) == f"Basic {b64('ann:secret')}"


async def test_another_user_can_be_impersonated(tmp_path: Path) -> None:
    user = {
        "token": "t",
        "as": "ann",
        "as-uid": "1",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"x.io/scopes": ["view"]},
    }
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))
    assert config.headers == {
        "Impersonate-User": "ann",
        "Impersonate-Uid": "1",
        "Impersonate-Group": ("dev", "ops"),
        "Impersonate-Extra-x.io%2Fscopes": ("view",),
    }


async def test_groups_that_are_no_list_are_refused_and_not_left_out(tmp_path: Path) -> None:
    user = {"token": "t", "as": "ann", "as-groups": "dev"}
    with pytest.raises(ConfigError, match="as-groups must be a list of strings, not 'dev'"):
        await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))


def test_a_kubeconfig_without_a_plugin_does_not_load_the_package_that_runs_them(
    tmp_path: Path,
) -> None:
    path = kubeconfig(tmp_path / "k", user={"token": "t"})
    program = (
        "import asyncio, sys; from kaito.runtime import from_kubeconfig; "
        f"asyncio.run(from_kubeconfig({path!r})); "
        "sys.exit('kubernetes_asyncio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# What can be wrong with them


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"The kubeconfig .*/none does not exist\."):
        await from_kubeconfig(str(tmp_path / "none"))


async def test_a_context_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "k", name="dev")
    with pytest.raises(ConfigError, match=r'/k cannot be used: .* no context "prod"; it has dev\.'):
        await from_kubeconfig(path, context="prod")


async def test_a_plugin_that_fails_is_named_with_what_it_printed(tmp_path: Path) -> None:
    user = plugin(tmp_path / "p", {})
    (tmp_path / "p").write_text("#!/bin/sh\necho please log in >&2\nexit 3\n")
    with pytest.raises(ConfigError, match=r"/k, context c, cannot be used: .* 3.*please log in"):
        await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))


async def test_a_field_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"context c: server must be a string, not 5\."):
        await from_kubeconfig(kubeconfig(tmp_path / "k", cluster={"server": 5}))


async def test_a_cluster_without_a_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="context c, names no server"):
        await from_kubeconfig(kubeconfig(tmp_path / "k", cluster={"proxy-url": "http://p"}))


async def test_an_empty_authority_does_not_mean_the_systems(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("\n")
    cluster = {"server": "https://x", "certificate-authority": "ca"}
    with pytest.raises(ConfigError, match=r"cannot be used: .*the authority is empty"):
        await from_kubeconfig(kubeconfig(tmp_path / "k", cluster=cluster))


@pytest.mark.parametrize("text", ["", "just text", "a: [", "kind: Config"])
async def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "k").write_text(text)
    with pytest.raises(ConfigError, match=r"The kubeconfig .*/k cannot be used"):
        await from_kubeconfig(str(tmp_path / "k"))


async def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    cluster = {"server": "https://x", "certificate-authority-data": b64("no certificate")}
    with pytest.raises(ConfigError, match="cannot be used"):
        await from_kubeconfig(kubeconfig(tmp_path / "k", cluster=cluster))


async def test_a_plugin_that_is_not_there_is_named(tmp_path: Path) -> None:
    user = plugin(tmp_path / "p", {})
    (tmp_path / "p").unlink()
    with pytest.raises(ConfigError, match="cannot be used"):
        await from_kubeconfig(kubeconfig(tmp_path / "k", user=user))


async def test_secrets_do_not_show_when_a_configuration_is_printed(tmp_path: Path) -> None:
    config = await from_kubeconfig(kubeconfig(tmp_path / "k", user={"token": "t0ps3cr3t"}))
    assert "t0ps3cr3t" not in repr(config)


# Inside a pod


@pytest.fixture
def account(tmp_path: Path, pem: tuple[str, str]) -> Path:
    (tmp_path / "token").write_text("pod-token")
    (tmp_path / "ca.crt").write_text(pem[0])
    (tmp_path / "namespace").write_text("kaito-system\n")
    return tmp_path


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


async def test_a_pod_finds_its_three_files(account: Path, clock: VirtualClock) -> None:
    config = in_cluster(directory=account, environ=POD, clock=clock)
    assert config.server == "https://10.0.0.1:6443"
    assert config.namespace == "kaito-system"
    assert config.in_cluster
    assert await authorization(config) == "Bearer pod-token"
    (account / "token").write_text("rotated")
    await clock.advance(60)
    assert await authorization(config) == "Bearer rotated"


def test_an_ipv6_service_address_is_put_in_brackets(account: Path) -> None:
    config = in_cluster(directory=account, environ={"KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert config.server == "https://[fd00::1]:443"


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_a_missing_file_of_the_service_account_is_named(account: Path, missing: str) -> None:
    (account / missing).unlink()
    with pytest.raises(ConfigError, match=missing.replace(".", r"\.")):
        in_cluster(directory=account, environ=POD)


def test_outside_of_a_pod_the_way_out_is_a_kubeconfig(account: Path) -> None:
    with pytest.raises(ConfigError, match="pass --kubeconfig FILE"):
        in_cluster(directory=account, environ=NOWHERE)


# The order


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


async def test_the_flag_comes_before_the_environment_and_that_before_the_home_directory(
    tmp_path: Path, home: Path
) -> None:
    def at(path: Path, server: str) -> str:
        return kubeconfig(path, cluster={"server": f"http://{server}"})

    environ = {"KUBECONFIG": at(tmp_path / "env", "env")}
    at(home / ".kube" / "config", "home")
    flag = at(tmp_path / "flag", "flag")
    assert (await load(flag, environ=environ)).server == "http://flag"
    assert (await load(environ=environ)).server == "http://env"
    assert (await load(environ=NOWHERE)).server == "http://home"


async def test_with_nothing_to_go_by_the_message_says_what_to_set(home: Path) -> None:
    with pytest.raises(ConfigError, match="pass --kubeconfig FILE or set KUBECONFIG"):
        await load(environ=NOWHERE)
