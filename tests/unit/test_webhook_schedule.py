"""When a webhook is tried again: soon at first, then ever later, for about a day."""

from itertools import pairwise

import pytest

from functions.deliver_webhooks.schedule import (
    JITTER,
    LATEST,
    LONGEST_POSTPONEMENT_SECONDS,
    Schedule,
    postponement_seconds,
)
from infra.stages import STAGES

WAITS = (5.0, 30.0, 300.0)
HOUR = 3600


@pytest.mark.parametrize(("attempts", "nominal"), [(1, 5), (2, 30), (3, 300)])
def test_each_attempt_has_its_wait_and_some_jitter(attempts: int, nominal: float) -> None:
    waits = [Schedule(WAITS).next_wait(attempts, age_seconds=0) for _ in range(200)]

    assert all(
        wait is not None and (1 - JITTER) * nominal <= wait <= (1 + JITTER) * nominal for wait in waits
    )
    assert len(set(waits)) > 100


def test_after_the_last_one_it_is_given_up() -> None:
    assert Schedule(WAITS).next_wait(4, age_seconds=0) is None


def test_what_was_put_off_for_too_long_is_given_up_with_its_next_failure() -> None:
    assert Schedule(WAITS).next_wait(1, age_seconds=LATEST * sum(WAITS) - 1) is not None
    assert Schedule(WAITS).next_wait(1, age_seconds=LATEST * sum(WAITS) + 1) is None


def test_jitter_alone_never_makes_a_delivery_too_old() -> None:
    assert LATEST > 1 + JITTER


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_on_aws_the_waits_grow_and_add_up_to_a_day(stage: str) -> None:
    waits = STAGES[stage].webhook_retry_seconds

    assert list(waits) == sorted(waits)
    assert waits[0] <= 5
    assert 23 * HOUR <= sum(waits) <= 25 * HOUR


def test_locally_the_fourth_attempt_is_a_matter_of_seconds() -> None:
    assert sum(STAGES["local"].webhook_retry_seconds[:3]) <= 5


def test_who_has_too_many_under_way_is_asked_less_and_less_often() -> None:
    waits = [postponement_seconds(postponed) for postponed in range(0, 20, 2)]

    assert waits[0] <= 3
    assert all(later >= earlier for earlier, later in pairwise(waits[:6]))
    assert max(waits) <= (1 + JITTER) * LONGEST_POSTPONEMENT_SECONDS
