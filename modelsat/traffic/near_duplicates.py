"""Near duplicates among texts: found by MinHash, confirmed by their shingles."""

from collections.abc import Sequence

from modelsat.progress import Progress

_SHINGLE_CHARS = 5
_END_CHARS = 2000  # of a longer text, its beginning and its end are compared
# Permutations of a MinHash: the similarity is estimated within .09, then computed.
_NUM_PERMUTATIONS = 128
_MARGIN = 0.1  # candidates are looked for that much below the wanted similarity


def near_duplicate_groups(
    texts: Sequence[str], contexts: Sequence[str], similarity: float
) -> list[int]:
    """Return, for each text, the index of the first text that it nearly repeats, or its own.

    Two texts are near duplicates if the Jaccard similarity of their sets of five-character
    shingles is at least ``similarity``, case and white space aside. Groups are not chained: each
    text is compared with the first of a group only.

    Args:
        texts: texts; of a long one, the first and the last 2,000 characters count.
        contexts: what comes with each text; texts with different contexts repeat nothing.
        similarity: 0 to 1; 0.8 finds texts that differ in one word of ten.

    Source:
        Broder, "On the resemblance and containment of documents" (1997); datasketch's MinHashLSH.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=max(0.1, similarity - _MARGIN), num_perm=_NUM_PERMUTATIONS)
    kept: dict[int, frozenset[str]] = {}
    groups = []
    with Progress("find near duplicates", len(texts), "prompts") as progress:
        for number, (text, context) in enumerate(zip(texts, contexts, strict=True)):
            shingles = _shingles(text)
            sketch = MinHash(num_perm=_NUM_PERMUTATIONS)
            sketch.update_batch([shingle.encode("utf-8", "replace") for shingle in shingles])
            first = next(
                (
                    other
                    for other in sorted(index.query(sketch))
                    if contexts[other] == context and _jaccard(shingles, kept[other]) >= similarity
                ),
                number,
            )
            if first == number:
                index.insert(number, sketch)
                kept[number] = shingles
            groups.append(first)
            progress.advance()
    return groups


def _shingles(text: str) -> frozenset[str]:
    plain = " ".join(text.casefold().split())
    if len(plain) > 2 * _END_CHARS:
        plain = plain[:_END_CHARS] + plain[-_END_CHARS:]
    last = max(1, len(plain) - _SHINGLE_CHARS + 1)
    return frozenset(plain[start : start + _SHINGLE_CHARS] for start in range(last))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
