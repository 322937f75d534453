"""A task with another prompt: instructions around each problem, a system prompt, and worked examples before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Sequence as SequenceOf
from typing import Any

import numpy as np

from textmdp.envs.core.task import Future, Outcome, Reply, S, Score, Task
from textmdp.envs.tokenizers import Tokenizer

#: The place of the problem in a template.
QUESTION = "{question}"
#: Templates by name, which ask for answers in the form that the graders read best.
PROMPTS = {
    "gsm8k": "{question}\nReason step by step. Write the final answer, a number, on the last line after ####.",
    "math": "{question}\nReason step by step, and put the final answer in \\boxed{}.",
    "humaneval": "Complete this Python function. Answer with the whole function in one ```python block.\n\n{question}",
    "mbpp": "{question}\n\nAnswer with one ```python block that holds the whole program.",
}
#: A problem and a response to it.
Example = tuple[str, str]


def template_of(prompt: str) -> str:
    """The template of an argument `prompt=`: one of `PROMPTS` by its name, or itself.

    Raises:
        ValueError: it has no place for the problem.
    """
    template = PROMPTS.get(prompt, prompt)
    if template.count(QUESTION) != 1:
        raise ValueError(
            f"prompt={prompt!r} needs the place of the problem, {QUESTION}, once; or one of the names "
            f"{', '.join(map(repr, PROMPTS))}"
        )
    return template


def read_examples(examples: SequenceOf[Any]) -> list[Example]:
    """Examples from pairs, or from objects with `question` and `answer`.

    Raises:
        ValueError: one is neither.
    """
    found = []
    for example in examples:
        parts = [example.get("question"), example.get("answer")] if isinstance(example, Mapping) else example
        if not isinstance(parts, list | tuple) or [*map(type, parts)] != [str, str]:
            raise ValueError(f"examples: {example!r} is no pair of texts [question, answer], and no object with both")
        found.append((parts[0], parts[1]))
    return found


def expert_examples(task: Task[Any], count: int) -> list[Example]:
    """The first problems of a task with an expert's responses, one more than `count` if there are as many."""
    if task.max_turns > 1:
        raise ValueError(f"examples={count}: {type(task).__name__} is a dialogue; examples are problems of one turn")
    wanted = count + 1 if task.num_problems is None else min(count + 1, task.num_problems)
    if wanted < count:
        raise ValueError(f"examples={count}, and there are {wanted} problems: use examples={wanted} at most")
    problems = task.problems(range(wanted))
    return [(text, task.demonstrate(state, np.random.default_rng(i))) for i, (state, text) in enumerate(problems)]


class PromptedTask(Task[S]):
    """A task whose opening is a prompt around its own; everything else is the task's own.

    Args:
        task: the task.
        template: of problems, with `{question}` in it.
        before: text in front, such as a system prompt; "" for none.
        examples: problems with responses, shown in the same template before each problem.
        count: as many of the examples are shown, without the problem itself.
    """

    def __init__(
        self,
        task: Task[S],
        template: str = QUESTION,
        before: str = "",
        examples: SequenceOf[Example] = (),
        count: int | None = None,
    ) -> None:
        self.task, self._template, self._before = task, template, before
        self._examples, self._count = [*examples], len(examples) if count is None else count
        self.num_problems, self.max_turns = task.num_problems, task.max_turns
        self.max_response_tokens, self.full_marks = task.max_response_tokens, task.full_marks
        longest = sorted((len(self._shown(*example).encode()) for example in self._examples), reverse=True)
        around = len(self._prompt("", ()).encode()) + sum(longest[: self._count])
        self.max_text_bytes = task.max_text_bytes + around

    def problem(self, index: int) -> tuple[S, str]:
        """The task's own problem, in the prompt."""
        return self.problems([index])[0]

    def problems(self, indices: SequenceOf[int]) -> list[tuple[S, str]]:
        """`problem` for each index."""
        return [(state, self._around(text)) for state, text in self.task.problems(indices)]

    def _around(self, text: str) -> str:
        others = [example for example in self._examples if example[0] != text][: self._count]
        return self._prompt(text, others)

    def _prompt(self, text: str, examples: SequenceOf[Example]) -> str:
        before = f"{self._before}\n\n" if self._before else ""
        return before + "".join(self._shown(*example) for example in examples) + self._in_template(text)

    def _shown(self, question: str, answer: str) -> str:
        return f"{self._in_template(question)}{answer.strip()}\n\n"

    def _in_template(self, text: str) -> str:
        """The problem in its template, and a line break where instructions or the problem end a line."""
        if self._template == QUESTION:
            return text
        return self._template.replace(QUESTION, text.rstrip("\n")) + "\n"

    # The task's own

    def reply(self, state: S, response: str, rng: np.random.Generator) -> Reply[S]:
        """The task's own reply."""
        return self.task.reply(state, response, rng)

    def outcomes(self, state: S, response: str) -> SequenceOf[Outcome[S]]:
        """The task's own outcomes."""
        return self.task.outcomes(state, response)

    def reply_many(
        self, states: SequenceOf[S], responses: SequenceOf[str], rngs: SequenceOf[np.random.Generator]
    ) -> list[Reply[S]]:
        """The task's own replies."""
        return self.task.reply_many(states, responses, rngs)

    def submit(
        self, states: SequenceOf[S], responses: SequenceOf[str], rngs: SequenceOf[np.random.Generator]
    ) -> SequenceOf[Future[Reply[S]]]:
        """The task's own futures."""
        return self.task.submit(states, responses, rngs)

    @property
    def slow(self) -> bool:
        """True if the task is slow."""
        return self.task.slow

    def reply_to_cut(self, state: S, response: str, reply: Reply[S]) -> Reply[S]:
        """The task's own reply to a cut response."""
        return self.task.reply_to_cut(state, response, reply)

    def response_budget(self, tokenizer: Tokenizer) -> int:
        """The task's own budget."""
        return self.task.response_budget(tokenizer)

    def text_budget(self, tokenizer: Tokenizer) -> int:
        """The task's own budget, and the tokens of the prompt around it."""
        # Two tokens more wherever texts meet, which may merge in another way than alone.
        shown = sorted(len(tokenizer.encode(self._shown(*example), errors="replace")) for example in self._examples)
        around = len(tokenizer.encode(self._prompt("", ()), errors="replace")) + sum(shown[::-1][: self._count])
        return self.task.text_budget(tokenizer) + around + 2 * (self._count + 2)

    def success(self, scores: SequenceOf[Score]) -> bool:
        """The task's own success."""
        return self.task.success(scores)

    def close(self) -> None:
        """Close the task."""
        self.task.close()

    def demonstrate(self, state: S, rng: np.random.Generator) -> str:
        """The task's own demonstration."""
        return self.task.demonstrate(state, rng)

    def mistake(self, state: S, rng: np.random.Generator) -> str:
        """The task's own mistake."""
        return self.task.mistake(state, rng)

    def potential(self, state: S, partial: str) -> float:
        """The task's own potential."""
        return self.task.potential(state, partial)

    def continuations(self, state: S, partial: str) -> Collection[str] | None:
        """The task's own grammar."""
        return self.task.continuations(state, partial)

    @property
    def has_grammar(self) -> bool:
        """True if the task has a grammar."""
        return self.task.has_grammar
