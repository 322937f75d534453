from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import timeit
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.envs.tokenizers import ByteTokenizer, LexiconTokenizer, Tokenizer, make_tokenizer
from textmdp.envs.tokenizers.base import REPLACEMENT
from textmdp.envs.tokenizers.compact import SPECIALS

DIGITS = LexiconTokenizer("0123456789+-*/=() \n")
WORDS = LexiconTokenizer(["the", "then", "the ", "th", "t", "h", "e", "n", " ", "\n", "\\d", ".", "(?:", "é", "猫𝒳"])
BYTES = ByteTokenizer()
ALL = [DIGITS, WORDS, BYTES]

characters = st.characters(exclude_categories=["Cs"])
any_text = st.text(characters)
lexicons = st.lists(
    st.text(characters, min_size=1, max_size=4).filter(lambda token: token not in SPECIALS),
    min_size=1,
    max_size=12,
    unique=True,
).map(LexiconTokenizer)


def longest_match(tokens: tuple[str, ...], text: str) -> list[str]:
    """A plain greedy encoder; a character that starts no token is a piece by itself."""
    pieces = []
    while text:
        fitting = [token for token in tokens if text.startswith(token)]
        pieces.append(max(fitting, key=len) if fitting else text[0])
        text = text[len(pieces[-1]) :]
    return pieces


@st.composite
def lexicons_and_texts(draw: st.DrawFn) -> tuple[LexiconTokenizer, str]:
    lexicon = draw(lexicons)
    pieces = draw(st.lists(st.sampled_from(lexicon.tokens) | st.text(characters, max_size=2)))
    return lexicon, "".join(pieces)


def test_ids_begin_with_the_special_ones() -> None:
    for tokenizer in ALL:
        assert [tokenizer.token_text(i) for i in range(3)] == ["<pad>", "<end>", "<unk>"]
        assert (tokenizer.pad_id, tokenizer.end_id, tokenizer.unusable_ids) == (0, 1, (0, 2))
        assert tokenizer.decode([0, 1, 2]) == REPLACEMENT * 2
        assert tokenizer.turn_overhead() == 0
    assert DIGITS.encode("10") == [4, 3]
    assert (DIGITS.vocab_size, DIGITS.max_token_bytes) == (22, 3)
    assert (WORDS.vocab_size, WORDS.max_token_bytes) == (18, 7)
    assert BYTES.encode("é") == [0xC3 + 3, 0xA9 + 3]
    assert BYTES.vocab_size == 259


@given(lexicons_and_texts())
def test_a_lexicon_takes_the_longest_match(drawn: tuple[LexiconTokenizer, str]) -> None:
    lexicon, text = drawn
    pieces = longest_match(lexicon.tokens, text)
    ids = lexicon.encode(text, errors="replace")
    assert ids == [lexicon.tokens.index(p) + 3 if p in lexicon.tokens else 2 for p in pieces]
    assert [lexicon.cut(text, n) for n in (0, 1, 3, 99)] == ["".join(pieces[:n]) for n in (0, 1, 3, 99)]
    if 2 in ids:
        position = len("".join(pieces[: ids.index(2)]))
        with pytest.raises(ValueError, match=f"at position {position}: ") as error:
            lexicon.encode(text)
        assert repr(text[position]) in str(error.value)
        with pytest.raises(ValueError, match="at position"):
            lexicon.encode(text)
    else:
        assert lexicon.encode(text) == lexicon.opening(text) == lexicon.following(text) == ids
        assert lexicon.decode(ids) == text


@given(any_text)
def test_bytes_are_utf_8(text: str) -> None:
    ids = BYTES.encode(text)
    assert ids == [b + 3 for b in text.encode()] == BYTES.opening(text) == BYTES.following(text)
    assert BYTES.decode(ids) == text
    assert BYTES.cut(text, 2) == text.encode()[:2].decode(errors="replace")


@given(st.data())
def test_any_ids_decode_within_their_bytes(data: st.DataObject) -> None:
    for tokenizer in ALL:
        rows = data.draw(st.lists(st.lists(st.integers(0, tokenizer.vocab_size - 1)), max_size=3))
        assert tokenizer.decode_many(rows) == [tokenizer.decode(row) for row in rows]
        for row in rows:
            text = tokenizer.decode(row)
            assert len(text.encode()) <= len(row) * tokenizer.max_token_bytes
            assert text.count(REPLACEMENT) >= sum(id in (0, 2) for id in row)
            assert tokenizer.decode(np.array(row, np.int64)) == text  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.one_of(lexicons, st.sampled_from([DIGITS, WORDS, LexiconTokenizer("a\0b")])), st.data())
