"""TextSupport as a task: what resolves an issue, and what customers do on the way."""

import pickle

import numpy as np
import pytest

from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.rewards.composed_task import ComposedTask
from textmdp.envs.tasks.text_support import TextSupport
from textmdp.envs.tasks.text_support.expert import next_act, write
from textmdp.envs.tasks.text_support.lexicon import pieces
from textmdp.envs.tasks.text_support.phrases import OPENINGS, PHRASES, STYLES
from textmdp.envs.tasks.text_support.policy import KINDS
from textmdp.envs.tasks.text_support.scenarios import LEVELS
from textmdp.envs.tasks.text_support.user import RuleUser
from textmdp.envs.tokenizers import LexiconTokenizer

RNG = np.random.default_rng(0)


def find(level="medium", **wanted):
    """A task, and the first state whose issue has these fields, or `style` and `status` of customer and order."""
    task = TextSupport(level)
    for index in range(5000):
        state, _ = task.problem(index)
        issue = state.scenario.issues[0]
        order = state.records.order(issue.number)
        has = {**issue._asdict(), "style": state.scenario.style, "status": order.status if order else ""}
        if all(has[name] == value for name, value in wanted.items()):
            return task, state
    raise AssertionError(f"no scenario with {wanted}")


def say(task, state, *texts):
    """The last reply to these responses."""
    for text in texts:
        reply = task.reply(state, text, turn_generator(1, state.turns))
        state = reply.state
    return reply


def play(task, index, policy=None):
    """The states, the messages and the last reply of a dialogue, by default an expert's."""
    state, opening = task.problem(index)
    states, messages = [state], [opening]
    while True:
        response = policy(state) if policy else task.demonstrate(state, turn_generator(index, state.turns))
        reply = task.reply(state, response, turn_generator(index, state.turns))
        state = reply.state
        states.append(state)
        messages += [response, reply.text]
        if reply.done:
            return states, messages, reply


@pytest.mark.parametrize("level", LEVELS)
def test_the_expert_resolves_everything_within_the_lexicon(level):
    task = TextSupport(level, split="test", seed=5)
    tokenizer = LexiconTokenizer(task.vocabulary())
    for index in range(100):
        _, messages, reply = play(task, index)
        assert reply.score.total == 1.0, messages
        assert reply.score.parts["policy_broken"] == 0
        for text in messages:
            assert tokenizer.decode(tokenizer.encode(text)) == text
        assert max(len(tokenizer.encode(text)) for text in messages[1::2]) < task.max_response_tokens
        assert max(len(pieces(text)) for text in messages[::2]) * (task.max_turns + 1) <= task.max_text_tokens


def test_levels_grow_from_two_turns_to_more_than_ten():
    turns = {level: [play(TextSupport(level), k)[2].score.parts["turns"] for k in range(150)] for level in LEVELS}
    assert set(turns["entry"]) == {2}
    means = [np.mean(turns[level]) for level in LEVELS]
    assert means == sorted(means)
    assert max(turns["long"]) > 10


def test_a_dialogue_has_40_to_200_tokens_at_most_levels():
    for level in ("easy", "medium", "hard"):
        lengths = [sum(len(pieces(text)) for text in play(TextSupport(level), k)[1]) for k in range(100)]
        assert 40 <= np.mean(lengths) <= 120
        assert max(lengths) <= 250


def test_every_kind_occurs_with_and_without_a_refusal():
    task = TextSupport("medium")
    seen = {(state.scenario.issues[0].kind, state.right.call is None) for state, _ in task.problems(range(600))}
    assert {kind for kind, _ in seen} == set(KINDS)
    assert {kind for kind, refused in seen if not refused} == set(KINDS) - {"stranger"}
    assert {"return", "cancel", "address", "login", "warranty", "stranger"} <= {kind for kind, no in seen if no}


def test_splits_are_disjoint_by_scenario():
    def contents(split):
        problems = TextSupport("easy", split=split).problems(range(800))
        return {(s.scenario.name, s.scenario.issues, s.scenario.records) for s, _ in problems}

    assert not contents("train") & contents("test")


def test_seeds_give_different_scenarios():
    one, other = (TextSupport(seed=seed).problems(range(50)) for seed in (0, 1))
    assert not {state.scenario for state, _ in one} & {state.scenario for state, _ in other}


def test_any_words_and_any_order_of_looks_resolve():
    task, state = find(kind="cancel", status="packed", gives_number=True, vague=False)
    number = state.facts.number
    reply = say(
        task, state, "Let me see.", f"track {number}", f"lookup_order {number}", "What else?", f"cancel {number}"
    )
    assert not reply.done
    reply = say(task, reply.state, "Good news! I called the order off, there is nothing left to do for you.")
    assert reply.done
    assert reply.score.total == 1.0
    assert task.success([reply.score])


