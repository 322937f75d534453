"""A causal language model as an `ActorCriticPolicy` of SB3, for PPO and A2C on token views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from textmdp.agents.models.language_model import NEVER, LanguageModel
from textmdp.agents.models.value_function import ValueFunction
from textmdp.agents.sb3.prefixes import batch_of
from textmdp.agents.sb3.row_cache import RowCache
from textmdp.envs.tokenizers import Tokenizer

Observations = dict[str, Tensor]
#: Caches that are kept: one for the rows of training, one for those of an evaluation.
_CACHES = 2


class LanguageModelPolicy(ActorCriticPolicy):
    """π(a | s) is the distribution of the language model's next token; V is a head on its last hidden state.

    The action head is the model's own, its weights stay as they are, and dropout is off. Rollouts read the new tokens
    of each row from a key-value cache; `evaluate_actions` reads whole texts, those that begin others by the way. Use
    `with_language_model` to make an algorithm with a model's weights.

    Args:
        observation_space: of a token view.
        action_space: `Discrete(V)`.
        lr_schedule: of the optimizer.
        config: the configuration of a causal network of transformers, as `config.to_dict()` gives it. It is plain data,
            so that `save` and `load` work in another process; the weights are random until they are set or loaded.
        tokenizer: of the environment.
        value_trunk: "detached", a value head that leaves the model as it is, or "shared", one that trains it, too.
        use_cache: False to read whole texts in rollouts, too.
        optimizer_class, optimizer_kwargs: as in SB3.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Callable[[float], float],
        *,
        config: dict[str, Any],
        tokenizer: Tokenizer,
        value_trunk: str = "detached",
        use_cache: bool = True,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        use_sde: bool = False,
    ) -> None:
        if not isinstance(action_space, spaces.Discrete) or use_sde:
            raise ValueError(
                f"a language model writes one token a step, and the actions are {action_space}: use the id NAME-v0"
            )
        if value_trunk not in ("detached", "shared"):
            raise ValueError(f'value_trunk={value_trunk!r} is neither "detached" nor "shared"')
        self._config, self._tokenizer = config, tokenizer
        self._value_trunk, self.use_cache = value_trunk, use_cache
        self._caches: dict[int, RowCache] = {}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            ortho_init=False,
            features_extractor_class=_NoFeatures,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        rest = dict(self._config)
        with torch.random.fork_rng(devices=[]):  # transformers draws weights from the global generator
            network = AutoModelForCausalLM.from_config(AutoConfig.for_model(rest.pop("model_type"), **rest))
        model = LanguageModel(network, self._tokenizer)
        self.network: PreTrainedModel = model.network
        self.value_function = ValueFunction(model, self._value_trunk)
        count = int(self.action_space.n)
        self.register_buffer("forbidden_tokens", model.forbidden_tokens[:count])
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),
            **self.optimizer_kwargs,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "config": self._config,
            "tokenizer": self._tokenizer,
            "value_trunk": self._value_trunk,
            "use_cache": self.use_cache,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def language_model(self) -> LanguageModel:
        """The model, which shares its weights with this policy."""
        return LanguageModel(self.network, self._tokenizer)

    def train(self, mode: bool = True) -> LanguageModelPolicy:
        """Set the mode of training; the language model stays in evaluation mode, since dropout would change π."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, obs: Observations, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, (n,), values, (n, 1), and log-probabilities, (n,), of observations, (n, T)."""
        logits, hidden = self._read(obs)
        distribution = self._distribution(logits)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self._values(hidden), distribution.log_prob(actions)

    def evaluate_actions(self, obs: Observations, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, (B, 1), log-probabilities, (B,), and entropies, (B,), of actions, (B,), in observations, (B, T)."""
        logits, hidden = self._read_whole(obs)
        distribution = self._distribution(logits)
        return self._values(hidden), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Observations) -> Distribution:
        """The distributions of the next tokens."""
        return self._distribution(self._read(obs)[0])

    def predict_values(self, obs: Observations) -> Tensor:
        """The values of observations, (B, T): (B, 1)."""
        return self._values(self._read_whole(obs)[1])

    def _distribution(self, logits: Tensor) -> Distribution:
        allowed = logits[:, : len(self.forbidden_tokens)].float()
        return self.action_dist.proba_distribution(action_logits=allowed.masked_fill(self.forbidden_tokens, NEVER))

    def _values(self, hidden: Tensor) -> Tensor:
        return self.value_function(torch.empty(0), hidden)[:, None]

    def _read(self, obs: Observations) -> tuple[Tensor, Tensor]:
        """Logits, (n, V), and hidden states, (n, D), after n texts; from the cache where no gradient is needed."""
        if torch.is_grad_enabled() or not self.use_cache:
            return self._read_whole(obs)
        count, length = obs["tokens"].shape
        cache = self._caches.pop(count, None) or RowCache(self.network, count, length)
        self._caches[count] = cache  # the last one is the one that was used last
        if len(self._caches) > _CACHES:
            del self._caches[next(iter(self._caches))]
        lengths = (obs["roles"] != 0).sum(1)
        return cache.read(obs["tokens"].long().cpu().numpy(), lengths.cpu().numpy())

    def _read_whole(self, obs: Observations) -> tuple[Tensor, Tensor]:
        """Logits, (B, V), and hidden states, (B, D), after B texts, from one pass."""
        batch = batch_of(obs["tokens"], obs["roles"])
        first = int(batch.last.min())  # the prompt needs no logits
        size = batch.tokens.shape[1]
        output = self.network(
            input_ids=batch.tokens,
            use_cache=False,
            logits_to_keep=torch.arange(first, size, device=batch.tokens.device),
            output_hidden_states=True,
        )
        return output.logits[batch.text_of, batch.last - first], batch.ends(output.hidden_states[-1])


class _NoFeatures(BaseFeaturesExtractor):
    """In the place of a features extractor, which the language model is itself."""

    def __init__(self, observation_space: spaces.Space) -> None:
        super().__init__(observation_space, 1)


def with_language_model(
    algorithm: type[BaseAlgorithm],
    model: LanguageModel,
    env: Any,
    policy_kwargs: dict[str, Any] | None = None,
    **settings: Any,
) -> BaseAlgorithm:
    """An algorithm of SB3 whose policy starts as a language model, such as one after imitation.

    Args:
        algorithm: `PPO` or `A2C`.
        model: copied; it stays as it is.
        env: an environment or a `VecEnv`, a token view with the model's tokenizer.
        policy_kwargs: further arguments of `LanguageModelPolicy`.
        settings: arguments of the algorithm.
    """
    own = {"config": model.network.config.to_dict(), "tokenizer": model.tokenizer, **(policy_kwargs or {})}
    made: Any = algorithm(LanguageModelPolicy, env, policy_kwargs=own, **settings)
    made.policy.network.load_state_dict(model.network.state_dict())
    return made
