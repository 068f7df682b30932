"""Commands that cannot be run end with one line that names the option, its value and a way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kaito.cli import main
from kaito.cli.parser import FAILED, build_parser


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["manager", "--lease-seconds", "0"], "'0' is no lease time; take 1 to 3600 seconds"),
        (["manager", "--lease-seconds", "nan"], "'nan' is no lease time"),
        (["manager", "--engine-user", "0"], "'0' is no user: write a number from 1 on"),
        (["manager", "--engine-user", "root"], "'root' is no user"),
        (["plan", "-f", "a", "--engine-user", "2147483648"], "'2147483648' is no user"),
        (["plan", "-f", "a", "--engine-user", "9" * 5000], "is no user"),
        (["manager", "--namespaces", "a/b"], "'a/b' is no namespace"),
        (["manager", "--namespaces", "a, B"], "'B' is no namespace"),
        (["manager", "--namespaces", f"{'a' * 64}"], "is no namespace"),
        (["local", "up", "--kubeconfig", "k", "--port", "65536"], "'65536' is no port"),
        (["local", "up", "--kubeconfig", "k", "--nodes", "-1"], "is no number; take 0 to 10000"),
        (["serve"], "invalid choice: 'serve'"),
        ([], "the following arguments are required"),
    ],
)
def test_a_wrong_option_is_named_with_its_value_on_one_line(
    wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert said in printed.err
    assert "--help" in printed.err


def test_namespaces_are_read_with_the_blanks_that_people_put_between_them() -> None:
    arguments = build_parser().parse_args(["manager", "--namespaces", " a, b-2 ,a"])
    assert arguments.namespaces == ("a", "b-2")
    assert build_parser().parse_args(["manager"]).namespaces == ()


def test_the_debug_page_is_for_this_machine_alone(kubeconfig: Path) -> None:
    wrong = ["--debug-address", "0.0.0.0:9", "--no-leader-election", "--kubeconfig"]
    assert failing("manager", *wrong, str(kubeconfig)) == (
        "kaito: --debug-address is 0.0.0.0:9, which others can reach: write 127.0.0.1:PORT.\n"
    )


def test_a_url_of_the_webhook_that_is_none_is_told(kubeconfig: Path) -> None:
    wrong = ["--webhook-url", "nonsense", "--no-leader-election", "--kubeconfig", str(kubeconfig)]
    assert failing("manager", *wrong) == (
        "kaito: --webhook-url: 'nonsense' is no place to reach this machine; "
        "write https://HOST:PORT.\n"
    )


@pytest.mark.parametrize("option", ["--metrics-address", "--probe-address", "--debug-address"])
def test_an_address_that_is_none_is_told_by_the_options_name(option: str, kubeconfig: Path) -> None:
    wrong = [option, "localhost", "--no-leader-election", "--kubeconfig", str(kubeconfig)]
    assert failing("manager", *wrong) == (
        f"kaito: {option}: 'localhost' is no address; write HOST:PORT, :PORT, or 0 for none.\n"
    )


MISCONFIGURED = 78  # kaito.runtime.ExitCode


@pytest.mark.parametrize("command", ["manager", "provisioner"])
def test_a_kubeconfig_that_is_not_there_is_named(command: str, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    said = failing(command, "--kubeconfig", str(missing), code=MISCONFIGURED)
    assert said == f"kaito: The kubeconfig {missing} does not exist.\n"


def failing(*arguments: str, code: int = FAILED) -> str:
    """What a command says that fails. A process of its own: daemons set up the whole logging."""
    done = subprocess.run(
        [sys.executable, "-m", "kaito.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A cluster that nobody answers for."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        "apiVersion: v1\n"
        "kind: Config\n"
        "current-context: none\n"
        "contexts: [{name: none, context: {cluster: none, user: none}}]\n"
        "clusters: [{name: none, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: none, user: {token: none}}]\n"
    )
    return path


@pytest.mark.parametrize(
    "hub", ["notaurl", "ftp://x", "", "http://[::1", "http://h:99999", "https://u:p@h", "https://"]
)
def test_an_address_of_a_hub_that_is_none_is_told(
    hub: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["plan", "-f", "x", "--hub", hub])
    assert ended.value.code == 2
    assert "is no address of a hub" in capsys.readouterr().err


def test_an_address_of_a_hub_may_end_in_a_slash() -> None:
    arguments = build_parser().parse_args(["manager", "--hub", "https://mirror.example.com/"])
    assert arguments.hub == "https://mirror.example.com"
