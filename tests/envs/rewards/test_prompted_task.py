"""Prompts around problems: templates, system prompts and examples, as arguments of every task."""

import json
import pickle

import gymnasium as gym
import pytest
from networks import MARKS

import textmdp.envs  # noqa: F401  # registers the ids
from textmdp.envs import ByteTokenizer
from textmdp.envs.env_checker import check_text_env
from textmdp.envs.rewards.prompted_task import PROMPTS
from textmdp.envs.tokenizers.pretrained import PretrainedTokenizer

pytestmark = MARKS
ROWS = [{"question": f"What is {i} + {i}?", "answer": f"It is {i} + {i}.\n#### {2 * i}"} for i in range(40)]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def opening(problem=0, **options):
    env = gym.make("TextMathResponse-v0", symbolic=False, **options).unwrapped
    return env.reset(options={"problem": problem})[1]["message"], env


def test_a_template_surrounds_the_problem(dataset):
    text, env = opening(dataset=dataset, prompt="Solve: {question}\nEnd with #### x.")
    assert text == "Solve: What is 0 + 0?\nEnd with #### x.\n"
    assert env.step(env.demonstrate())[1] == 1.0


@pytest.mark.parametrize("name", PROMPTS)
def test_templates_by_name(dataset, name):
    text, _ = opening(dataset=dataset, prompt=name)
    assert "What is 0 + 0?" in text
    assert "{question}" not in text


def test_a_system_prompt_comes_first_without_a_chat_template(dataset):
    assert opening(dataset=dataset, system="Be brief.")[0] == "Be brief.\n\nWhat is 0 + 0?\n"


def test_examples_as_pairs_and_objects(dataset):
    pairs = [["1+1?", "#### 2"], {"question": "2+2?", "answer": "#### 4"}]
    text, _ = opening(dataset=dataset, examples=pairs, prompt="Q: {question}\nA:")
    assert text == "Q: 1+1?\nA:\n#### 2\n\nQ: 2+2?\nA:\n#### 4\n\nQ: What is 0 + 0?\nA:\n"


def test_examples_of_the_training_split_never_hold_the_problem(dataset):
    env = gym.make("TextMathResponse-v0", symbolic=False, dataset=dataset, split="train", examples=2).unwrapped
    for problem in range(env.mdp.task.num_problems):
        text = env.reset(options={"problem": problem})[1]["message"]
        question = text.rstrip("\n").rpartition("\n")[2]
        assert text.count(question) == 1
        assert text.count("####") == 2
    held_out, _ = opening(dataset=dataset, split="test", examples=2)
    assert held_out.count("####") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "no place"}, "needs the place of the problem, {question}, once"),
        ({"examples": 99}, "there are 40 problems|there are [0-9]+ problems"),
        ({"examples": -1}, "must be at least 0"),
        ({"examples": [["only one"]]}, "no pair of texts"),
        ({"chat_template": False}, "chat_template= is of a pretrained tokenizer"),
    ],
)
def test_wrong_prompts_are_named(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        opening(dataset=dataset, **options)


def test_a_dialogue_has_no_numbered_examples():
    with pytest.raises(ValueError, match="is a dialogue"):
        gym.make("TextGuess-v0", examples=1)


def test_prompted_tasks_keep_the_rules(dataset):
    check_text_env("TextMath-v0", dataset=dataset, symbolic=False, prompt="gsm8k", examples=1, system="Be brief.")
    _, env = opening(dataset=dataset, prompt="gsm8k", rewards="correct")
    assert pickle.loads(pickle.dumps(env.mdp.task)).problem(3)[1] == env.mdp.task.problem(3)[1]


def test_a_system_prompt_has_its_place_in_a_chat_template(dataset, tmp_path):
    folder = tmp_path / "tokenizer"
    fast = ByteTokenizer().to_transformers()
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    options = {"dataset": dataset, "symbolic": False, "tokenizer": str(folder), "system": "Be brief."}
    env = gym.make("TextMath-v0", **options).unwrapped
    env.reset(options={"problem": 0})
    tokenizer = env.mdp.tokenizer
    assert isinstance(tokenizer, PretrainedTokenizer)
    shown = "".join(tokenizer.token_text(int(token)) for token in env.tokens)
    assert shown.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 0 + 0?")
    plain = gym.make("TextMath-v0", **options, chat_template=False).unwrapped
    assert plain.reset(options={"problem": 0})[1]["message"].startswith("Be brief.\n\nWhat")
    assert "<|im_start|>" not in "".join(plain.mdp.tokenizer.token_text(int(token)) for token in plain.tokens)


def test_contexts_are_measured_in_tokens_of_the_tokenizer(dataset):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for row in ROWS for word in f"{row['question']} {row['answer']}".split()})
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<end>", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<end>")
    env = gym.make("TextMath-v0", dataset=dataset, symbolic=False, tokenizer=fast, max_response_tokens=4).unwrapped
    assert env.mdp.task.max_text_bytes == 17
    assert env.mdp.task.text_budget(env.mdp.tokenizer) == 5  # What is 0 + 0?
    assert env.mdp.context_length < 17
