"""`textmdp play`: play an environment yourself."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from rich.text import Text

from textmdp.agents.cli.envs import documentation
from textmdp.agents.cli.options import (
    UserError,
    add_environment,
    at_least,
    load_agent,
    settings,
    task_name,
    token_id,
)
from textmdp.agents.cli.terminal import STYLES, console, ledger_line, show, show_transcript, show_words, waiting
from textmdp.agents.evaluation.evaluate import solved
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.rollouts.transcripts import transcript
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.rendering import visible
from textmdp.envs.views.text_env import TextEnv
from textmdp.envs.views.token_env import TokenEnv
from textmdp.envs.views.vector_env import TokenVectorEnv

#: The most tokens that are listed.
_MOST_LISTED = 80
#: A line that begins and ends a response of many lines.
_BLOCK = '"""'
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp play`."""
    add_environment(parser)
    parser.add_argument("--tokens", action="store_true", help="pick one token at a time instead of typing responses")
    parser.add_argument(
        "--seed", type=at_least(0), default=None, help="seed of the episodes (default: a new one each time)"
    )
    parser.add_argument("--problem", metavar="I", type=at_least(0), help="play one episode, on problem I of the split")
    parser.add_argument(
        "--against", metavar="AGENT", help="let an agent play each problem after you: random, expert, or a run's folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Play episodes until the input ends; Ctrl-D and Ctrl-C quit."""
    options = settings(arguments.set)
    for taken in {"action", "render_mode"} & options.keys():
        raise UserError(f"--set {taken}=…: play sets it itself; leave {taken!r} out")
    env_id = token_id(arguments.id)
    name = task_name(env_id)
    view = f"{name}-v0" if arguments.tokens else f"{name}Response-v0"
    env: TextEnv[Any] = gym.make(view, **options).unwrapped  # type: ignore[assignment]
    opponent = None
    if arguments.against is not None:
        envs = make_envs(env_id, 1, **options)
        with waiting("loading the opponent"):
            opponent = _Opponent(arguments.against, load_agent(arguments.against, envs, arguments.seed or 0), envs)
    player = _TokenPlayer(env, opponent) if isinstance(env, TokenEnv) else _ResponsePlayer(env, opponent)
    _show_rules(view, player)
    code = 0
    try:
        player.play(arguments.seed, arguments.problem)
    except EOFError:
        show("")
    except KeyboardInterrupt:
        show("")
        code = 130
    if player.returns:
        mean = sum(player.returns) / len(player.returns)
        episodes = f"{len(player.returns)} episode{'s' * (len(player.returns) > 1)}"
        best = env.mdp.task.full_marks
        show((f"{episodes}, mean return {mean:g}{'' if best is None else f' of {best:g}'}", "dim"))
    return code


def _show_rules(view: str, player: _ResponsePlayer) -> None:
    """Print the aim, the limits and the keys."""
    mdp = player.env.mdp
    # The class that documents the task, under composed rewards too.
    show_words(view, "bold")
    show_words(inspect.cleandoc(documentation(view.removesuffix("-v0").removesuffix("Response"))).partition("\n")[0])
    turns = f"{mdp.task.max_turns} turns" if mdp.task.max_turns > 1 else "one turn"
    show_words(f"You have {turns} of at most {mdp.max_response_tokens} tokens each.", "dim")
    show_words(f"{player.rules}. `textmdp envs {view}` has the whole rules.", "dim")


class _Opponent:
    """An agent that plays the problems of a person."""

    def __init__(self, name: str, agent: Agent, envs: TokenVectorEnv[Any]) -> None:
        self.name, self._agent, self._envs = name, agent, envs
        self.wins = 0

    def play(self, problem: int) -> None:
        """Play an episode, and print it."""
        batch = rollout(self._agent, self._envs, problems=[problem])
        record = transcript(batch, 0, self._envs.mdp.tokenizer)
        self.wins += int(solved(batch, self._envs.mdp.task)[0])
        show("")
        show_transcript(record, self.name)


class _ResponsePlayer:
    """Plays the response view: one line is one response."""

    rules = f"type a response; {_BLOCK} begins and ends one of many lines; Ctrl-D quits"

    def __init__(self, env: TextEnv[Any], opponent: _Opponent | None = None) -> None:
        self.env, self._opponent = env, opponent
        self.returns: list[float] = []
        self._wins = 0

    def play(self, seed: int | None, problem: int | None) -> None:
        """Play episode after episode, or one if `problem` is given."""
        while True:
            options = None if problem is None else {"problem": problem}
            _, info = self.env.reset(seed=seed, options=options)
            # The problem's number may be the answer, as in TextGuess: it is shown at the end.
            show("", (f"\nepisode {len(self.returns) + 1}", "dim"))
            self._show_message(info["message"])
            self.returns.append(self._episode())
            if self._opponent is not None:
                self._opponent.play(info["problem"])
                score = f"{self._wins} : {self._opponent.wins}"
                show((f"you {score} {self._opponent.name}, solved of {len(self.returns)}", "bold"))
            if problem is not None:
                return
            seed = None  # the later episodes follow from it

    def _episode(self) -> float:
        total, ended = 0.0, False
        while not ended:
            for action in self._actions():
                _, earned, terminated, truncated, info = self.env.step(action)
                reward = float(earned)
                total += reward
                ended = terminated or truncated
                self._show_step(reward, info)
                if ended or "finish_reason" in info:
                    break
        how = "terminated" if terminated else "truncated: the context is full"
        solved_it = bool(info.get("is_success", False))
        self._wins += solved_it
        problem = self.env.episode.problem
        show(
            (
                f"{'solved' if solved_it else 'not solved'}, {how}   return {total:g}   problem {problem}",
                "bold green" if solved_it else "bold",
            )
        )
        if not solved_it:
            show_words(f"an expert: {self._solution()}", "dim")
        return total

    def _solution(self) -> str:
        """An expert's episode on the same problem: its responses and the replies to them, the opening left out."""
        task, episode = self.env.mdp.task, self.env.episode
        state, _ = task.problem(episode.problem)
        texts: list[str] = []
        for turn in range(task.max_turns):
            # The generator of the episode's own turns, as in `TextEnv.demonstrate`.
            response = task.demonstrate(state, turn_generator(episode.key, turn))
            state, text, _, done = task.reply(state, response, turn_generator(episode.key, turn))
            texts += [f"«{response}»", text]
            if done:
                break
        return "".join(texts)

    def _actions(self) -> Iterator[Any]:
        """Yield the person's actions of one turn."""
        turns = self.env.mdp.task.max_turns
        which = f" ({self.env.episode.turn + 1} of {turns})" if turns > 1 else ""
        lines = [_ask(f"you{which} › ")]
        if lines == [_BLOCK]:
            lines = []
            while (line := _ask("  … ")) != _BLOCK:
                lines.append(line)
        else:
            while lines[-1].endswith("\\"):
                lines[-1] = lines[-1][:-1]
                lines.append(_ask("  … "))
        text = "\n".join(lines)
        tokenizer = self.env.mdp.tokenizer
        read = tokenizer.decode(tokenizer.encode(text, errors="replace"))
        if read != text:
            show_words(f"  the vocabulary has not all of these characters: this was read as {read!r}", "yellow")
        yield text

    def _show_step(self, reward: float, info: dict[str, Any]) -> None:
        """Print the outcome of a step."""
        reason = info.get("finish_reason")
        if reason == "context":
            show(("  cut off: the context is full, and nothing was graded", "dim"))
        elif reason is not None:
            score = self.env.episode.scores[-1]
            console.print(ledger_line(score, reason), soft_wrap=True)
            if reason == "length":
                show_words(f"  cut at the budget of {self.env.mdp.max_response_tokens} tokens", "yellow")
            if abs(reward - score.total) > 1e-12:
                show((f"  with shaping {reward - score.total:+g}", "dim"))
            if info["message"]:
                self._show_message(info["message"])

    def _show_message(self, message: str) -> None:
        show_words(message, STYLES["environment"])


class _TokenPlayer(_ResponsePlayer):
    """Plays the token view: a line is one or more tokens."""

    rules = "type the text of tokens, or a token's id as #7; Enter ends the turn; Ctrl-D quits"

    def __init__(self, env: TextEnv[Any], opponent: _Opponent | None = None) -> None:
        super().__init__(env, opponent)
        self._listed: list[int] = []

    def _actions(self) -> Iterator[int]:
        tokenizer = self.env.mdp.tokenizer
        while True:
            legal = [i for i, allowed in enumerate(self.env.action_masks()) if allowed]
            if legal != self._listed:
                console.print(_listing(tokenizer, legal))
                self._listed = legal
            line = _ask("token › ")
            tokens = read_tokens(line, tokenizer)
            if tokens is None:
                show((f"  no token is called {line!r}: type its text, or its id as #7; Enter ends the turn", "red"))
                continue
            for token in tokens:
                if not self.env.action_masks()[token]:
                    show((f"  {_named(tokenizer, token)} is not legal here", "red"))
                    break
                yield token

    def _show_step(self, reward: float, info: dict[str, Any]) -> None:
        super()._show_step(reward, info)
        if "finish_reason" not in info:
            self._show_state(reward)

    def _show_state(self, reward: float) -> None:
        """Print the unfinished response, token by token, and the reward of the last one."""
        env = self.env
        response = env.tokens[env.snapshot().turn_start :].tolist()
        cells = Text("  ")
        for i, token in enumerate(response):
            cells.append(
                visible(_shown(env.mdp.tokenizer, token)), style=f"{STYLES['policy']} {'underline' if i % 2 else ''}"
            )
        cells.append(f"   {len(response)} of {env.mdp.max_response_tokens} tokens", style="dim")
        if reward:
            cells.append(f"   reward {reward:+g}", style="dim")
        console.print(cells, soft_wrap=True)


def read_tokens(line: str, tokenizer: Tokenizer) -> list[int] | None:
    r"""Return the tokens of a line, or None if it has none.

    An empty line is the end-of-turn token. A line is read as the text of one token, else as an id (`#7`, `7`), else as
    the text of several tokens. The escapes `\n`, `\t` and `\r` are read.
    """
    if line in ("", tokenizer.token_text(tokenizer.end_id)):
        return [tokenizer.end_id]
    text = line
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    try:
        ids = tokenizer.encode(text)
    except ValueError:
        ids = []
    if len(ids) == 1:
        return ids
    number = line.removeprefix("#")
    if number.isascii() and number.isdigit() and int(number) < tokenizer.vocab_size and (line != number or not ids):
        return [int(number)]
    return ids or None


def _listing(tokenizer: Tokenizer, legal: list[int]) -> Text:
    """Return the legal tokens with their ids."""
    text = Text("  ")
    if len(legal) > _MOST_LISTED:
        # Tokens that can be typed first.
        legal = sorted(legal, key=lambda token: not tokenizer.token_text(token).isprintable())
    for token in legal[:_MOST_LISTED]:
        text.append(f"{token}:", style="dim").append(f"{_named(tokenizer, token)}  ")
    if len(legal) > _MOST_LISTED:
        text.append(f"… and {len(legal) - _MOST_LISTED} more", style="dim")
    return text


def _named(tokenizer: Tokenizer, token: int) -> str:
    """Return the text of a token, quoted where it has blanks at an end."""
    text = _shown(tokenizer, token)
    return text if text.strip() == text and text else f"'{text}'"


def _shown(tokenizer: Tokenizer, token: int) -> str:
    return visible(tokenizer.token_text(token).replace("\n", "\\n").replace("\t", "\\t"))


def _ask(prompt: str) -> str:
    """Read a line; it is printed if it came through a pipe, where no terminal echoes it."""
    line = input(prompt)
    if not sys.stdin.isatty():
        show((visible(line), STYLES["policy"]))
    return line
