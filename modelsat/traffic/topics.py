"""Topics of prompts: clusters of their embeddings, and the words that set each apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.progress import Progress

_BATCH_SIZE = 64
_NUM_WORDS = 3  # that describe a topic


@dataclass(frozen=True)
class Topics:
    """Topics of some prompts.

    Attributes:
        names: name of each topic, such as ``topic-07``, the largest first.
        descriptions: the words of each topic that are rarest in the others.
        topic_Q: index of each prompt's topic, int64 [Q].
    """

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    topic_Q: npt.NDArray[np.int64]


def find_topics(texts: Sequence[str], num_topics: int, encoder: str, seed: int) -> Topics:
    """Group prompts by topic.

    Args:
        texts: at least one text.
        num_topics: most topics; fewer if there are fewer different texts.
        encoder: hub id or folder of a sentence-transformers model.
        seed: of the clusters' first centres.

    Raises:
        ArtifactError: the encoder cannot be loaded.

    Source:
        k-means on embeddings of unit length; words by class-based TF-IDF (Grootendorst,
        "BERTopic", 2022, https://arxiv.org/abs/2203.05794).
    """
    from sklearn.cluster import MiniBatchKMeans

    embeddings_QD = _embed(texts, encoder)
    num_distinct = len(np.unique(embeddings_QD, axis=0))
    clusters = MiniBatchKMeans(min(num_topics, num_distinct), random_state=seed, n_init=3)
    label_Q = clusters.fit_predict(embeddings_QD)
    labels, sizes = np.unique(label_Q, return_counts=True)
    by_size = labels[np.argsort(-sizes, kind="stable")]
    place = {int(label): number for number, label in enumerate(by_size)}
    topic_Q = np.array([place[int(label)] for label in label_Q], dtype=np.int64)
    names = tuple(f"topic-{number:02d}" for number in range(len(by_size)))
    return Topics(names, _describe(texts, topic_Q, len(names)), topic_Q)


def _embed(texts: Sequence[str], encoder: str) -> npt.NDArray[np.float32]:
    from transformers.utils.logging import disable_progress_bar

    from modelsat.modeling.loading import load_encoder

    disable_progress_bar()  # of loading the weights
    model = load_encoder(encoder)
    parts = []
    with Progress("embed prompts", len(texts), "prompts") as progress:
        for start in range(0, len(texts), _BATCH_SIZE):
            batch = list(texts[start : start + _BATCH_SIZE])
            parts.append(model.encode(batch, normalize_embeddings=True, show_progress_bar=False))
            progress.advance(len(batch))
    return np.asarray(np.concatenate(parts), dtype=np.float32)


def _describe(
    texts: Sequence[str], topic_Q: npt.NDArray[np.int64], num_topics: int
) -> tuple[str, ...]:
    from sklearn.feature_extraction.text import CountVectorizer

    try:
        counter = CountVectorizer(stop_words="english", max_features=20_000)
        counts_QV = counter.fit_transform(texts)
    except ValueError:  # no word is left
        return ("",) * num_topics
    words = counter.get_feature_names_out()
    counts_TV = np.stack(
        [np.asarray(counts_QV[topic_Q == t].sum(axis=0))[0] for t in range(num_topics)]
    )
    total_V = counts_TV.sum(axis=0)
    weight_TV = counts_TV * np.log1p(counts_TV.sum() / num_topics / total_V)
    best_TW = np.argsort(-weight_TV, axis=1, kind="stable")[:, :_NUM_WORDS]
    return tuple(
        ", ".join(words[word] for word in best if weight[word] > 0)
        for best, weight in zip(best_TW, weight_TV, strict=True)
    )
