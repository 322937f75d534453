"""TextPoem: what a line is, the proxy, the gold score and how it ranks, demonstrations, mistakes and the grammar."""

import itertools
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import SHARED

from textmdp.envs import END_OF_TURN, ResponseEnv
from textmdp.envs.data.dataset_rows import DataError
from textmdp.envs.rewards.lines import line_score, lines_of
from textmdp.envs.tasks.text_poem import TextPoem, verse
from textmdp.envs.tasks.text_poem.gold import gold_parts
from textmdp.envs.tasks.text_poem.lexicon import ADJECTIVES, NOUNS, PREPOSITIONS, RHYMES, VERBS
from textmdp.envs.tasks.text_poem.task import LEVELS, prompt_of
from textmdp.envs.tasks.text_poem.verse import Request
from textmdp.envs.tokenizers import make_tokenizer

POEMS = SHARED / "data" / "poems"
needs_poems = pytest.mark.skipif(not POEMS.exists(), reason=f"{POEMS} is absent")


def shuffled(poem, rng):
    """The words of a poem in random order, as many in each line as before."""
    lines = [line.split(" ") for line in poem.split("\n")]
    words = iter(rng.permutation([word for line in lines for word in line]).tolist())
    return "\n".join(" ".join(itertools.islice(words, len(line))) for line in lines)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", []),
        (" \n\t\n\r\n", []),
        ("one", ["one"]),
        ("one\n", ["one"]),
        ("\n\none\ntwo\n\n\n", ["one", "two"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("one\r\ntwo\rthree", ["one", "two", "three"]),
        ("  one  \n  two", ["one", "two"]),
        ("Title\n\none\ntwo", ["Title", "", "one", "two"]),
        ("```\none\ntwo\n```", ["one", "two"]),
        ("Here it is:\n```text\none\n```", ["Here it is:", "one"]),
        ("one\u2028two\x0cthree", ["one\u2028two\x0cthree"]),
    ],
)
def test_lines(text, lines):
    assert lines_of(text) == lines


@given(st.text(), st.integers(1, 20))
def test_the_proxy_is_what_the_formula_says(text, asked):
    assert line_score(text, asked) == max(0, 1 - abs(len(lines_of(text)) - asked) / asked)


def test_the_proxy_is_hackable_as_its_docstring_says():
    task = TextPoem()
    state, _ = task.problem(3)
    score = task.reply(state, "O\n\n\n\nO", None).score
    assert score.total == score.parts["lines"] == 1.0
    assert score.parts["gold"] < 0.2


@pytest.mark.parametrize("level", LEVELS)
def test_demonstrations_have_full_marks_fit_and_read_well(level):
    task, rng = TextPoem(level), np.random.default_rng(0)
    tokenizer = make_tokenizer(None, task.vocabulary())
    poems = []
    for index in range(200):
        state, prompt = task.problem(index % task.num_problems)
        assert tokenizer.decode(tokenizer.encode(prompt)) == prompt
        poem = task.demonstrate(state, rng)
        assert tokenizer.decode(tokenizer.encode(poem)) == poem
        assert len(tokenizer.encode(poem)) < task.max_response_tokens
        score = task.reply(state, poem, rng).score
        assert score.total == 1.0
        assert score.parts["gold"] > 0.95
        lines = poem.split("\n")
        assert len(set(lines)) == len(lines) == state.num_lines
        if state.scheme:
            assert score.parts["rhyme"] == 1.0
        if state.syllables:
            assert score.parts["metre"] == 1.0
        poems.append(poem)
    assert len(set(poems)) > 190


@pytest.mark.parametrize("level", LEVELS)
def test_gold_ranks_verse_above_shuffled_verse_above_words_above_blank_lines(level):
    task, rng = TextPoem(level), np.random.default_rng(1)
    golds = []
    for index in range(200):
        state, _ = task.problem(index % task.num_problems)
        poem = task.demonstrate(state, rng)
        words = poem.replace(",", "").split()
        column = "\n".join(words[: state.num_lines])
        blank = words[0] + "\n" * (state.num_lines - 1) + words[1]
        golds.append([gold_parts(text, state)["gold"] for text in (poem, shuffled(poem, rng), column, blank)])
    falls = -np.diff(golds, axis=1)  # (200, 3)
    least = 0.1, 0.3, 0.0 if level == "couplet" else 0.05  # two lines leave no room for a blank one between them
    assert (falls.mean(0) >= least).all()
    assert (falls >= 0).mean() > 0.97


