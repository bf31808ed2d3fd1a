"""Locks that a killed compilation left behind.

DeepSpeed compiles the optimizer of `offload_optimizer` on first use. torch guards the build by a
lock file without owner or time limit (`torch.utils.file_baton`): if the process that compiles is
killed, every later training on the machine waits forever.
"""

import logging
import os
import time
from pathlib import Path

from torch.utils.cpp_extension import get_default_build_root

# A build takes a minute or two on two busy cores.
STALE_AFTER_S = 600.0
_log = logging.getLogger(__name__)


def remove_stale_build_locks(
    build_root: Path | None = None, stale_after_s: float = STALE_AFTER_S
) -> None:
    """Delete lock files of torch extensions that are too old to belong to a running build.

    Args:
        build_root: folder of compiled extensions; None: the one that torch uses.
        stale_after_s: age from which a lock counts as left behind, seconds.
    """
    root = build_root or Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    for lock in root.rglob("lock"):
        try:
            age_s = time.time() - lock.stat().st_mtime
            if age_s > stale_after_s:
                lock.unlink()
                _log.warning("removed %s: an interrupted build left it %.0f s ago", lock, age_s)
        except FileNotFoundError:  # another worker removed it, or its build ended
            continue