def test_a_forbidden_refund_ends_the_dialogue():
    task, state = find(kind="warranty", gives_number=True, vague=False)
    number = state.facts.number
    reply = say(task, state, f"lookup_order {number}", f"refund {number}")
    assert reply.done
    assert reply.score.total == 0
    assert reply.score.parts["policy_broken"] == 1
    assert "not allowed" in reply.text


def test_a_change_without_the_check_ends_the_dialogue():
    task, state = find(kind="cancel", status="packed", gives_number=True, vague=False)
    reply = say(task, state, f"cancel {state.facts.number}")
    assert reply.done
    assert "not checked first" in reply.text


def test_an_untruth_is_caught_and_the_truth_still_counts():
    task, state = find(kind="cancel", status="packed", gives_number=True, vague=False)
    number = state.facts.number
    reply = say(task, state, f"lookup_order {number}", "It is cancelled.")
    assert not reply.done
    assert reply.state.mind.patience < state.mind.patience
    assert reply.state.mind.mood < state.mind.mood
    reply = say(task, reply.state, f"cancel {number}", "It is cancelled.")
    assert reply.score.total == 1.0


def test_a_right_answer_without_a_look_does_not_count():
    task, state = find(kind="cancel", status="shipped", gives_number=True, vague=False)
    reply = say(task, state, "Sorry, it was shipped.")
    assert not reply.done
    reply = say(task, reply.state, f"lookup_order {state.facts.number}", "Sorry, it was shipped.")
    assert reply.score.total == 1.0


def test_a_wrong_reason_or_none_does_not_count():
    task, state = find(kind="cancel", status="shipped", gives_number=True, vague=False)
    look = f"lookup_order {state.facts.number}"
    for answer in ("Sorry, that is not possible.", "Sorry, the warranty is over.", "Sorry, the 30 days are over."):
        assert not say(task, state, look, answer).done


def test_a_wrong_number_of_days_is_an_untruth():
    task, state = find(kind="late", status="shipped", gives_number=True, vague=False)
    number, days = state.facts.number, state.records.order(state.facts.number).days
    assert not say(task, state, f"track {number}", f"It arrives in {days + 1} days.").done
    assert say(task, state, f"track {number}", f"It arrives in {days} days.").score.total == 1.0


def test_lies_and_truths_together_do_not_count():
    task, state = find(kind="cancel", status="shipped", gives_number=True, vague=False)
    reply = say(task, state, f"lookup_order {state.facts.number}", "It was shipped. It is cancelled. It is refunded.")
    assert reply.score.total == 0
    assert not reply.done


def test_loops_cost_patience_until_the_customer_leaves():
    task, state = find(kind="cancel", gives_number=True, vague=False)
    for _ in range(task.max_turns):
        reply = say(task, state, "Which order is it?")
        state = reply.state
        if reply.done:
            break
    assert reply.done
    assert state.turns < task.max_turns
    assert state.mind.patience <= 0
    assert not task.success([reply.score])


def test_the_turn_budget_is_a_rule():
    task = TextSupport("medium")
    state, _ = task.problem(0)
    for turn in range(task.max_turns):
        reply = say(task, state, "track 1")
        state = reply.state
        assert reply.done == (turn + 1 == task.max_turns)
    assert reply.score.total == 0
    assert reply.score.parts["wrong_calls"] == task.max_turns


def test_customers_volunteer_nothing():
    task, state = find(kind="address", status="packed", gives_number=False, vague=False)
    told = say(task, state, "Which order is it?").state.mind.told - state.mind.told
    assert told == {"number"}
    assert say(task, state, "Hello.").state.mind.told == state.mind.told


def test_two_questions_at_once_are_both_answered():
    task, state = find(kind="address", status="packed", gives_number=False, vague=False)
    reply = say(task, state, "What is your postcode? And what is the new address?")
    assert {"code", "city"} <= reply.state.mind.told
    assert str(state.scenario.code) in reply.text
    assert state.facts.city in reply.text


def test_a_misread_number_is_corrected_when_asked_again():
    task = TextSupport("hard")
    for index in range(3000):
        state, _ = task.problem(index)
        issue = state.scenario.issues[0]
        if issue.misread and issue.kind == "cancel" and not issue.vague and not issue.gives_number:
            break
    first = say(task, state, "Which order is it?")
    assert str(issue.misread) in first.text
    assert not task.reply(first.state, f"lookup_order {issue.misread}", RNG).state.records.order(issue.misread)
    again = say(task, first.state, f"lookup_order {issue.misread}", "Sorry, I can't find it. Which order is it?")
    assert str(issue.number) in again.text
    assert again.state.mind.patience == state.mind.patience


