"""Checks that a text environment is the MDP that it claims to be, beyond Gymnasium's own checker.

```python
from textmdp.envs.env_checker import check_text_env

check_text_env("TextMath-v0", difficulty="brackets")   # a registered id, with its arguments
check_text_env(MyTask())                               # or a task of your own
```
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from textmdp.envs.core.episode import ENVIRONMENT, POLICY
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.core.task import Task, check_replies
from textmdp.envs.env_checker_tools import (
    SEEDS,
    Subject,
    difference,
    episodes,
    own_task,
    play_expert,
    same,
    subject_of,
    without_mask,
)
from textmdp.envs.views.response_env import ResponseEnv
from textmdp.envs.views.token_env import TokenEnv


def check_text_env(env: str | Task[Any], **kwargs: Any) -> None:
    """Check that the views of a task agree with each other and with the rules of `textmdp.envs.core.mdp`.

    Args:
        env: a registered id of either view, or a task.
        **kwargs: the arguments of `gym.make` for an id; options of the views (`tokenizer`, …) for a task.

    Raises:
        AssertionError: a check failed; the message names the check, the seed and the difference.
    """
    for _ in run_checks(env, **kwargs):
        pass


def run_checks(env: str | Task[Any], **kwargs: Any) -> Iterator[str]:
    """Run the checks of `check_text_env` one by one; yields a sentence for each, raises at the first that fails."""
    subject = subject_of(env, kwargs)
    for check in CHECKS:
        try:
            check(subject)
        except Exception as error:  # a task may raise anything; the message names the check
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            raise AssertionError(f"{check.__name__.replace('_', ' ')}: {kind}{error}") from error
        yield (check.__doc__ or "").partition("\n")[0].rstrip(".")


# The checks


def gymnasium_is_content(subject: Subject) -> None:
    """Gymnasium's own checker passes without a warning on both views."""
    for view in (TokenEnv, ResponseEnv):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            env = view(subject.task, **subject.options)
            # Gymnasium renders from a spec, which an unregistered task does not have: see `renders_are_text`.
            check_env(env, skip_render_check=True)


def views_are_equivalent(subject: Subject) -> None:
    """For the same task, seed and text, both views show the same texts, ends and undiscounted return."""
    token, response = subject.token(), subject.response()
    for seed, policy in episodes(subject):
        _, info = token.reset(seed=seed)
        _, other = response.reset(seed=seed)
        assert info["problem"] == other["problem"], f"seed {seed}: problem {info['problem']} and {other['problem']}"
        rng, total, total_response, ended = np.random.default_rng(seed), 0.0, 0.0, False
        while not ended:
            ids, ended, rewards, info = policy(token, rng), False, [], {}
            for action in ids:
                _, reward, terminated, truncated, info = token.step(action)
                rewards.append(reward)
                ended = terminated or truncated
                if ended or "finish_reason" in info:
                    break
            total += sum(rewards)
            text = token.mdp.tokenizer.decode(ids)
            _, reward, terminated_too, truncated_too, info_too = response.step(text)
            total_response += reward
            where = f"seed {seed}, response {text!r}"
            assert (terminated, truncated) == (terminated_too, truncated_too), f"{where}: the views end differently"
            differs = difference(without_mask(info), without_mask(info_too))
            assert not differs, f"{where}: token view and response view: info{differs}"
            assert token.episode.messages == response.episode.messages, f"{where}: the views show different texts"
        if token.mdp.dense and token.mdp.shaping_discount != 1.0:
            continue  # a response is discounted as one action: the optimal policies agree, the returns do not
        assert abs(total - total_response) <= 1e-9 * max(1.0, abs(total)), (
            f"seed {seed}: return {total} token by token, {total_response} as responses"
        )
        if not token.mdp.dense:
            assert total == total_response, f"seed {seed}: return {total} and {total_response}"


