"""The shipped rules, and cheats against each with the score that they must get and why."""

import pytest

from textmdp.envs.rewards.rules import (
    POLITE,
    RULES,
    Forbidden,
    LengthLimit,
    LineCount,
    Matches,
    Politeness,
    Readability,
    Repetition,
    Similarity,
)

HUGE = "word " * 200_000  # 1 MB
PROMPT = "Write a poem of three lines.\n"
REFERENCE = "The cat sat on the mat."

# rule, response, score, why
CASES = [
    (LineCount(3), "one\ntwo\nthree", 1.0, "three lines"),
    (LineCount(3), "one\ntwo\nthree\n\n", 1.0, "white space behind the last line is no line"),
    (LineCount(3), "one\r\ntwo\rthree", 1.0, "all line breaks count"),
    (LineCount(3), "one\u2028two\x0bthree", 1 / 3, "other separators don't break lines"),
    (LineCount(3), "", 0.0, "an empty response has no line"),
    (LineCount(3), "\n\n\n\n", 0.0, "blank lines alone are none"),
    (LineCount(3), "a\n\nb", 1.0, "the hack of its docstring: a blank line between others counts"),
    (LineCount(3), PROMPT, 1 / 3, "the prompt repeated is one line"),
    (LineCount(3), "a\n" * 6, 0.0, "twice as many are worth nothing"),
    (LineCount(3), "a\n" * 500_000, 0.0, "nor is a megabyte of them"),
    (LineCount(3), "```\none\ntwo\nthree\n```", 1.0, "fences are no lines"),
    (LineCount(3), "one\n\0\nthree", 1.0, "NUL is a character like any other"),
    (LineCount(3), "one\n\u200b\nthree", 1.0, "a line of a zero-width space is a line"),
    (LengthLimit(10), "", 0.0, "no penalty for nothing: the docstring says so"),
    (LengthLimit(10), "a" * 10, 0.0, "up to the limit"),
    (LengthLimit(10), "a" * 15, -0.5, "linear beyond it"),
    (LengthLimit(10), "a" * 20, -1.0, "-1 at twice the limit"),
    (LengthLimit(10), HUGE, -1.0, "and never below"),
    (LengthLimit(10), "\u200b" * 15, -0.5, "invisible characters are characters"),
    (LengthLimit(10), "\0" * 15, -0.5, "so is NUL"),
    (LengthLimit(4, "words"), "one two three four five six", -0.5, "words"),
    (LengthLimit(2, "lines"), "one\ntwo\nthree", -0.5, "lines"),
    (Politeness(), "", 0.0, "nothing is polite about silence"),
    (Politeness(), "\n\n", 0.0, "or blank lines"),
    (Politeness(), "Could you please wait? Thank you!", 1.0, "two expressions"),
    (Politeness(), "please " * 20, 0.5, "twenty times please counts once"),
    (Politeness(), "PLEASE", 0.5, "capitals don't matter"),
    (Politeness(), "pl\u200bease", 0.5, "invisible characters neither"),
    (Politeness(), "ｐｌｅａｓｅ", 0.5, "nor do compatibility forms"),
    (Politeness(), "plеase", 0.0, "with a Cyrillic letter it is another word"),
    (Politeness(), "pleased displeasure", 0.0, "parts of words don't count"),
    (Politeness(), " ".join(POLITE), 1.0, "keyword stuffing has full marks: the docstring says to gate it"),
    (Politeness(), "please\0thanks", 0.0, "NUL is removed, which makes one word of two"),
    (Politeness(), HUGE, 0.0, "a megabyte"),
    (Matches(r"\d+"), "42", 1.0, "the whole response"),
    (Matches(r"\d+"), "42 ", 0.0, "not a part of it"),
    (Matches(r"\d+"), "", 0.0, "empty"),
    (Matches(r"\d+"), "٤٢", 0.0, "digits are those of ASCII"),
    (Matches(r"<think>.*</think>\d+"), "<think>a\nb</think>7", 1.0, "the dot matches line breaks"),
    (Matches(r"(a+)+"), "a" * 100_000 + "b", 0.0, "no backtracking"),
    (Matches(r".*"), "\ud800\0", 1.0, "a lone surrogate and NUL"),
    (Repetition(2), "", 0.0, "no words, nothing repeated"),
    (Repetition(2), "the cat sat on a mat", 0.0, "nothing repeated"),
    (Repetition(2), "a b a b a", -0.5, "two of four bigrams are repeated"),
    (Repetition(1), HUGE, 1 / 200_000 - 1, "a megabyte of one word"),
    (Repetition(1), "word Word w\u200bord", 1 / 3 - 1, "the same word in disguise"),
    (Readability(), "", 0.0, "no words"),
    (Readability(), "\n\n", 0.0, "no words"),
    (Readability(), "The cat sat on the mat. It was warm.", 1.0, "easy"),
    (Readability(), "Incomprehensibilities characterise institutionalised organisations.", 0.0, "hard"),
    (Readability(), "a. " * 100_000, 1.0, "letters and full stops: the docstring says so"),
    (Readability(), HUGE, 0.0, "one sentence of 200,000 words"),
    (Forbidden("damn"), "", 0.0, "nothing forbidden"),
    (Forbidden("damn"), "Damn it", -1.0, "whatever the case"),
    (Forbidden("damn"), "damned", 0.0, "another word"),
    (Forbidden("damn"), "d\u200bamn", -1.0, "invisible characters don't hide it"),
    (Forbidden("damn"), "ｄａｍｎ", -1.0, "nor do compatibility forms"),
    (Forbidden("damn"), "dаmn", -1.0, "nor look-alike letters: no word mixes scripts"),
    (Forbidden("damn"), "добрый день, hello", 0.0, "two languages are fine, a word each"),
    (Forbidden("damn"), "d\0amn", -1.0, "NUL does not hide it"),
    (Forbidden(("go away",)), "go  away!", -1.0, "phrases, whatever is between their words"),
    (Similarity(REFERENCE), REFERENCE, 1.0, "the reference"),
    (Similarity(REFERENCE), "the CAT sat on the mat", 1.0, "case and punctuation don't matter"),
    (Similarity(REFERENCE), "", 0.0, "empty"),
    (Similarity(REFERENCE), "\n", 0.0, "blank"),
    (Similarity(REFERENCE), "cat", 2 / 7, "one word of six: 2 * 1 / (6 + 1)"),
    (Similarity(REFERENCE), "mat the on sat cat the", 2 * 3 / 12, "shuffled: the on the"),
    (Similarity(REFERENCE), f"{REFERENCE} {REFERENCE}", 2 * 6 / 18, "twice is less"),
    (Similarity(REFERENCE), HUGE, 0.0, "a megabyte of another word"),
    (Similarity(REFERENCE), "c\u200bat", 2 / 7, "invisible characters are left out"),
]


