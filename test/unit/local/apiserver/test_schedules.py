"""Schedules and time zones of CronJobs."""

from __future__ import annotations

import pytest

from kaito.local.apiserver.behaviours.schedules import ScheduleError, check, zone_faults


@pytest.mark.parametrize(
    "text",
    ["*/5 * * * *", "0 0 31 2 *", "* * * JAN mon-FRI", "@daily", "@every 1h30m", "? ? ? ? ?"],
)
def test_a_schedule_has_five_fields_or_is_a_descriptor(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@never", "unrecognized descriptor: @never"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("TZ=Bad/Zone * * * * *", "provided bad location Bad/Zone: unknown time zone Bad/Zone"),
    ],
)
def test_a_bad_schedule_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        check(text)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("zone", "count"),
    [("Etc/UTC", 0), ("Europe/Berlin", 0), ("Local", 1), ("local", 2), ("../x", 1)],
)
def test_a_time_zone_is_one_of_the_database(zone: str, count: int) -> None:
    assert len(zone_faults(zone)) == count