def vector_is_singles(subject: Subject) -> None:
    """A vector environment gives bit for bit what single ones give, in all three autoreset modes."""
    n = 5
    for mode in AutoresetMode:
        singles = SyncVectorEnv([subject.token] * n, autoreset_mode=mode)
        vector = subject.vector(n, autoreset_mode=mode)
        rng = np.random.default_rng(0)
        pairs: list[tuple[str, Any, Any]] = [("reset", singles.reset(seed=7), vector.reset(seed=7))]
        for step in range(3 * min(200, vector.mdp.context_length)):
            actions = rng.integers(vector.mdp.tokenizer.vocab_size, size=n)
            over = vector.over
            if mode is AutoresetMode.DISABLED and over.any():
                pair = (singles.reset(options={"reset_mask": over}), vector.reset(options={"reset_mask": over}))
                pairs.append((f"reset before step {step}", *pair))
            pairs.append((f"step {step}", singles.step(actions), vector.step(actions)))
        for where, expected, got in pairs:
            differs = difference(expected, got)
            assert not differs, f"{mode}, {where}, single environments and the vector: {differs}"


def snapshots_are_complete(subject: Subject) -> None:
    """A restored snapshot goes on as the episode did, in any view, after pickling too."""
    for seed, policy in episodes(subject):
        env, twin, vector = subject.token(), subject.token(), subject.vector(2)
        rng = np.random.default_rng(seed)
        env.reset(seed=seed)
        first = policy(env, rng)
        for action in first[: int(rng.integers(len(first)))]:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                break
        snapshot = env.snapshot()
        copy = pickle.loads(pickle.dumps(snapshot))
        assert copy == snapshot, f"seed {seed}: a pickled snapshot is another one"
        twin.reset(seed=seed + 1)
        twin.restore(copy)
        vector.reset(seed=seed + 2)
        vector.restore([copy, copy])
        vector.branch([0], [1])
        for step in range(20):
            action = int(rng.integers(env.mdp.tokenizer.vocab_size))
            now = env.snapshot()
            if now.terminated or now.truncated:
                assert same(env.reset(), twin.reset()), f"seed {seed}: the episode after a snapshot is another one"
                break
            expected, got, rows = env.step(action), twin.step(action), vector.step(np.array([action, action]))
            assert same(expected, got), f"seed {seed}, {step} steps after a snapshot: {got} instead of {expected}"
            for row in range(2):
                in_row = ({name: values[row] for name, values in rows[0].items()}, *(part[row] for part in rows[1:4]))
                assert same(expected[:4], in_row), f"seed {seed}, row {row}: {in_row} instead of {expected[:4]}"
        env.restore(snapshot)
        assert env.snapshot() == snapshot, f"seed {seed}: stepping changed a snapshot that was taken before"


def tokens_are_append_only(subject: Subject) -> None:
    """Tokens are never tokenised again: each step appends, the policy's tokens stand as they were chosen."""
    env = subject.token()
    for seed, policy in episodes(subject):
        env.reset(seed=seed)
        rng, ended, chosen = np.random.default_rng(seed), False, []
        while not ended:
            for action in policy(env, rng):
                before, roles = env.tokens.copy(), env.roles.copy()
                observation, _, terminated, truncated, info = env.step(action)
                chosen.append(action)
                ended = terminated or truncated
                length = len(before)
                assert np.array_equal(observation["tokens"][:length], before), f"seed {seed}: earlier tokens changed"
                assert np.array_equal(observation["roles"][:length], roles), f"seed {seed}: earlier roles changed"
                assert (observation["roles"][env.length :] == 0).all(), f"seed {seed}: roles beyond the end"
                if ended or "finish_reason" in info:
                    break
        kept = env.tokens[env.roles == POLICY].tolist()
        assert kept == chosen, f"seed {seed}: the policy chose {chosen}, and the state holds {kept}"
        assert env.roles.all(), f"seed {seed}: a token of nobody"
        assert env.roles[0] == ENVIRONMENT, f"seed {seed}: the environment doesn't speak first"


def texts_round_trip(subject: Subject) -> None:
    """Prompts, replies and an expert's responses come back from their tokens as they were."""
    tokenizer = subject.token().mdp.tokenizer
    env = subject.response()
    for seed in SEEDS:
        env.reset(seed=seed)
        play_expert(env)
        for text in env.episode.messages:
            again = tokenizer.decode(tokenizer.encode(text))
            assert again == text, f"seed {seed}: {text!r} comes back from its tokens as {again!r}"


