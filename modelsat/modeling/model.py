"""ModelSat: computes log-odds of "Yes, it can handle this" from instructions and cards.

Shapes: B instructions, M candidates, T statements, S tokens, D base width, E encoder width,
L levels of a card.
"""

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from modelsat.modeling.config import Layout
from modelsat.modeling.connector import Connector
from modelsat.modeling.layouts import BaseInputs, capability_first, instruction_first
from modelsat.modeling.shared_prefix import shares_prefix, use_shared_prefix
from modelsat.modeling.tokenization import InstructionTokens


class ModelSat(nn.Module):
    """Capability encoder psi, connector W, base model phi and Yes/No read-out.

    Args:
        base: model without a head; reads ``inputs_embeds``, returns ``last_hidden_state``.
        encoder: sentence encoder of the statements.
        readout_2D: initial rows of "Yes" and "No", float [2, D].
        layout: layout of the capability instruction.
        num_leading: number of the tokenizer's leading special tokens.
    """

    def __init__(
        self,
        base: PreTrainedModel,
        encoder: SentenceTransformer,
        readout_2D: Tensor,
        *,
        layout: Layout,
        num_leading: int,
    ) -> None:
        """Assemble the parts; the connector is initialised from torch's seed."""
        super().__init__()
        self.base = base
        self.encoder = encoder
        width = base.get_input_embeddings().embedding_dim
        self.connector = Connector(int(encoder.get_embedding_dimension()), width)
        self.readout = nn.Linear(width, 2, bias=False)
        with torch.no_grad():
            self.readout.weight.copy_(readout_2D)
        self.layout = layout
        self.num_leading = num_leading
        self.is_causal = is_causal_model(base)
        self.sliding_window: int | None = getattr(base.config, "sliding_window", None)

    def forward(
        self, instructions: InstructionTokens, statements: dict[str, Tensor], weights_MT: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute log-odds of "Yes", with the relevances and embeddings behind them.

        Args:
            instructions: tokens of B instructions.
            statements: the encoder's features of T statement texts.
            weights_MT: evidence of each card for each statement.

        Returns:
            Uncalibrated log-odds, float [B, M], the log-relevance of each statement to each
            instruction, float [B, T], and the embedded instructions, float [B, E].
        """
        return self._score(instructions, self.encode(statements), weights_MT)

    def encode(self, features: dict[str, Tensor]) -> Tensor:
        """Embed texts by the capability encoder, with unit length, float [T, E]."""
        embeddings_TE = self.encoder(dict(features))["sentence_embedding"]
        return functional.normalize(embeddings_TE.to(self.connector.linear.weight.dtype), dim=-1)

    def prepare_for_inference(self, dtype: torch.dtype) -> None:
        """Switch to evaluation mode, cast base and encoder, and use the cheapest attention.

        Connector and read-out, which determine a score's last digits, keep their dtype.
        """
        self.eval()
        self.base.to(dtype=dtype)
        self.encoder.to(dtype=dtype)
        if self.layout == "instruction_first":
            use_shared_prefix(self.base)

    def score(
        self,
        instructions: InstructionTokens,
        statements_TE: Tensor,
        weights_MT: Tensor,
        effects_MT: Tensor,
        difficulty_E: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Compute log-odds of "Yes" from embedded statements, with the relevances behind them.

        Args:
            instructions: tokens of B instructions.
            statements_TE: statements embedded by :meth:`encode`.
            weights_MT: evidence of each card for each statement.
            effects_MT: log-odds to add where a statement is relevant; zeros for new cards.
            difficulty_E: coefficients of log-odds to add for all cards, a linear function of the
                instruction's embedding; zeros for aptitude tests outside the training data.

        Returns:
            Uncalibrated log-odds, float32 [B, M], and the relevance of each statement to each
            instruction, float32 [B, T], which sums to 1.
        """
        log_odds_BM, log_relevance_BT, instructions_BE = self._score(
            instructions, statements_TE, weights_MT
        )
        relevance_BT = log_relevance_BT.float().exp()
        offset_B1 = (instructions_BE.float() @ difficulty_E)[:, None]
        return log_odds_BM.float() + relevance_BT @ effects_MT.T + offset_B1, relevance_BT

    def _score(
        self, instructions: InstructionTokens, statements_TE: Tensor, weights_MT: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        instructions_BE = self.encode(instructions.features)
        log_relevance_BT = self.connector.log_relevance(instructions_BE, statements_TE)
        levels_BML = self.connector.levels(log_relevance_BT, weights_MT)
        capability_BMD = self.connector(log_relevance_BT, statements_TE, weights_MT, levels_BML)
        embeds_BSD = self.base.get_input_embeddings()(instructions.input_ids_BS)
        inputs = self._base_inputs(embeds_BSD, instructions.mask_BS, capability_BMD)
        hidden = self.base(
            inputs_embeds=inputs.inputs_embeds,
            attention_mask=inputs.attention_mask,
            position_ids=inputs.position_ids,
        ).last_hidden_state
        sequence_BM, position_BM = inputs.readout_index.unbind(-1)
        answers_BM2 = self.readout(hidden[sequence_BM, position_BM].to(self.readout.weight.dtype))
        correction_BM = answers_BM2[..., 0] - answers_BM2[..., 1]
        return self.connector.prior(levels_BML) + correction_BM, log_relevance_BT, instructions_BE

    def _base_inputs(
        self, embeds_BSD: Tensor, mask_BS: Tensor, capability_BMD: Tensor
    ) -> BaseInputs:
        if self.layout == "capability_first":
            return capability_first(embeds_BSD, mask_BS, capability_BMD, self.num_leading)
        return instruction_first(
            embeds_BSD,
            mask_BS,
            capability_BMD,
            is_causal=self.is_causal,
            sliding_window=self.sliding_window,
            shares_prefix=shares_prefix(self.base),
        )


def is_causal_model(base: nn.Module) -> bool:
    """Whether any attention module of the model is causal."""
    return any(getattr(module, "is_causal", False) for module in base.modules())