def test_blocks_are_read_row_by_row(tokenizer: LexiconTokenizer, data: st.DataObject) -> None:
    ids = st.integers(0, tokenizer.vocab_size - 1)
    width = data.draw(st.integers(0, 6))
    rows = data.draw(st.lists(st.lists(ids, min_size=width, max_size=width), max_size=4))
    lengths = [data.draw(st.integers(0, width)) for _ in rows]
    block = np.array(rows, np.int64).reshape(len(rows), width)
    expected = [tokenizer.decode(row[:length]) for row, length in zip(rows, lengths, strict=True)]
    assert tokenizer.decode_block(block, np.array(lengths, np.int64)) == expected


def test_blocks_of_a_large_lexicon_are_read_too() -> None:
    words = LexiconTokenizer([f"word{i} " for i in range(50)])
    assert words.decode_block(np.array([[3, 1, 52], [4, 0, 0]]), np.array([3, 1])) == ["word0 word49 ", "word1 "]


@settings(max_examples=300)
@given(st.one_of(lexicons, st.sampled_from([DIGITS, WORDS, LexiconTokenizer("a\0b")])), st.data())
def test_blocks_are_written_row_by_row(tokenizer: LexiconTokenizer, data: st.DataObject) -> None:
    letters = st.one_of(st.sampled_from("".join(tokenizer.tokens)), characters)
    texts = data.draw(st.lists(st.text(letters, max_size=5), min_size=1, max_size=4))
    encoded = tokenizer.opening_block(texts)
    if encoded is not None:  # otherwise they are encoded one by one
        ids, lengths = encoded
        assert [row[:length] for row, length in zip(ids.tolist(), lengths, strict=True)] == [
            *map(tokenizer.encode, texts)
        ]
        assert all((row[length:] == tokenizer.pad_id).all() for row, length in zip(ids, lengths, strict=True))


def test_what_a_table_can_write() -> None:
    assert DIGITS.opening_block(["1+2=", "", "34"]) is not None
    for text in ("1a", "1\0", "\0", "猫", "\U0010ffff"):
        assert DIGITS.opening_block(["1", text]) is None
    assert WORDS.opening_block(["e\n"]) is not None
    assert WORDS.opening_block(["then"]) is None


@pytest.mark.parametrize("tokenizer", ALL, ids=str)
@pytest.mark.parametrize("ids", [[-1], [9999], ["a"], [None]])
def test_ids_out_of_range_are_refused(tokenizer: Tokenizer, ids: Any) -> None:
    for decode in (tokenizer.decode, lambda row: tokenizer.decode_many([[3], row])):
        with pytest.raises(ValueError, match=rf"{ids[0]!r} is no token id of .* whole numbers in 0\.\.\d+"):
            decode(ids)


def test_lone_surrogates_are_no_text() -> None:
    assert BYTES.encode("é\ud800x", errors="replace") == [*BYTES.encode("é"), 2, *BYTES.encode("x")]
    assert DIGITS.encode("1\ud800", errors="replace") == [4, 2]
    for tokenizer in (BYTES, DIGITS):
        with pytest.raises(ValueError, match=r"can't encode '\\ud800' at position 1: .*errors=\"replace\""):
            tokenizer.encode("1\ud800")
        with pytest.raises(ValueError, match='neither "strict" nor "replace"'):
            tokenizer.encode("1\ud800", errors="ignore")
    assert BYTES.cut("a\ud800b", 2) == "a" + REPLACEMENT
    assert DIGITS.cut("1x\ud8002", 3) == "1x\ud800"


def test_tokens_for_display() -> None:
    assert [BYTES.token_text(i) for i in BYTES.encode("a\né")] == ["a", "\n", "<0xC3>", "<0xA9>"]
    assert [WORDS.token_text(i) for i in WORDS.encode("then the ")] == ["then", " ", "the "]
    assert repr(LexiconTokenizer("ab")) == "LexiconTokenizer(['a', 'b'])"
    assert len(repr(LexiconTokenizer(map(str, range(1000))))) < 80  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([], ValueError, "at least one token"),
        (["a", ""], ValueError, "not be empty"),
        (["a", "b", "a"], ValueError, "'a' is there twice"),
        (["<end>"], ValueError, "'<end>' has a meaning"),
        (["a\ud800"], ValueError, "lone surrogate"),
        (["a", 1], TypeError, "is a str, got 1"),
    ],
)
def test_what_is_no_lexicon(tokens: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LexiconTokenizer(tokens)


def test_a_large_lexicon_costs_no_more_per_word() -> None:
    words = [f"word{i} " for i in range(5000)]
    large = LexiconTokenizer(words)
    assert large.encode("".join(words)) == list(range(3, 5003))
    text = "".join(words[::50])
    alternation = re.compile("|".join(sorted(words, key=len, reverse=True))).findall

    def cost(encode: Any) -> float:
        return min(timeit.repeat(lambda: encode(text), number=5, repeat=5))

    assert cost(large.encode) < cost(alternation) / 3  # thirty times less, measured on an idle machine


@pytest.mark.parametrize("tokenizer", ALL, ids=str)
def test_equal_by_content_and_picklable(tokenizer: Tokenizer) -> None:
    for other in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer), copy.copy(tokenizer)):
        assert other == tokenizer
        assert hash(other) == hash(tokenizer)
        assert other.decode([5, 6]) == tokenizer.decode([5, 6])
    assert sum(tokenizer == other for other in ALL) == 1
    assert tokenizer != "bytes"