def expert_has_full_marks(subject: Subject) -> None:
    """The expert's answers earn full marks, and the episode terminates."""
    env = ResponseEnv(subject.task, **{**subject.options, "reward": "sparse"})
    for seed in range(4 * len(SEEDS)):
        env.reset(seed=seed)
        total = play_expert(env)
        # Penalties, such as one for length, may cost an expert something.
        penalties = sum(
            min(0.0, score.parts[name] * weight)
            for score in env.episode.scores
            for name, weight in score.weights.items()
        )
        full_marks = subject.task.full_marks
        assert full_marks is None or abs(total - penalties - full_marks) < 1e-9, (
            f"seed {seed}: the expert earned {total - penalties} of {full_marks}: {env.episode.messages}"
        )
        assert subject.task.success(env.episode.scores), f"seed {seed}: full marks are no success: {env.episode.scores}"
        assert env.snapshot().terminated, f"seed {seed}: the expert's episode was truncated: {env.episode.messages}"


def ends_are_right(subject: Subject) -> None:
    """Turns end by the end token or the budget, episodes terminate or are truncated, never both."""
    env = subject.token()
    end_id, budget = env.mdp.tokenizer.end_id, env.mdp.max_response_tokens
    for seed, policy in episodes(subject):
        env.reset(seed=seed)
        rng, ended, turn = np.random.default_rng(seed), False, 0
        while not ended:
            for count, action in enumerate(policy(env, rng), start=1):
                _, _, terminated, truncated, info = env.step(action)
                assert {type(terminated), type(truncated)} == {bool}, f"seed {seed}: ends must be Python bools"
                assert not (terminated and truncated), f"seed {seed}: terminated and truncated at once"
                ended = terminated or truncated
                reason = "stop" if action == end_id else "length" if count == budget else None
                if reason is None and truncated:
                    reason = "context"
                got = info.get("finish_reason")
                assert got == reason, f"seed {seed}: finish_reason {got!r} instead of {reason!r}"
                if reason in ("stop", "length"):
                    turn += 1
                    assert info["turn"] == turn, f"seed {seed}: turn {info['turn']} instead of {turn}"
                if ended or reason:
                    break
            assert turn <= subject.task.max_turns, f"seed {seed}: more than max_turns={subject.task.max_turns} turns"
        written = sum(len(text.encode()) for text in env.episode.messages[::2])
        assert written <= subject.task.max_text_bytes, (
            f"seed {seed}: the task said {written} bytes, and max_text_bytes={subject.task.max_text_bytes}"
        )


def grading_is_pure(subject: Subject) -> None:
    """Grading the same response again gives the same, one by one or together, and changes nothing."""
    task = subject.task
    for seed, policy in episodes(subject):
        env = subject.token()
        env.reset(seed=seed)
        state, key = env.episode.state, env.episode.key
        texts = [env.mdp.tokenizer.decode(policy(env, np.random.default_rng(k))) for k in range(3)]
        before = pickle.dumps(state)
        replies = [task.reply(state, text, turn_generator(key, 0)) for text in texts]
        check_replies(task, replies)
        again = [task.reply(state, text, turn_generator(key, 0)) for text in reversed(texts)][::-1]
        many = task.reply_many([state] * 3, texts, [turn_generator(key, 0) for _ in texts])
        assert replies == again, f"seed {seed}: reply is impure: grading {texts} again gives {again} after {replies}"
        assert replies == list(many), f"seed {seed}: reply_many gives {many}, reply gives {replies}"
        pending = task.submit([state] * 3, texts, [turn_generator(key, 0) for _ in texts])
        submitted = [future.result() for future in pending]
        assert replies == submitted, f"seed {seed}: submit gives {submitted}, reply gives {replies}"
        assert pickle.dumps(state) == before, f"seed {seed}: grading changed the hidden state"
        for hidden in (state, *(reply.state for reply in replies)):
            by_value = hash(hidden) == hash(pickle.loads(pickle.dumps(hidden)))
            assert by_value, f"seed {seed}: the hidden state {hidden!r} hashes by identity"
        index = env.episode.problem
        alone = task.problem(index)
        assert alone == task.problems([index, index])[1], f"problem {index} differs when drawn with others"


