"""An adapter goes to a registry and comes back, by processes and over HTTPS."""

from __future__ import annotations

from pathlib import Path

from test.integration.engine.moving.conftest import Mover, Shop, files


async def test_what_was_pushed_is_pulled_as_it_was(
    shop: Shop, mover: Mover, adapter: Path, tmp_path: Path
) -> None:
    auth = f"--auth={shop.login()}"
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "step-1").mkdir(parents=True)
    sent = files(adapter)
    pushed = await mover(
        "push", f"--from={adapter}", auth, f"--checkpoints={checkpoints}", shop.name()
    )
    assert pushed.code == 0, pushed.out
    name, _, digest = pushed.message.partition("@")
    assert name == shop.name()
    assert digest.startswith("sha256:")
    assert len(digest) == 71
    assert not checkpoints.exists()
    assert files(adapter) == sent
    for reference in (shop.name(), f"{shop.host}/team/adapter@{digest}"):
        target = tmp_path / "target" / reference[-4:]
        pulled = await mover("pull", f"--to={target}", auth, reference)
        assert pulled.code == 0, pulled.out
        assert files(target) == sent
