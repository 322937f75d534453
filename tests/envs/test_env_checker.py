"""The checker must catch what it is for: each broken task fails the check that names its fault."""

import itertools
import math

import pytest
from toys import Counting, Digits, Echo, Penalised

from textmdp.envs import Reply, ResponseEnv, Score, TokenEnv, register_task
from textmdp.envs.env_checker import CHECKS, check_text_env, difference, run_checks


@pytest.mark.parametrize("task", [Echo(), Counting(), Digits(), Penalised()], ids=lambda task: type(task).__name__)
@pytest.mark.parametrize("options", [{}, {"tokenizer": "bytes"}, {"reward": "dense"}], ids=str)
def test_honest_tasks_pass(task, options):
    if isinstance(task, Digits) and "tokenizer" in options:
        pytest.skip("the tokens of a grammar are those of its own tokenizer")
    assert len(list(run_checks(task, **options))) == len(CHECKS)


def broken(fault):
    """An `Echo` with a fault."""
    counter = itertools.count()

    class Broken(Echo):
        def reply(self, state, response, rng):
            reply = super().reply(state, response, rng)
            if fault == "no reply":
                return (state, "", reply.score)
            if fault == "no end":
                return Reply(state, "", reply.score)
            if fault == "impure":
                return Reply(state, "", Score.of(correct=float(next(counter) % 2)), True)
            if fault == "mutable":
                return Reply([state], "", reply.score, False)
            if fault == "wordy":
                return Reply(state, "x" * 100, reply.score, True)
            if fault == "endless":
                return Reply(state, "say ", reply.score, False)
            return reply

        def reply_many(self, states, responses, rngs):
            replies = [self.reply(*arguments) for arguments in zip(states, responses, rngs, strict=True)]
            if fault == "batch":
                return [Reply(r.state, "", Score.of(correct=1.0).metrics(length=1), True) for r in replies]
            return replies

        def submit(self, states, responses, rngs):
            if fault == "hasty":
                return super().submit(states, [""] * len(states), rngs)
            return super().submit(states, responses, rngs)

        def success(self, scores):
            return fault != "hopeless" and super().success(scores)

        def potential(self, state, partial):
            return {"nan": math.nan, "moody": float(next(counter))}.get(fault, 0.0)

        def mistake(self, state, rng):
            return "zzz" if fault == "mumbling" else "0"

        def demonstrate(self, state, rng):
            if fault == "fickle":
                return str(next(counter) % 10)
            return "0" if fault == "expert" else super().demonstrate(state, rng)

        def problem(self, index):
            state, text = super().problem(index)
            if fault == "unspeakable":
                return state, "zzz"
            if fault == "drifting":
                return state, f"{text}{next(counter) % 10}"
            return state, text

    return Broken()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("impure", "grading is pure: seed 0: reply is impure: grading"),
        ("no reply", r"grading is pure: TypeError: Broken.reply returned \(.*, which is no Reply: return Reply"),
        ("no end", "grading is pure: TypeError: Broken.reply returned a Reply without done: give done=True"),
        ("nan", "methods are pure: seed 0: potential of .* is nan, and must be finite"),
        ("moody", "methods are pure: seed 0: potential is impure: it gives 0.0, then 1.0"),
        ("fickle", "methods are pure: seed 0: demonstrate is impure"),
        ("mumbling", "demonstrations can be said: seed 0: the mistake says 'zzz'"),
        ("mutable", "grading is pure: TypeError: unhashable type: 'list'"),
        ("wordy", "ends are right: seed 0: the task said 10[0-9] bytes, and max_text_bytes=20"),
        ("endless", "ends are right: seed [0-9]: more than max_turns=1 turns"),
        ("batch", "grading is pure: seed 0: reply_many gives"),
        ("hasty", "grading is pure: seed 0: submit gives"),
        ("hopeless", "expert has full marks: seed 0: full marks are no success"),
        ("expert", "expert has full marks: seed"),
        ("unspeakable", "problems are repeatable: ValueError: can't encode 'z'"),
        ("drifting", "problems are repeatable: seed 0 gives two different episodes"),
    ],
)
def test_faults_are_caught(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_text_env(broken(fault))


def test_an_expert_that_the_grammar_forbids_is_caught():
    class Forbidden(Digits):
        def continuations(self, state, partial):
            return [text for text in super().continuations(state, partial) if text != self.demonstrate(state, None)[:1]]

    with pytest.raises(
        AssertionError, match="demonstrations can be said: seed 0: the grammar forbids the expert's token"
    ):
        check_text_env(Forbidden())


@pytest.mark.parametrize(("fault", "message"), [("no reply", "is no Reply"), ("no end", "without done")])
def test_replies_that_are_none_are_named_in_every_view(fault, message):
    for view in (TokenEnv, ResponseEnv):
        env = view(broken(fault))
        env.reset(seed=0)
        with pytest.raises(TypeError, match=message):
            env.step(env.mdp.tokenizer.end_id if view is TokenEnv else "1")


def test_a_potential_that_is_no_number_is_named():
    env = TokenEnv(broken("nan"), reward="dense")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"Broken\.potential gave nan"):
        env.step(3)


def test_a_context_that_is_too_short_for_the_expert_is_caught():
    with pytest.raises(AssertionError, match="expert has full marks"):
        check_text_env(Counting(), context_length=14)


def test_ids_are_checked_with_their_arguments_and_strangers_are_refused():
    register_task("CheckedEcho", "toys:Echo")
    check_text_env("CheckedEcho-v0", max_response_tokens=4)
    with pytest.raises(ValueError, match="no view of a textmdp task"):
        check_text_env("CartPole-v1")
    with pytest.raises(TypeError, match="did you mean 'max_response_tokens'"):
        check_text_env("CheckedEchoResponse-v0", max_respons_tokens=4)
    from gymnasium import registry

    from textmdp.envs import TASKS

    del TASKS["CheckedEcho"], registry["CheckedEcho-v0"], registry["CheckedEchoResponse-v0"]


def test_differences_are_named_to_the_place_and_the_type():
    import numpy as np

    assert difference({"a": [1, 2]}, {"a": [1, 3]}) == "['a'][1] is 2 and 3"
    assert "int8" in difference(np.zeros(2, np.int8), np.zeros(2, np.int64))
    assert difference((np.array([None, "x"], object),), (np.array([None, "x"], object),)) == ""