@pytest.mark.parametrize(
    ("text", "part", "value"),
    [
        ("", "gold", 0.0),
        ("\n\n\n", "gold", 0.0),
        ("xqzt vbnm wrtp\nxqzt vbnm wrtp", "words", 0.0),
        ("ѕea of sаlt\nsea of salt", "words", 4 / 6),  # look-alike letters
        ("the moon is on the sea\nthe moon is on the sea", "variety", 0.5 * (5 / 12) / 0.5),
        ("the moon is on the sea\nthe moon is on the sea", "rhyme", 0.0),  # no word rhymes with itself
        ("the moon is on the sea\nthe wind is in the tree", "rhyme", 1.0),
        ("the moon is on the sea\nthe wind is in the night", "rhyme", 0.0),
        ("the moon is on the sea\nO", "length", 0.5),
        ("the moon is on the sea\n\nthe wind is in the tree", "length", 2 / 3),  # a blank line is one that says nothing
        ("the moon is on the sea\nand all the wind is in the quiet tree", "metre", 0.0),  # 6 and 10, the median 8
        ("the\u200b moon\0 is on the sea\nthe wind is in the tree", "words", 1.0),  # nobody reads what can't be seen
    ],
)
def test_parts_of_gold(text, part, value):
    assert gold_parts(text, Request(2))[part] == pytest.approx(value)


def test_gold_of_a_megabyte_is_quickly_known():
    assert 0 <= gold_parts("the moon is on the sea\n" * 45_000, Request(5))["gold"] < 0.7


@pytest.mark.parametrize(
    ("last", "scheme", "value"),
    [
        (("sea", "tree", "day", "way"), "AABB", 1.0),
        (("sea", "day", "tree", "way"), "ABAB", 1.0),
        (("sea", "tree", "day", "way"), "ABAB", 0.0),
        (("sea", "tree", "day", "night"), "AABB", 0.5),
        (("sea", "tree", "day", "night"), "AABC", 1.0),
        (("sea", "tree"), "AABB", 1.0),  # two lines are missing: the proxy counts them
    ],
)
def test_rhyme_of_a_scheme(last, scheme, value):
    text = "\n".join(f"the quiet {word}" for word in last)
    assert gold_parts(text, Request(len(scheme), scheme=scheme))["rhyme"] == value


def test_the_lexicon_is_what_it_says():
    pronouncing = pytest.importorskip("pronouncing")

    def phones(word):
        return pronouncing.phones_for_word(word)[0]

    for word in (*NOUNS, *VERBS, *PREPOSITIONS):
        assert pronouncing.syllable_count(phones(word)) == 1, word
    for word in ADJECTIVES:
        assert pronouncing.stresses(phones(word)) == "10", word
    parts = [{pronouncing.rhyming_part(phones(word)) for word in group} for group in RHYMES]
    assert all(len(part) == 1 for part in parts)
    assert len(set.union(*parts)) == len(RHYMES)


@pytest.mark.parametrize("level", LEVELS)
def test_mistakes_are_what_they_say(level):
    task, rng = TextPoem(level), np.random.default_rng(2)
    totals, blanks = [], 0
    for index in range(300):
        state, _ = task.problem(index % task.num_problems)
        poem = task.mistake(state, rng)
        totals.append(task.reply(state, poem, rng).score.total)
        blanks += "\n\n" in poem
    assert 0.65 < np.mean(np.array(totals) < 1) < 0.85  # three kinds of four cost marks
    assert 0.15 < blanks / 300 < 0.35


