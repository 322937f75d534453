"""PPO on text in one file: `python -m textmdp.agents.single_file.ppo` runs it.

The idea beyond `actor_critic.py`: a batch is used for several steps, which gain nothing by moving a token's probability
far from the one that it was sampled with. Advantages are whitened, and all tokens of a batch have the same weight.
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
    update_epochs: Annotated[int, "passes over the episodes of an update"] = 2
    num_minibatches: Annotated[int, "gradient steps of a pass"] = 2
    learning_rate: Annotated[float, "learning rate of Adam"] = 3e-4
    gamma: Annotated[float, "discount factor of each token"] = 1.0
    gae_lambda: Annotated[float, "lambda of generalized advantage estimation"] = 1.0
    clip_coef: Annotated[float, "probability ratios count from 1 - clip_coef to 1 + clip_coef"] = 0.2
    vf_coef: Annotated[float, "coefficient of the critic's squared error"] = 0.5
    max_grad_norm: Annotated[float, "norm that longer gradients are scaled down to"] = 1.0


class Agent(nn.Module):
    """A small Llama is the actor; the critic is two layers on its last hidden states, which it doesn't train."""

    def __init__(self, envs: TokenVectorEnv[Any], seed: int) -> None:
        super().__init__()
        self.unusable = torch.from_numpy(~envs.mdp.usable)  # (V,) padding and its like, which a policy never writes
        self.generator = torch.Generator().manual_seed(seed)  # of the actions
        sizes = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = LlamaConfig(**sizes, vocab_size=len(self.unusable), initializer_range=0.1, tie_word_embeddings=True)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.actor = LlamaForCausalLM(config)
            self.critic = nn.Sequential(nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 1))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the next token, (B, T, V), and values, (B, T), in the state that ends at each position."""
        output = self.actor(states, use_cache=False, output_hidden_states=True)
        return output.logits.masked_fill(self.unusable, -1e9), self.critic(output.hidden_states[-1].detach())[..., 0]


@torch.no_grad()
def rollout(agent: Agent, envs: TokenVectorEnv[Any], greedy: bool = False, seed: int | None = None) -> list[Tensor]:
    """Play an episode in every row: states, actions, mask of the actions, rewards, log-probabilities; (B, T) each."""
    envs.reset(seed=seed)
    rewards, log_probs = torch.zeros(2, *envs.tokens.shape)
    while len(rows := np.flatnonzero(~envs.over)):
        last = envs.lengths[rows] - 1  # (m,) for m episodes under way; the state that ends there takes the action
        logits, _ = agent(torch.from_numpy(envs.tokens[rows, : last.max() + 1]))
        log_pi = logits[range(len(rows)), last].log_softmax(-1)  # (m, V)
        action = log_pi.argmax(-1, True) if greedy else torch.multinomial(log_pi.exp(), 1, generator=agent.generator)
        _, reward, _, _, _ = envs.step_rows(rows, action[:, 0].numpy())
        rewards[rows, last] = torch.from_numpy(reward[rows]).float()
        log_probs[rows, last] = log_pi.gather(1, action)[:, 0]
    tokens, mask = torch.tensor(envs.tokens), torch.tensor(envs.roles == POLICY)
    columns = tokens[:, :-1], tokens[:, 1:], mask[:, 1:], rewards[:, :-1], log_probs[:, :-1]
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
        logits, _ = agent(tokens[:, : mask.nonzero()[:, 1].max()])
        loss = nn.functional.cross_entropy(logits[mask[:, 1 : logits.shape[1] + 1]], tokens[mask])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
        optimizer.step()
        schedule.step()


def learn(agent: Agent, optimizer: optim.Optimizer, batch: list[Tensor], args: Args) -> None:
    """One update: all gradient steps on a batch of episodes."""
    states, actions, mask, rewards, old_log_probs = batch
    values = agent(states)[1].detach() * mask  # (B, T)
    advantages, advantage, next_value = torch.zeros_like(values), 0.0, 0.0  # episodes terminate: V is 0 at their end
    for t in reversed(range(states.shape[1])):  # GAE (arXiv 1506.02438, equation 16)
        delta = rewards[:, t] + args.gamma * next_value - values[:, t]
        advantages[:, t] = advantage = delta + args.gamma * args.gae_lambda * advantage
        next_value = values[:, t]
    returns = advantages + values  # (B, T)
    advantages = (advantages - advantages[mask].mean()) / (advantages[mask].std(correction=0) + 1e-4)
    weights = mask / mask.sum() * args.num_minibatches  # (B, T)
    for _ in range(args.update_epochs):
        for rows in torch.randperm(len(states), generator=agent.generator).chunk(args.num_minibatches):
            logits, new_values = agent(states[rows])
            log_probs = logits.log_softmax(-1).gather(2, actions[rows][..., None])[..., 0]
            ratio = (log_probs - old_log_probs[rows]).exp()
            clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            pg_loss = -torch.min(ratio * advantages[rows], clipped * advantages[rows])  # arXiv 1707.06347, equation 7
            v_loss = 0.5 * (new_values - returns[rows]) ** 2
            loss = (weights[rows] * (pg_loss + args.vf_coef * v_loss)).sum()
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
