"""The tiny base and encoder are reproducible."""

from modelsat.modeling.tiny import write_tiny_parts
from tests.support.router_parts import make_matrix


def test_same_texts_and_seed_create_identical_parts(tmp_path):
    texts = [*make_matrix().instructions, "Caf\u00e9, na\u00efve \u4e2d"]
    made = []
    for name in ("one", "other", "third"):
        write_tiny_parts(tmp_path / name, texts, seed=0)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        made.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert len(made[0]) > 10
    assert made[0] == made[1] == made[2]