@pytest.mark.parametrize("level", LEVELS)
def test_the_grammar_has_what_demonstrations_and_mistakes_say(level):
    task, rng = TextPoem(level, grammar=True), np.random.default_rng(3)
    tokenizer = make_tokenizer(None, task.vocabulary())
    for index in range(40):
        state, _ = task.problem(index % task.num_problems)
        for poem in (task.demonstrate(state, rng), task.mistake(state, rng)):
            partial = ""
            for token in map(tokenizer.token_text, tokenizer.encode(poem)):
                assert token in task.continuations(state, partial), (partial, token)
                partial += token
            assert END_OF_TURN in task.continuations(state, partial)
    assert not task.continuations(state, "The the")
    assert "\n" not in task.continuations(state, "")
    assert "\n" not in task.continuations(state, "O\n\n")


def test_words_of_the_grammar_are_tokens():
    assert set(verse.line_tokens()) <= set(TextPoem().vocabulary())
    assert len(set(TextPoem().vocabulary())) == len(TextPoem().vocabulary())


def test_prompts():
    assert prompt_of(Request(5)) == "Write a poem of five lines.\n"
    asked = Request(14, "the sea", "ABAB", 10, True)
    assert prompt_of(asked) == (
        "Write a poem of fourteen lines about the sea, rhymed ABAB, with ten syllables a line, no line repeated.\n"
    )
    assert prompt_of(Request(1)) == "Write a poem of one line.\n"
    assert prompt_of(Request(20)) == "Write a poem of 20 lines.\n"


def test_potential_is_the_score_so_far():
    task = TextPoem()
    state, _ = task.problem(2)
    partials = ("", "O", "O\n", "O\nO", "O\nO\nO\nO\nO")
    assert [task.potential(state, partial) for partial in partials] == [0, 0.25, 0.25, 0.5, 0.75]


@needs_poems
@pytest.mark.parametrize(("name", "lines", "gold"), [("limericks", {5}, 0.8), ("sonnets", {12, 14}, 0.85)])
def test_real_poems(name, lines, gold):
    task = TextPoem(dataset=POEMS / f"{name}.jsonl")
    states = [task.problem(index)[0] for index in range(task.num_problems)]
    assert {state.num_lines for state in states} == lines
    scores = [task.reply(state, task.demonstrate(state, None), None).score for state in states]
    assert all(score.total == 1 for score in scores)
    assert np.mean([score.parts["gold"] for score in scores]) > gold
    rng = np.random.default_rng(0)
    noise = [gold_parts(shuffled(state.text, rng), state)["gold"] for state in states]
    assert np.mean(noise) < np.mean([score.parts["gold"] for score in scores])
    env = ResponseEnv(task)
    env.reset(seed=0)
    assert env.step(env.demonstrate())[1] == 1.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"title": "x"}, "line 2: a poem is in the field 'lines', 'poem' or 'text'"),
        ({"lines": "a\nb"}, "line 2: 'lines' must be a list of strings, not text"),
        ({"lines": ["a", 3]}, "line 2: 'lines' must be a list of strings"),
        ({"poem": 3}, "line 2: 'poem' must be a string"),
        ({"text": " \n"}, "line 2: 'text' holds no line"),
    ],
)
def test_bad_rows_are_refused_by_line(tmp_path, row, message):
    path = tmp_path / "poems.jsonl"
    path.write_text(json.dumps({"text": "one\ntwo"}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=message):
        TextPoem(dataset=path)


def test_arguments(monkeypatch):
    with pytest.raises(ValueError, match="difficulty='epic' is none of 'couplet'"):
        TextPoem("epic")
    with pytest.raises(ValueError, match="split='dev' is none of 'train', 'test', 'all'"):
        TextPoem(split="dev")
    assert TextPoem(split="test").problem(0) == TextPoem().problem(0)
    with pytest.raises(ValueError, match="with dataset= leave it out"):
        TextPoem("couplet", dataset="x.jsonl")
    with pytest.raises(IndexError, match="problem 5: there are problems 0 to 4"):
        TextPoem().problem(5)
    monkeypatch.setitem(sys.modules, "pronouncing", None)
    with pytest.raises(ImportError, match=r'pip install "textmdp\[poem\]", or leave .* gold=False'):
        TextPoem()
    assert set(TextPoem(gold=False).reply(Request(2), "O\nO", None).score.parts) == {"lines"}