def test_a_change_of_mind_changes_what_resolves():
    task = TextSupport("hard")
    for index in range(5000):
        state, _ = task.problem(index)
        issue = state.scenario.issues[0]
        if issue.rather and not issue.vague and not issue.gives_number and issue.knows_number and not issue.misread:
            break
    assert state.mind.want == issue.want
    asked = say(task, state, "Which order is it?").state
    assert asked.mind.want == issue.rather != issue.want
    deeds = {"refund": "refund", "new": "replace"}
    look = f"track {issue.number}"
    assert say(task, asked, look, f"{deeds[issue.want]} {issue.number}").score.parts["policy_broken"] == 1
    assert say(task, asked, look, f"{deeds[issue.rather]} {issue.number}").score.parts["policy_broken"] == 0


def test_a_second_issue_follows_the_first():
    task = TextSupport("long")
    states, messages, reply = play(task, 0)
    issues = [state.mind.issue for state in states]
    assert issues == sorted(issues)
    assert set(issues) == {0, 1}
    assert [bool(text.endswith("agent: ")) for text in messages[::2]] == [True] * (len(messages) // 2) + [False]
    assert reply.score.total == 1.0


def test_states_are_small_and_share_their_records():
    task = TextSupport("long")
    states, _, _ = play(task, 3)
    assert len(pickle.dumps(states[-1])) < 5000
    assert hash(states[-1]) == hash(pickle.loads(pickle.dumps(states[-1])))
    first, last = states[0].records, states[-1].records
    untouched = {issue.number for issue in states[0].scenario.issues}
    for before, after in zip(first.orders, last.orders, strict=True):
        assert before is after or before.number in untouched


def test_a_branch_repeats_the_customer_or_draws_afresh():
    task, state = find(style="wordy", gives_number=False, vague=False, kind="cancel")
    same = {task.reply(state, "Which order is it?", turn_generator(3, 0)).text for _ in range(3)}
    fresh = {task.reply(state, "Which order is it?", turn_generator(key, 0)).text for key in range(20)}
    assert len(same) == 1
    assert len(fresh) > 1


def test_all_customers_of_a_step_answer_together():
    class Counting(RuleUser):
        calls: tuple[int, ...] = ()

        def answers(self, requests):
            Counting.calls += (len(requests),)
            return super().answers(requests)

    task = TextSupport(user=Counting())
    states = [state for state, _ in task.problems(range(6))]
    rngs = [turn_generator(k, 0) for k in range(6)]
    task.reply_many(states, ["Hello.", "track 1", "Hello.", "What is wrong?", "refund 3", "Hello."], rngs)
    assert Counting.calls == (4,)


def test_the_potential_rises_along_an_experts_dialogue():
    for level in LEVELS:
        task = TextSupport(level)
        for index in range(30):
            states, _, _ = play(task, index)
            potentials = [task.potential(state, "") for state in states[:-1]]
            assert all(0 <= value < 1 for value in potentials)
            assert potentials == sorted(potentials)
            response = write(next_act(states[0]), states[0], 0)
            parts = [task.potential(states[0], response[:k]) for k in range(len(response) + 1)]
            assert parts == sorted(parts)
            assert task.potential(states[0], "zzz") == potentials[0]


def test_mistakes_are_responses_of_the_lexicon_and_resolve_little():
    for level in LEVELS:
        task, resolved = TextSupport(level), 0
        tokenizer = LexiconTokenizer(task.vocabulary())
        for index in range(60):
            _, messages, reply = play(task, index, lambda state, task=task: task.mistake(state, RNG))
            resolved += reply.score.total
            for text in messages:
                assert tokenizer.decode(tokenizer.encode(text)) == text
        assert resolved <= 3


def test_the_policy_can_open_the_dialogue():
    _, text = TextSupport(show_policy=True).problem(0)
    assert text.startswith("Check first.")
    assert TextSupport().problem(0)[1] == text.partition("\n\n")[2]


def test_composed_rewards_keep_the_bound_in_tokens():
    task = TextSupport()
    composed = ComposedTask(task, "resolved - 0.01 * turns")
    assert composed.max_text_tokens == task.max_text_tokens


@pytest.mark.parametrize(("name", "value"), [("difficulty", "huge"), ("split", "dev")])
def test_unknown_values_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}='{value}' is none of"):
        TextSupport(**{name: value})


def test_every_manner_has_every_phrase():
    for table in (OPENINGS, PHRASES):
        for intent, by_style in table.items():
            assert set(STYLES) <= set(by_style), intent
            for phrases in by_style.values():
                assert all(phrases)


def test_no_two_customers_sound_alike():
    """In a hundred dialogues few openings are repeated, and no two manners share a phrase."""
    openings = [text for _, text in TextSupport("medium").problems(range(100))]
    assert len(set(openings)) >= 85
    shared = {}
    for intent, by_style in PHRASES.items():
        for style in STYLES:
            for phrase in by_style[style]:
                shared.setdefault((intent, phrase), set()).add(style)
    assert {key: styles for key, styles in shared.items() if len(styles) > 1} == {}
