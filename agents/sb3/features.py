"""A features extractor for token views: embeddings, then a recurrent network or a transformer over the real tokens."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from textmdp.agents.sb3.prefixes import batch_of

NETWORKS = ("gru", "transformer")


class TokenFeaturesExtractor(BaseFeaturesExtractor):
    """The state of a causal network at the last real token, (B, features_dim).

    SB3's own extractor hands token ids to a linear layer as if they were magnitudes. This one embeds tokens and roles,
    and reads the text from its beginning to its end; padding changes nothing. Observations of a batch that begin others
    are read once (`textmdp.agents.sb3.prefixes`).

    Args:
        observation_space: the `Dict` of a token view, or of a response view with `action="tokens"`.
        features_dim: the size of the state (D).
        embedding_dim: the size of an embedding; `features_dim` for the transformer, whatever is given.
        network: "gru" or "transformer".
        layers: of the network.
        heads: of the transformer's attention; divides `features_dim`.

    Raises:
        ValueError: the observations are no tokens, or the network is unknown.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        features_dim: int = 128,
        embedding_dim: int = 64,
        network: str = "gru",
        layers: int = 1,
        heads: int = 4,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or set(observation_space.spaces) != {"tokens", "roles"}:
            raise ValueError(
                f"the observations are {observation_space}, and TokenFeaturesExtractor reads the tokens and roles of "
                'the ids NAME-v0, and NAMEResponse-v0 with action="tokens"'
            )
        if network not in NETWORKS:
            raise ValueError(f"network={network!r} is none of {', '.join(map(repr, NETWORKS))}")
        super().__init__(observation_space, features_dim)
        tokens = observation_space["tokens"]
        assert isinstance(tokens, spaces.Box)
        size = embedding_dim if network == "gru" else features_dim
        self.tokens = nn.Embedding(int(tokens.high.max()) + 1, size)
        self.roles = nn.Embedding(3, size)
        self.network: nn.Module
        if network == "gru":
            self.places = None
            self.network = nn.GRU(size, features_dim, layers, batch_first=True)
        else:
            self.places = nn.Embedding(tokens.shape[0], size)
            layer = nn.TransformerEncoderLayer(
                size, heads, 2 * size, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"
            )
            self.network = nn.TransformerEncoder(layer, layers, nn.LayerNorm(size), enable_nested_tensor=False)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """The features of observations with `tokens` and `roles`, (B, T) each: (B, features_dim)."""
        batch = batch_of(observations["tokens"], observations["roles"])
        x = self.tokens(batch.tokens) + self.roles(batch.roles)  # (m, S, size)
        if self.places is None:
            return batch.ends(self.network(x)[0])
        positions = torch.arange(x.shape[1], device=x.device)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return batch.ends(self.network(x + self.places(positions), mask=mask, is_causal=True))
