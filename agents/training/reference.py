"""The reference policy: the KL divergence is measured from it."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from textmdp.agents.models.language_model import LanguageModel, TokenStatistics
from textmdp.agents.models.lora import AdaptedModel


class Reference:
    """A frozen policy: one that is given, the trained one without its adapters, or a copy of the trained one.

    Args:
        model: the policy that is trained, as it is before training.
        given: another policy to measure from; None for the trained one as it is now.
    """

    def __init__(self, model: LanguageModel, given: LanguageModel | None = None) -> None:
        self._adapted = model if given is None and isinstance(model, AdaptedModel) else None
        self._frozen = given
        if given is None and self._adapted is None:
            self._frozen = LanguageModel(copy.deepcopy(model.network), model.tokenizer)

    def log_probs(
        self, tokens: Tensor, roles: Tensor, temperature: float = 1.0, allowed: Tensor | None = None
    ) -> TokenStatistics:
        """As `LanguageModel.log_probs`, of the reference policy."""
        if self._adapted is None:
            assert self._frozen is not None
            return self._frozen.log_probs(tokens, roles, temperature, allowed)
        with self._adapted.reference():
            return self._adapted.log_probs(tokens, roles, temperature, allowed)

    def state(self) -> dict[str, Any] | None:
        """Its weights; None if they are those of the trained policy without adapters."""
        return None if self._frozen is None else self._frozen.network.state_dict()

    def restore(self, state: dict[str, Any] | None) -> None:
        """Load the weights that `state` returned."""
        if self._frozen is not None and state is not None:
            self._frozen.network.load_state_dict(state)