def methods_are_pure(subject: Subject) -> None:
    """Problems, demonstrations, mistakes, potentials and grammars are the same for the same arguments."""
    task = subject.task
    for seed, policy in episodes(subject):
        env = subject.token()
        env.reset(seed=seed)
        state, key, index = env.episode.state, env.episode.key, env.episode.problem
        partial = env.mdp.tokenizer.decode(policy(env, np.random.default_rng(seed))[:3])
        calls: dict[str, Callable[[], object]] = {
            "problem": lambda: task.problem(index),  # noqa: B023  # each is called at once
            "demonstrate": lambda: task.demonstrate(state, turn_generator(key, 0)),  # noqa: B023
        }
        if type(own_task(task)).mistake is not Task.mistake:
            calls["mistake"] = lambda: task.mistake(state, turn_generator(key, 0))  # noqa: B023
        if type(own_task(task)).potential is not Task.potential:
            calls["potential"] = lambda: task.potential(state, partial)  # noqa: B023
        if task.has_grammar:
            calls["continuations"] = lambda: task.continuations(state, partial)  # noqa: B023
        for name, call in calls.items():
            first, again = call(), call()
            assert name != "potential" or np.isfinite(first), (  # type: ignore[call-overload]
                f"seed {seed}: potential of {partial!r} is {first}, and must be finite"
            )
            assert first == again, f"seed {seed}: {name} is impure: it gives {first!r}, then {again!r}"


def demonstrations_can_be_said(subject: Subject) -> None:
    """An expert's responses and mistakes have tokens, and the grammar allows the expert's."""
    task, env = subject.task, subject.token()
    tokenizer = env.mdp.tokenizer
    makes_mistakes = type(own_task(task)).mistake is not Task.mistake
    for seed in SEEDS:
        env.reset(seed=seed)
        ended = False
        while not ended:
            state, rng = env.episode.state, turn_generator(env.episode.key, env.episode.turn)
            said = {"the expert": env.demonstrate(), "the mistake": task.mistake(state, rng) if makes_mistakes else ""}
            for who, text in said.items():
                try:
                    tokenizer.encode(text)
                except ValueError as error:
                    raise AssertionError(f"seed {seed}: {who} says {text!r}: {error}") from error
            for action in env.actions_for(said["the expert"]):
                assert env.action_masks()[action], (
                    f"seed {seed}: the grammar forbids the expert's token {tokenizer.token_text(action)!r} in "
                    f"{said['the expert']!r}"
                )
                _, _, terminated, truncated, info = env.step(action)
                ended = terminated or truncated
                if ended or "finish_reason" in info:
                    break


def problems_are_repeatable(subject: Subject) -> None:
    """The same seed gives the same episode, and a numbered problem is the same from any seed."""
    env, twin = subject.token(), subject.token()
    for seed in SEEDS:
        observation, info = env.reset(seed=seed)
        assert same((observation, info), twin.reset(seed=seed)), f"seed {seed} gives two different episodes"
        opening = twin.reset(seed=seed + 100, options={"problem": info["problem"]})
        assert opening[1]["message"] == info["message"], f"problem {info['problem']} depends on the seed"


def renders_are_text(subject: Subject) -> None:
    """The transcript is rendered as text from the first state to the last."""
    env = TokenEnv(subject.task, **subject.options, render_mode="ansi")
    env.reset(seed=0)
    assert isinstance(env.render(), str)
    env.step(env.mdp.tokenizer.end_id)
    assert isinstance(env.render(), str)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    problems_are_repeatable,
    grading_is_pure,
    methods_are_pure,
    demonstrations_can_be_said,
    texts_round_trip,
    ends_are_right,
    expert_has_full_marks,
    tokens_are_append_only,
    views_are_equivalent,
    vector_is_singles,
    snapshots_are_complete,
    renders_are_text,
    gymnasium_is_content,
)
