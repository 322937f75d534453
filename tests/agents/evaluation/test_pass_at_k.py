"""pass@k and maj@k against all subsets; samples as they were played."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Counting, Echo

from textmdp.agents.evaluation.intervals import wilson_interval
from textmdp.agents.evaluation.pass_at_k import at_k, estimate, final_answer, majority_at_k, pass_at_k, sample_problems
from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent, RandomAgent
from textmdp.envs import TokenVectorEnv


def vector(task=None, rows=8, **options):
    return TokenVectorEnv(task or Echo(), rows, autoreset_mode="Disabled", copy=False, **options)


def bools(*rows):
    return np.array([[mark == "+" for mark in row] for row in rows])


def texts(*rows):
    return np.array([[*row] for row in rows], object)


def pass_by_subsets(right, k):
    return np.mean([any(subset) for subset in itertools.combinations(right, k)])


def majority_by_subsets(right, answers, k):
    """Over all subsets and, in each, over all samples whose answer is as frequent as any."""
    shares = []
    for subset in itertools.combinations(range(len(answers)), k):
        votes = {text: [right[i] for i in subset if answers[i] == text] for text in {answers[i] for i in subset}}
        most = max(map(len, votes.values()))
        shares.append(np.mean([np.mean(marks) for marks in votes.values() if len(marks) == most]))
    return np.mean(shares)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_pass_at_k_is_the_share_of_subsets(n):
    for c in range(n + 1):
        right = [True] * c + [False] * (n - c)
        for k in range(1, n + 1):
            assert pass_at_k(np.array([right]), k) == pytest.approx([pass_by_subsets(right, k)], abs=1e-15)


def test_pass_at_k_has_no_bias():
    rng = np.random.default_rng(0)
    p, n, k = 0.15, 10, 4
    estimates = pass_at_k(rng.random((40_000, n)) < p, k)
    assert estimates.mean() == pytest.approx(1 - (1 - p) ** k, abs=5 * estimates.std() / 200)


def test_pass_at_k_neither_overflows_nor_cancels():
    one = np.zeros((1, 5000), bool)
    one[0, 7] = True
    assert pass_at_k(one, 2500)[0] == 0.5
    assert pass_at_k(one, 1)[0] == 1 / 5000
    assert pass_at_k(one, 5000)[0] == 1.0
    assert pass_at_k(~one, 4999)[0] == 1.0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=7), st.data())
def test_majority_at_k_is_the_mean_over_subsets_and_ties(drawn, data):
    k = data.draw(st.integers(1, len(drawn)))
    answers, right = zip(*drawn, strict=True)
    found = majority_at_k(np.array([right]), texts(answers), k)
    # Marks need not agree within an answer; where they don't, one of its samples in the subset is drawn.
    assert found == pytest.approx([majority_by_subsets(right, answers, k)], abs=1e-12)


@pytest.mark.parametrize(
    ("marks", "answers", "value"),
    [
        ("++--", "aabc", 1.0),
        ("++--", "aabb", 0.5),  # a tie
        ("+---", "abcd", 0.25),
        ("+---", "abbb", 0.0),
        ("++-----", "aabbccd", 1 / 3),
    ],
)
def test_ties_count_as_a_fair_draw_gives(marks, answers, value):
    assert majority_at_k(bools(marks), texts(answers), len(answers)) == pytest.approx([value])


def test_a_vote_of_one_or_two_is_a_single_sample():
    rng = np.random.default_rng(1)
    answers = rng.choice([*"abc"], size=(20, 6)).astype(object)
    right = answers == "a"
    for k in (1, 2):
        np.testing.assert_allclose(majority_at_k(right, answers, k), right.mean(1), atol=1e-12)
    np.testing.assert_allclose(pass_at_k(right, 1), right.mean(1), atol=1e-15)


def test_many_samples_of_many_answers_stay_exact():
    """A random subset of a large set is near to the whole: and the probabilities of all ways add up to 1."""
    right = np.zeros((1, 300), bool)
    right[0, :180] = True
    answers = np.array([["a"] * 180 + ["b"] * 60 + [str(i) for i in range(60)]], object)
    assert majority_at_k(right, answers, 100)[0] == pytest.approx(1.0, abs=1e-9)
    assert majority_at_k(np.ones_like(right), answers, 64)[0] == pytest.approx(1.0, abs=1e-12)


def test_keys_decide_what_votes_together():
    right, answers = bools("++-"), texts(["7", " 7", "8"])
    assert majority_at_k(right, answers, 3) == pytest.approx([1.0])
    assert majority_at_k(right, answers, 3, key=lambda text: text) == pytest.approx([2 / 3])
    assert final_answer("so 3 + 4 = 7\n#### 7") == final_answer("#### 7") == "7"
    assert final_answer(" no idea ") == "no idea"


@pytest.mark.parametrize(
    "count", [pass_at_k, lambda right, k: majority_at_k(right, np.full(right.shape, "a", object), k)]
)
def test_too_few_samples_are_refused(count):
    for k in (0, 9):
        with pytest.raises(ValueError, match=rf"@{k} needs k from 1 to the n=8 samples of each problem: draw more"):
            count(np.zeros((3, 8), bool), k)
    with pytest.raises(ValueError, match=r"must be \(P, n\)"):
        count(np.zeros((0, 8), bool), 1)


def test_answers_must_fit_successes():
    with pytest.raises(ValueError, match="must have one shape"):
        majority_at_k(np.zeros((2, 3), bool), texts("ab"), 1)


def test_estimates_have_intervals_over_problems():
    mean, low, high = estimate(np.array([0.0, 1.0, 1.0, 0.0] * 25))
    assert mean == 0.5
    assert (high - low) / 2 == pytest.approx(1.959964 * np.sqrt(25 / 99) / 10, rel=1e-5)
    assert estimate(np.ones(20)) == (1.0, *wilson_interval(20, 20))
    assert estimate(np.zeros(20)) == (0.0, *wilson_interval(0, 20))
    assert estimate(np.array([0.0, 0.1]))[1] == 0.0  # never beyond what a share can be


@pytest.mark.parametrize("n", [5, 8, 16])
def test_votes_that_are_all_right_have_an_interval_with_a_width(n):
    """Sums of floats: the chance that a right answer wins among right answers is 1 but for rounding."""
    answers = texts(*["a" * (n // 2) + "b" * (n - n // 2)] * 20)
    right = np.ones((20, n), bool)
    for k in range(1, n + 1):
        for successes, count in ((right, 20), (~right, 0)):
            mean, low, high = estimate(majority_at_k(successes, answers, k))
            assert mean == pytest.approx(count / 20, abs=1e-12)
            assert (low, high) == pytest.approx(wilson_interval(count, 20), abs=1e-12)


def test_one_problem_tells_little_of_others():
    mean, low, high = estimate(np.array([0.5]))
    assert (mean, low, high) == pytest.approx((0.5, 0.1033, 0.8967), abs=1e-4)


def test_samples_are_those_of_their_problems():
    samples = sample_problems(RandomAgent(0), vector(), problems=[3, 17, 4], samples=5, seed=0)
    assert samples.problems.tolist() == [3, 17, 4]
    assert samples.successes.shape == samples.answers.shape == (3, 5)
    assert len({*samples.answers.ravel()}) > 5
    for problem, right, answers in zip(samples.problems, samples.successes, samples.answers, strict=True):
        assert [text == str(problem) for text in answers] == right.tolist()


def test_the_answer_is_the_last_response():
    samples = sample_problems(ExpertAgent(), vector(Counting()), problems=[0, 4], samples=2, seed=0)
    assert samples.successes.all()
    assert samples.answers.tolist() == [["3", "3"], ["7", "7"]]


def test_what_the_context_cuts_off_is_an_answer_and_no_success():
    samples = sample_problems(ExpertAgent(), vector(Echo(), context_length=9), problems=[17], samples=2, seed=0)
    assert samples.answers.tolist() == [["1", "1"]]
    assert not samples.successes.any()


def test_samples_follow_from_the_seed():
    one, same, other = (
        sample_problems(RandomAgent(seed), vector(), problems=[1, 2], samples=6, seed=seed).answers.tolist()
        for seed in (0, 0, 1)
    )
    assert one == same != other


def test_no_samples_are_refused():
    for problems, count in (([], 3), ([1], 0)):
        with pytest.raises(ValueError, match="at least 1 of at least 1"):
            sample_problems(ExpertAgent(), vector(), problems=problems, samples=count, seed=0)


def test_an_agent_that_is_right_three_times_in_four():
    envs = gym.make_vec("TextMath-v0", 64, autoreset_mode="Disabled", copy=False, split="test")
    samples = sample_problems(CarelessExpertAgent(0.25, seed=0), envs, problems=range(100), samples=8, seed=0)
    estimates = at_k(samples, [4, 1, 8, 4])
    assert [*estimates] == ["pass@1", "pass@4", "pass@8", "maj@8"]
    p = np.mean(samples.successes)
    assert 0.7 < p < 0.85  # some questions have nothing to slip on
    assert estimates["pass@1"][0] == pytest.approx(p)
    assert estimates["pass@1"][0] < estimates["pass@4"][0] < estimates["pass@8"][0]
    assert estimates["maj@8"][0] > 0.9  # slips are alike, and in the minority
    for mean, low, high in estimates.values():
        assert 0 <= low <= mean <= high <= 1
    assert [*at_k(samples, [1])] == ["pass@1"]
