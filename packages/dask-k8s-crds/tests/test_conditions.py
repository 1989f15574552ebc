from datetime import UTC, datetime, timedelta

from dask_k8s_crds import Condition, conditions

THEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = THEN + timedelta(hours=1, microseconds=7)


def ready(status, reason="", at=None):
    return Condition(type="Ready", status=status, reason=reason, last_transition_time=at)


def test_a_new_condition_has_the_time_of_now_to_the_second():
    (dated,) = conditions.dated([], [ready("True")], now=NOW)
    assert dated.last_transition_time == NOW.replace(microsecond=0)


def test_the_time_stays_where_only_the_reason_changes():
    (dated,) = conditions.dated([ready("True", "A", THEN)], [ready("True", "B")], now=NOW)
    assert dated == ready("True", "B", THEN)


def test_the_time_moves_on_a_flip():
    (dated,) = conditions.dated([ready("True", at=THEN)], [ready("False")], now=NOW)
    assert dated.last_transition_time > THEN


def test_conditions_of_others_are_left_out():
    other = Condition(type="Mine", status="True", last_transition_time=THEN)
    assert conditions.dated([other, ready("True", at=THEN)], [ready("True")], now=NOW) == (
        ready("True", at=THEN),
    )


def test_dating_twice_changes_nothing():
    once = conditions.dated([], [ready("False", "A")], now=NOW)
    assert conditions.dated(once, [ready("False", "A")], now=NOW + timedelta(days=1)) == once
