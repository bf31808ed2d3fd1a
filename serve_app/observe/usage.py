"""What an answer cost."""

from modelsat.zoo import Price


def cost_usd(
    price: Price | None, prompt_tokens: int | None, completion_tokens: int | None
) -> float | None:
    """US dollars that tokens cost; None where the price or both counts are unknown.

    Embeddings have no completion tokens: a count that is missing beside a known one is 0.
    """
    if price is None or (prompt_tokens is None and completion_tokens is None):
        return None
    return (
        price.input_usd_per_mtok * (prompt_tokens or 0)
        + price.output_usd_per_mtok * (completion_tokens or 0)
    ) / 1e6