@pytest.mark.parametrize(("rule", "response", "score", "why"), CASES, ids=[f"{c[0]!r:.30}-{c[3]:.40}" for c in CASES])
def test_scores(rule, response, score, why):
    assert rule(completions=[response]) == [pytest.approx(score)], why


def test_every_rule_has_cases():
    assert {type(case[0]) for case in CASES} == set(RULES.values())


@pytest.mark.parametrize("rule", list({type(c[0]): c[0] for c in CASES}.values()), ids=repr)
def test_a_rule_answers_for_each_response(rule):
    assert len(rule(completions=["one", "two words", ""])) == 3
    assert rule(completions=[]) == []


def test_similarity_to_a_column():
    rule = Similarity(column="solution")
    assert rule(completions=["a b", "a b"], solution=["a b", "c d"]) == [1.0, 0.0]
    with pytest.raises(ValueError, match="there is no column 'solution'"):
        rule(completions=["a"], answer=["b"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LineCount(0), r"line_count\(lines=0\) must be at least 1"),
        (lambda: LengthLimit(-1), r"length_limit\(limit=-1\)"),
        (lambda: LengthLimit(3, "tokens"), r"'tokens'\) is none of 'characters', 'words', 'lines'"),
        (lambda: Politeness(0), r"politeness\(cap=0\)"),
        (lambda: Matches("("), "is no regular expression of RE2"),
        (lambda: Repetition(0), r"repetition\(n=0\)"),
        (lambda: Readability(spread=0), r"readability\(spread=0\)"),
        (lambda: Forbidden(()), "must hold words"),
        (lambda: Forbidden("..."), "must hold words"),
        (lambda: Similarity(), "one of reference="),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
