"""Each alarm on a series that is ill, and all of them on series that are well."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.agents.runs.doctor import ALARMS, Doctor, Finding

PATIENCE = 4


def healthy(update):
    """A run that learns: from nearly nothing to nearly all."""
    success = min(0.05 + 0.03 * update, 0.97)
    return {
        "update": float(update),
        "return": success,
        "success": success,
        "entropy": max(1.2 - 0.04 * update, 0.03),
        "grad_norm": 0.3,
        "loss": 1e-9,
        "kl": min(0.1 * update, 6.0),
        "ratio_gap_first": 2e-6,
        "log_prob_gap": 2e-6,
        "clip_fraction": 0.12,
        "frac_zero_variance_groups": min(max(abs(success - 0.5) * 1.8, 0.0), 0.85),
        "truncated": 0.02,
        "explained_variance": float("nan") if update == 1 else -0.5 if update < PATIENCE else 0.4,
        "learning_rate": 5e-4,
        "approx_kl": 0.003,
    }


def run(changes, updates=20, patience=PATIENCE):
    """The findings of a run that is healthy but for `changes`, functions of the update: [(update, finding)]."""
    doctor, found = Doctor(patience), []
    for update in range(1, updates + 1):
        metrics = healthy(update)
        metrics |= {name: change(update) for name, change in changes.items()}
        found += [(update, finding) for finding in doctor.examine(metrics)]
    return found


def as_json(metrics):
    """The metrics of an update as metrics.jsonl holds them."""
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}


def always(value):
    return lambda update: value


# The metrics that change, the update of the first finding, and words of the finding.
ILL = {
    "not-finite": (
        {"grad_norm": lambda u: math.nan if u >= 5 else 0.3},
        5,
        ["grad_norm is nan at update 5", "learning_"],
    ),
    "ratio": ({"ratio_gap_first": always(0.2), "log_prob_gap": always(0.18)}, 1, ["0.2 off 1", "temperature", "dtype"]),
    "truncated": ({"truncated": always(0.8)}, 1, ["80 % of the episodes", "context_length"]),
    "nothing-earned": (
        {
            "return": always(0.0),
            "success": always(0.0),
            "frac_zero_variance_groups": always(1.0),
            "grad_norm": always(0.0),
        },
        PATIENCE,
        ["no episode has earned anything for 4 updates", "imitation_steps", "reward=dense"],
    ),
    "zero-variance": (
        {"frac_zero_variance_groups": always(0.95), "success": always(0.02)},
        PATIENCE,
        ["within 95 % of the groups for 4 updates", "if few do, they are too hard"],
    ),
    "no-gradient": ({"grad_norm": always(0.0)}, PATIENCE, ["exactly 0", "frozen"]),
    "entropy-collapse": (
        {"entropy": lambda u: 1.0 if u < 6 else 0.02, "success": always(0.4)},
        6,
        ["from 1 to 0.02 nats", "40 % success", "entropy_coef"],
    ),
    "divergence": ({"kl": always(15.0)}, 1, ["is 15 nats an episode", "kl_coef"]),
    "clipped": ({"clip_fraction": always(0.7)}, 1, ["70 % of the tokens", "fewer epochs"]),
    "values": (
        {"explained_variance": always(-0.2)},
        PATIENCE,
        ["worse than a constant for 4 updates", "value_learning_rate"],
    ),
}


def test_a_healthy_run_is_left_in_peace():
    assert run({}, updates=60) == []


def test_every_alarm_is_tested():
    assert set(ILL) == {alarm.name for alarm in ALARMS}


@pytest.mark.parametrize("name", ILL)
def test_an_alarm_is_reported_once_and_alone(name):
    changes, when, words = ILL[name]
    ((update, finding),) = run(changes)
    assert (update, finding.name) == (when, name)
    assert finding.severity == ("error" if name == "not-finite" else "warning")
    for word in words:
        assert word in str(finding)
    assert str(finding) == f"{finding.message}: {finding.remedy}"


@pytest.mark.parametrize("name", ILL)
def test_an_alarm_without_its_metrics_is_silent(name):
    changes, _, _ = ILL[name]
    doctor = Doctor(1)
    for update in range(1, 10):
        metrics = healthy(update) | {key: change(update) for key, change in changes.items()}
        for key in changes:
            del metrics[key]
        assert name not in [finding.name for finding in doctor.examine(metrics)]
    assert doctor.examine({}) == []


def test_a_learnt_task_may_have_no_entropy():
    assert run({"entropy": lambda u: 1.0 if u < 6 else 0.001, "success": always(0.95)}) == []


def test_a_policy_that_began_nearly_certain_has_not_collapsed():
    assert run({"entropy": always(0.03), "success": always(0.5)}) == []


def test_a_run_that_earned_once_is_not_hopeless():
    assert run({"return": lambda u: 0.001 if u == 1 else 0.0}) == []


def test_patience_outlasts_what_passes():
    spells = {"explained_variance": lambda u: 0.1 if u % PATIENCE == 0 else -1.0}
    assert run(spells, updates=40) == []


def test_a_finding_comes_again_only_after_it_stayed_away():
    flickers = {"truncated": lambda u: 0.6 if u % 2 else 0.4}
    assert [update for update, _ in run(flickers)] == [1]
    returns = {"truncated": lambda u: 0.6 if u in (1, 2, 3 + PATIENCE) else 0.4}
    assert [update for update, _ in run(returns)] == [1, 3 + PATIENCE]


def test_the_first_metric_that_is_no_number_is_named():
    found = run({"loss": lambda u: math.inf if u > 2 else 0.0, "grad_norm": lambda u: math.nan if u > 3 else 0.3})
    assert [(update, finding.message) for update, finding in found] == [(3, "loss is inf at update 3")]
    ((_, finding),) = run({"return": always(math.nan), "loss": always(math.nan)})
    assert finding.message == "return is nan, loss is nan at update 1"
    assert "the task gives scores" in finding.remedy


def test_undefined_explained_variance_is_no_error():
    assert run({"explained_variance": always(math.nan)}) == []


def test_rounding_of_a_reduced_precision_is_no_finding():
    metrics = {"ratio_gap_first": math.expm1(0.1)}  # log-probabilities that differ by 0.1 nats
    assert [finding.name for finding in Doctor().examine(metrics)] == ["ratio"]
    assert Doctor(tolerance=0.25).examine(metrics) == []
    assert [finding.name for finding in Doctor(tolerance=0.05).examine(metrics)] == ["ratio"]


def test_no_patience_is_refused():
    with pytest.raises(ValueError, match="patience=0 must be at least 1"):
        Doctor(0)


@pytest.mark.usefixtures("one_thread")
def test_every_alarm_can_fire():
    """The trainer reports every metric that a rule reads; one that it renames would silence an alarm for good."""
    from toys import Echo

    from textmdp.agents.algorithms.config import Config
    from textmdp.agents.models.language_model import LanguageModel
    from textmdp.agents.training.trainer import Trainer
    from textmdp.envs import TokenVectorEnv

    envs = TokenVectorEnv(Echo(), 8, autoreset_mode="Disabled", copy=False)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, layers=1, width=16, heads=2)
    config = Config(algorithm="ppo", episodes=8, group_size=4, kl_coef=0.1)
    reported = Trainer(model, envs, config).step().keys()
    for changes, _, _ in ILL.values():
        assert changes.keys() <= reported


METRICS_NAMES = st.sampled_from([*healthy(1), "anything"])
METRICS = st.dictionaries(METRICS_NAMES, st.floats())


@settings(max_examples=300, deadline=None)
@given(st.lists(METRICS, max_size=12), st.integers(1, 3))
def test_no_series_of_numbers_is_too_much(series, patience):
    doctor = Doctor(patience)
    for metrics in series:
        before = dict(metrics)
        for finding in doctor.examine(metrics):
            assert isinstance(finding, Finding)
            assert finding.severity in ("warning", "error")
            assert finding.message
            assert finding.remedy
        assert repr(metrics) == repr(before)


FINITE = st.dictionaries(METRICS_NAMES, st.floats(allow_infinity=False) | st.sampled_from([0.0, 1.0]))


@settings(max_examples=300, deadline=None)
@given(st.lists(FINITE, max_size=12), st.integers(0, 12), st.integers(1, 3))
def test_a_doctor_that_recalls_is_the_one_that_was_there(series, at, patience):
    whole, later = Doctor(patience), Doctor(patience)
    for metrics in series[:at]:
        whole.examine(metrics)
    later.recall(map(as_json, series[:at]))
    for metrics in series[at:]:
        assert later.examine(metrics) == whole.examine(metrics)


def test_success_that_does_not_carry_over_is_memorising():
    doctor = Doctor()
    seen = {"success": 0.8, "evaluation/accuracy": 0.12, "evaluation/high": 0.17}
    [finding] = doctor.examine_held_out(seen)
    assert finding.name == "memorising"
    assert finding.message == "training 80 %, held-out 12 %: memorising"
    assert doctor.examine_held_out(seen) == []  # reported once
    for fine in ({"evaluation/accuracy": 0.7, "evaluation/high": 0.75}, {"evaluation/high": 0.9}, {"success": 0.1}):
        assert Doctor().examine_held_out({**seen, **fine}) == []
