"""REINFORCE on text in one file: `python -m textmdp.agents.single_file.reinforce` runs it.

A small Llama imitates an expert of TextMath that forgets the carry in most sums: it learns both answers, and prefers
the wrong one. Policy gradient then makes each action likelier in proportion to the reward that followed it. Accuracy is
the share of held-out problems that greedy answers solve. `diff reinforce.py actor_critic.py` shows the next idea; then
come `ppo.py` and `grpo.py`. With seed 0 accuracy is 0.33 after the warm start and 0.97 fifty updates later; the run
takes about a minute of one core.

These files are made to be read and changed. They are not the trainer of `textmdp.agents`, which has the same gradients
(a test compares them) and adds a key-value cache, several turns, truncation, KL penalties, checkpoints and reports.

Shapes: B episodes, T positions of the longest, V tokens of the vocabulary, m episodes that are under way.
"""

import argparse
import time
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn, optim
from transformers import LlamaConfig, LlamaForCausalLM

from textmdp.envs import TokenVectorEnv
from textmdp.envs.core.episode import POLICY
from textmdp.envs.tasks.text_math import TextMath


@dataclass
class Args:
    """Hyperparameters, each a flag of the command line."""

    difficulty: Annotated[str, "difficulty of TextMath"] = "two-digit"
    seed: Annotated[int, "seed of the weights, the problems and the sampling"] = 0
    imitation_steps: Annotated[int, "gradient steps of the warm start, each on num_envs new demonstrations"] = 1000
    num_updates: Annotated[int, "updates, each on new episodes"] = 50
    num_envs: Annotated[int, "episodes of an update (B)"] = 128
    learning_rate: Annotated[float, "learning rate of Adam"] = 3e-4
    gamma: Annotated[float, "discount factor of each token"] = 1.0
    max_grad_norm: Annotated[float, "norm that longer gradients are scaled down to"] = 1.0


class Agent(nn.Module):
    """A small Llama is the actor."""

    def __init__(self, envs: TokenVectorEnv[Any], seed: int) -> None:
        super().__init__()
        self.unusable = torch.from_numpy(~envs.mdp.usable)  # (V,) padding and its like, which a policy never writes
        self.horizon = envs.mdp.max_response_tokens  # the most actions of an episode
        self.generator = torch.Generator().manual_seed(seed)  # of the actions
        sizes = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = LlamaConfig(**sizes, vocab_size=len(self.unusable), initializer_range=0.1, tie_word_embeddings=True)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.actor = LlamaForCausalLM(config)

    def forward(self, states: Tensor) -> Tensor:
        """Logits of the next token, (B, T, V), in the state that ends at each position."""
        return self.actor(states, use_cache=False).logits.masked_fill(self.unusable, -1e9)


@torch.no_grad()
def rollout(agent: Agent, envs: TokenVectorEnv[Any], greedy: bool = False, seed: int | None = None) -> list[Tensor]:
    """Play an episode in every row: states, actions, mask of the actions, rewards; (B, T) each."""
    envs.reset(seed=seed)
    rewards = torch.zeros(envs.tokens.shape)
    while len(rows := np.flatnonzero(~envs.over)):
        last = envs.lengths[rows] - 1  # (m,) for m episodes under way; the state that ends there takes the action
        logits = agent(torch.from_numpy(envs.tokens[rows, : last.max() + 1]))
        pi = logits[range(len(rows)), last].softmax(-1)  # (m, V)
        action = pi.argmax(-1, True) if greedy else torch.multinomial(pi, 1, generator=agent.generator)
        _, reward, _, _, _ = envs.step_rows(rows, action[:, 0].numpy())
        rewards[rows, last] = torch.from_numpy(reward[rows]).float()
    tokens, mask = torch.tensor(envs.tokens), torch.tensor(envs.roles == POLICY)
    columns = tokens[:, :-1], tokens[:, 1:], mask[:, 1:], rewards[:, :-1]
    return [column[:, : envs.lengths.max() - 1] for column in columns]


def imitate(agent: Agent, envs: TokenVectorEnv[Any], args: Args) -> None:
    """Warm start: cross-entropy on the answers of an expert that makes mistakes."""
    task, tokenizer, rng = envs.mdp.task, envs.mdp.tokenizer, np.random.default_rng(args.seed)
    optimizer = optim.Adam(agent.actor.parameters())
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=args.imitation_steps, pct_start=0.05)
    for _ in range(args.imitation_steps):
        envs.reset()
        tokens = torch.tensor(envs.tokens)
        for row, (episode, start) in enumerate(zip(envs.episodes, envs.lengths, strict=True)):
            expert = task.mistake if rng.random() < 0.6 else task.demonstrate
            answer = torch.tensor([*tokenizer.encode(expert(episode.state, rng)), tokenizer.end_id])
            tokens[row, start : start + len(answer)] = answer
        mask = (tokens != 0) & torch.tensor(envs.roles == 0)  # what the expert wrote
        logits = agent(tokens[:, : mask.nonzero()[:, 1].max()])
        loss = nn.functional.cross_entropy(logits[mask[:, 1 : logits.shape[1] + 1]], tokens[mask])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
        optimizer.step()
        schedule.step()


def learn(agent: Agent, optimizer: optim.Optimizer, batch: list[Tensor], args: Args) -> None:
    """One update: a gradient step on a batch of episodes."""
    states, actions, mask, rewards = batch
    returns, rewards_to_go = torch.zeros_like(rewards), torch.zeros(len(rewards))
    for t in reversed(range(states.shape[1])):
        returns[:, t] = rewards_to_go = rewards[:, t] + args.gamma * rewards_to_go
    logits = agent(states)
    log_probs = logits.log_softmax(-1).gather(2, actions[..., None])[..., 0]
    pg_loss = -log_probs * returns  # Williams 1992
    loss = pg_loss[mask].sum() / (len(mask) * agent.horizon)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
    optimizer.step()


def main(args: Args) -> list[float]:
    """Train; prints and returns greedy accuracies on held-out problems, the first one after the warm start."""
    envs = TokenVectorEnv(TextMath(args.difficulty), args.num_envs, autoreset_mode="Disabled")
    held_out = TokenVectorEnv(TextMath(args.difficulty, split="test"), 1000, autoreset_mode="Disabled")
    envs.reset(seed=args.seed)
    agent, start, accuracies = Agent(envs, args.seed), time.time(), []
    print("warm start: imitation of an expert that often makes mistakes", flush=True)
    imitate(agent, envs, args)
    optimizer = optim.Adam(agent.parameters(), args.learning_rate)
    for update in range(args.num_updates + 1):
        if update > 0:
            learn(agent, optimizer, rollout(agent, envs), args)
        if update % 10 == 0:
            accuracies.append(rollout(agent, held_out, greedy=True, seed=args.seed)[3].sum(1).mean().item())
            print(f"update {update:3d}  accuracy {accuracies[-1]:.3f}  {time.time() - start:4.0f} s", flush=True)
    return accuracies


if __name__ == "__main__":
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, hint in get_type_hints(Args, include_extras=True).items():
        parser.add_argument(f"--{name}", type=hint.__origin__, default=getattr(Args, name), help=hint.__metadata__[0])
    main(Args(**vars(parser.parse_args())))
