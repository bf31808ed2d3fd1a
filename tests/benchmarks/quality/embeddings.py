"""Embeddings of instructions, cached on disk: every fold and baseline uses the same ones."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.store import atomic_path
from modelsat.evaluation.baselines.tuning import Embed, embedder
from modelsat.outcomes.matrix import Floats


def cached_embedder(source: str, directory: Path) -> Embed:
    """Return a function like :func:`embedder` that embeds no text twice.

    Args:
        source: hub id or local directory of a sentence-transformers model.
        directory: folder of the cache, one file per model.
    """
    path = directory / f"{content_hash(source)}.npz"
    known: dict[str, Floats] = {}
    if path.is_file():
        with np.load(path, allow_pickle=False) as archive:
            known = dict(zip(archive["keys"].tolist(), archive["embeddings"], strict=True))

    def embed(texts: Sequence[str]) -> Floats:
        keys = [sha256(text.encode()).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            made = embedder(source)(list(missing.values()))
            known.update(zip(missing, made, strict=True))
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, keys=np.array(list(known)), embeddings=np.stack([*known.values()]))
        return np.stack([known[key] for key in keys])

    return embed