def test_what_the_argument_stands_for() -> None:
    assert make_tokenizer(None, None) == make_tokenizer("bytes", ["a"]) == BYTES
    assert make_tokenizer(None, ["a", "b"]) == LexiconTokenizer("ab")
    assert make_tokenizer(None, ["a", "b"]) is make_tokenizer(None, ("a", "b"))
    assert make_tokenizer(DIGITS, ["a"]) is DIGITS
    for wrong in (3, ["a", "b"], ByteTokenizer):
        with pytest.raises(TypeError, match=r'tokenizer=.* give None .*"bytes".*transformers tokenizer'):
            make_tokenizer(wrong, None)
    with pytest.raises(ValueError, match="at least one"):
        make_tokenizer(None, [])


def test_importing_and_encoding_loads_nothing_heavy() -> None:
    code = """
import sys
from textmdp.envs.tokenizers import make_tokenizer
import textmdp.envs.core.spaces
make_tokenizer("bytes", None).encode("a"), make_tokenizer(None, ["a"]).encode("a")
heavy = {"torch", "transformers", "tokenizers", "jinja2", "sympy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# For language models


@pytest.fixture(scope="module", params=ALL, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[Tokenizer, Any]:
    pytest.importorskip("transformers")
    return request.param, request.param.to_transformers()


def test_transformers_has_the_same_special_tokens(pair: tuple[Tokenizer, Any], tmp_path: Path) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    ours, theirs = pair
    theirs.save_pretrained(tmp_path)
    text = "(1+2)" if ours is DIGITS else "then the"
    text = text + "<end>" if ours is BYTES else text
    for loaded in (theirs, AutoTokenizer.from_pretrained(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)):
        assert (loaded.pad_token_id, loaded.eos_token_id, loaded.unk_token_id) == (0, 1, 2)
        assert (loaded.pad_token, loaded.eos_token, loaded.unk_token) == SPECIALS
        assert len(loaded) == loaded.vocab_size == ours.vocab_size
        assert loaded.encode(text) == ours.encode(text)
        assert loaded.decode(ours.encode(text)) == text
        batch = loaded([text, ""], padding=True)
        assert batch["input_ids"] == [ours.encode(text), [0] * len(ours.encode(text))]
        assert loaded.decode([*ours.encode(text), 1, 0, 0], skip_special_tokens=True) == text


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_transformers_encodes_and_decodes_the_same(pair: tuple[Tokenizer, Any], data: st.DataObject) -> None:
    ours, theirs = pair
    alphabet = "0123(+) \n" if ours is DIGITS else ["the", "then", "the ", "th", "t", "h", " ", "\\d", "猫𝒳", "猫"]
    text = data.draw(any_text | st.lists(st.sampled_from([*alphabet, "<", "end>", "<end>", "<pad>"])).map("".join))
    ids = ours.encode(text, errors="replace")
    assert theirs.encode(text) == ids
    drawn = data.draw(st.lists(st.integers(3, ours.vocab_size - 1)))
    assert theirs.decode(drawn) == ours.decode(drawn)
    assert theirs.decode([*drawn, 1], skip_special_tokens=True) == ours.decode([*drawn, 1])


@given(lexicons_and_texts())
@settings(max_examples=100, deadline=None)
def test_any_lexicon_becomes_one_of_transformers(drawn: tuple[LexiconTokenizer, str]) -> None:
    pytest.importorskip("transformers")
    lexicon, text = drawn
    theirs = lexicon.to_transformers()
    ids = lexicon.encode(text, errors="replace")
    assert theirs.encode(text) == ids
    known = [id for id in ids if id != 2]
    assert theirs.decode(known) == lexicon.decode(known)
