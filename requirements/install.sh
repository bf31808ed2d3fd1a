#!/usr/bin/env bash
# Build .venv from a pin list; do nothing when it is up to date.
#
#   ACCELERATOR=cpu|gpu   which list; default: gpu where an NVIDIA GPU is present
#   PYTHON=python3.12     interpreter; default: the first that fits
#
# Three stamps inside .venv make it repeatable: one for the pin list and the interpreter, one for
# lm-eval, one for pyproject.toml. A stamp is written last, so an interrupted run is seen by its
# absence and its part is built anew: pip takes a half-unpacked package for an installed one.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "setup: $*" >&2
  exit 1
}

fits() { # PYTHON: is it 3.11 to 3.14, with venv?
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' \
    2>/dev/null
}

choose_python() {
  local name
  if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON is not found; name an installed Python 3.11 to 3.14"
    fits "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 | head -1); needed is Python 3.11 to 3.14 with the venv module"
    echo "$PYTHON"
    return
  fi
  for name in python3.11 python3 python3.12 python3.13 python3.14; do
    if command -v "$name" >/dev/null && fits "$name"; then
      echo "$name"
      return
    fi
  done
  fail "no Python 3.11 to 3.14 with the venv module found (python3 is $(python3 --version 2>&1 || true)); install one, or name it: make setup PYTHON=/path/to/python3.12"
}

choose_accelerator() {
  if [ -n "${ACCELERATOR:-}" ]; then
    echo "$ACCELERATOR"
  elif [ -e /dev/nvidia0 ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }; then
    echo gpu
  else
    echo cpu
  fi
}

accelerator=$(choose_accelerator)
list=requirements/$accelerator.txt
[ -f "$list" ] || fail "ACCELERATOR=$accelerator is not known; give cpu or gpu"
python=$(choose_python)
version=$("$python" -c 'import platform; print(platform.python_version())')
# The folder is part of the key: a virtual environment does not survive being moved.
pins_key=$({ echo "$version $PWD"; cat "$list"; } | sha256sum | cut -c1-16)
project_key=$({ echo "$pins_key"; cat pyproject.toml; } | sha256sum | cut -c1-16)
pins_stamp=.venv/.pins-$pins_key
project_stamp=.venv/.project-$project_key
harness=requirements/lm_eval.txt
harness_stamp=.venv/.lm-eval-$({ echo "$version $PWD"; cat "$harness"; } | sha256sum | cut -c1-16)

if [ ! -e "$pins_stamp" ]; then
  command -v c++ >/dev/null || command -v g++ >/dev/null || [ -n "${CXX:-}" ] ||
    fail "no C++ compiler (c++ or g++) found; install one, for example: apt install g++"
  count=$(grep -c '==' "$list")
  echo "setup: building .venv with Python $version from $list ($count packages, some minutes)"
  # No stamp may survive into a rebuild that is then interrupted.
  rm -f .venv/.pins-* .venv/.project-*
  "$python" -m venv --clear .venv
  pip=(.venv/bin/python -m pip install --no-deps --quiet --disable-pip-version-check)
  grep -v '^deepspeed==' "$list" >.venv/without-deepspeed.txt
  "${pip[@]}" -r .venv/without-deepspeed.txt
  .venv/bin/python -c 'import torch' ||
    fail "the torch that pip found does not load here. The CPU list needs its CPU build (2.13.0+cpu): name an index that has it in PIP_EXTRA_INDEX_URL, then run make setup again"
  echo "setup: building DeepSpeed against torch"
  "${pip[@]}" --no-build-isolation "$(grep '^deepspeed==' "$list")"
  touch "$pins_stamp"
fi
if [ ! -e "$harness_stamp" ]; then
  echo "setup: installing lm-eval for the tests, apart from the rest"
  rm -rf .venv/lm-eval .venv/.lm-eval-*
  .venv/bin/python -m pip install --no-deps --quiet --disable-pip-version-check \
    --target .venv/lm-eval -r "$harness"
  touch "$harness_stamp"
fi
if [ ! -e "$project_stamp" ]; then
  echo "setup: installing model-sat in place"
  rm -f .venv/.project-*
  .venv/bin/python -m pip install --no-deps --quiet --disable-pip-version-check \
    --no-build-isolation -e .
  touch "$project_stamp"
  echo "setup: done; .venv/bin/modelsat --help"
fi
