"""Pods come together and go together. Ray and time are simulated."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from kaito.engine.vllm.asked import Unusable
from kaito.engine.vllm.group import (
    ASSEMBLY_SECONDS,
    LOST_SECONDS,
    Ray,
    World,
    assemble,
    find,
    head,
    member,
    stay,
)
from kaito.engine.vllm.place import Leads, Works

LEADS = Leads(nodes=3, port=6379)
WORKS = Works(host="w-0.w-headless", port=6379)


@dataclass
class Simulated:
    """Ray's processes of a Pod."""

    code: int | None = None
    stubborn: bool = False
    seen: list[str] = field(default_factory=list)

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.seen.append("terminate")
        if not self.stubborn:
            self.code = 0

    def kill(self) -> None:
        self.seen.append("kill")
        self.code = -9

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            raise subprocess.TimeoutExpired("ray", timeout or 0)
        return self.code


@dataclass
class Hall:
    """Where a Pod is, by the second."""

    alive: Callable[[float], int] = lambda now: 0
    reached: Callable[[float], bool] = lambda now: True
    ends: float = 1e9
    process: Simulated = field(default_factory=Simulated)
    now: float = 0.0
    started: list[Sequence[str]] = field(default_factory=list)

    def world(self) -> World:
        def start(words: Sequence[str]) -> Simulated:
            self.started.append(words)
            return self.process

        def sleep(seconds: float) -> None:
            self.now += seconds
            if self.now >= self.ends:
                self.process.code = 1

        return World(
            start=start,
            reaches=lambda host, port: self.reached(self.now),
            alive=lambda port: self.alive(self.now),
            now=lambda: self.now,
            sleep=sleep,
        )


def test_the_leader_waits_until_all_are_there() -> None:
    hall, counted = Hall(alive=lambda now: 1 + int(now >= 4) + int(now >= 10)), list[int]()
    with Ray(hall.world(), head(LEADS)) as ray:
        assemble(LEADS, ray, counted.append)
    assert hall.now == 10
    assert (counted[0], counted[-1]) == (1, 3)
    assert hall.process.seen == ["terminate"]


def test_the_leader_does_not_wait_for_ever() -> None:
    hall = Hall(alive=lambda now: 2)
    with (
        pytest.raises(Unusable, match="2 of 3 Pods joined within 1800 s"),
        Ray(hall.world(), head(LEADS)) as ray,
    ):
        assemble(LEADS, ray, lambda there: None)
    assert hall.now >= ASSEMBLY_SECONDS
    assert hall.process.seen == ["terminate"]


def test_the_leader_does_not_wait_without_ray() -> None:
    hall = Hall(alive=lambda now: 1, ends=6)
    with (
        pytest.raises(Unusable, match="Ray ended with 1 while 1 of 3 Pods were there"),
        Ray(hall.world(), head(LEADS)) as ray,
    ):
        assemble(LEADS, ray, lambda there: None)
    assert hall.process.seen == []


def test_a_worker_comes_when_the_leader_listens() -> None:
    hall = Hall(reached=lambda now: now >= 30)
    find(WORKS, hall.world())
    assert hall.now == 30


def test_a_worker_does_not_wait_for_ever() -> None:
    hall = Hall(reached=lambda now: False)
    with pytest.raises(Unusable, match=r"w-0\.w-headless:6379 did not answer within 1800 s"):
        find(WORKS, hall.world())


def test_a_worker_goes_when_the_leader_has_gone() -> None:
    hall = Hall(reached=lambda now: now < 100)
    with Ray(hall.world(), member(WORKS)) as ray:
        assert "has gone" in stay(WORKS, ray)
    assert 100 + LOST_SECONDS - 2 <= hall.now <= 100 + LOST_SECONDS + 2
    assert hall.process.seen == ["terminate"]


def test_a_worker_bears_a_leader_that_is_busy_for_a_while() -> None:
    hall = Hall(reached=lambda now: not 100 <= now < 100 + LOST_SECONDS - 4, ends=300)
    with Ray(hall.world(), member(WORKS)) as ray:
        assert "Ray ended with 1" in stay(WORKS, ray)
    assert hall.now >= 300


def test_ray_that_does_not_end_is_ended() -> None:
    hall = Hall(process=Simulated(stubborn=True))
    with Ray(hall.world(), head(LEADS)):
        pass
    assert hall.process.seen == ["terminate", "kill"]


def test_commands_are_lists_that_stay_in_the_foreground() -> None:
    leads, works = head(LEADS), member(replace(WORKS, host="$(reboot)"))
    assert "--head" in leads
    assert "--port=6379" in leads
    assert "--address=$(reboot):6379" in works
    assert "--block" in leads
    assert "--block" in works
