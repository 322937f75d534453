"""`textmdp play`: play an environment yourself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from rich.text import Text

from textmdp.agents.cli.options import UserError, add_environment, at_least, settings, task_name, token_id
from textmdp.agents.cli.terminal import STYLES, console, ledger_line, show
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.rendering import visible
from textmdp.envs.views.text_env import TextEnv
from textmdp.envs.views.token_env import TokenEnv

#: The most tokens that are listed.
_MOST_LISTED = 80
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp play`."""
    add_environment(parser)
    parser.add_argument("--tokens", action="store_true", help="pick one token at a time instead of typing responses")
    parser.add_argument(
        "--seed", type=at_least(0), default=None, help="seed of the episodes (default: a new one each time)"
    )
    parser.add_argument("--problem", metavar="I", type=at_least(0), help="play one episode, on problem I of the split")


def run(arguments: argparse.Namespace) -> int:
    """Play episodes until the input ends; Ctrl-D and Ctrl-C quit."""
    options = settings(arguments.set)
    for taken in {"action", "render_mode"} & options.keys():
        raise UserError(f"--set {taken}=…: play sets it itself; leave {taken!r} out")
    name = task_name(token_id(arguments.id))
    view = f"{name}-v0" if arguments.tokens else f"{name}Response-v0"
    env: TextEnv[Any] = gym.make(view, **options).unwrapped  # type: ignore[assignment]
    player = _TokenPlayer(env) if isinstance(env, TokenEnv) else _ResponsePlayer(env)
    show((view, "bold"), ("   ", ""), (player.rules, "dim"))
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


class _ResponsePlayer:
    """Plays the response view: one line is one response."""

    rules = "type a response; end a line with \\ to continue it on the next; Ctrl-D quits"

    def __init__(self, env: TextEnv[Any]) -> None:
        self.env = env
        self.returns: list[float] = []

    def play(self, seed: int | None, problem: int | None) -> None:
        """Play episode after episode, or one if `problem` is given."""
        while True:
            options = None if problem is None else {"problem": problem}
            _, info = self.env.reset(seed=seed, options=options)
            show("", (f"\nproblem {info['problem']}", "dim"))
            self._show_message(info["message"])
            self.returns.append(self._episode())
            if problem is not None:
                return
            seed = None  # the later episodes follow from it

    def _episode(self) -> float:
        total, ended = 0.0, False
        while not ended:
            expected = self.env.demonstrate()
            for action in self._actions():
                _, earned, terminated, truncated, info = self.env.step(action)
                reward = float(earned)
                total += reward
                ended = terminated or truncated
                self._show_step(reward, info)
                if ended or "finish_reason" in info:
                    break
        how = "terminated" if terminated else "truncated: the context is full"
        solved = info.get("is_success", False)
        show((f"{how}   return {total:g}", "bold green" if solved else "bold"))
        if not solved and expected != info["response"]:
            show((f"an expert would have said: {visible(expected)}", "dim"))
        return total

    def _actions(self) -> Iterator[Any]:
        """Yield the person's actions of one turn."""
        lines = [_ask("you › ")]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(_ask("  … "))
        yield "\n".join(lines)

    def _show_step(self, reward: float, info: dict[str, Any]) -> None:
        """Print the outcome of a step."""
        reason = info.get("finish_reason")
        if reason == "context":
            show(("  cut off: the context is full, and nothing was graded", "dim"))
        elif reason is not None:
            score = self.env.episode.scores[-1]
            console.print(ledger_line(score, reason), soft_wrap=True)
            if abs(reward - score.total) > 1e-12:
                show((f"  with shaping {reward:+g}", "dim"))
            if info["message"]:
                self._show_message(info["message"])

    def _show_message(self, message: str) -> None:
        show((visible(message), STYLES["environment"]))


class _TokenPlayer(_ResponsePlayer):
    """Plays the token view: a line is one or more tokens."""

    rules = "type the text of tokens, or a token's id as #7; Enter ends the turn; Ctrl-D quits"

    def __init__(self, env: TextEnv[Any]) -> None:
        super().__init__(env)
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
