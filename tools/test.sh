#!/usr/bin/env bash
# Runs the tests: first those that may share the machine, one process per core; then, one by one, those that start nodes or
# hold deadlines (marked `alone`, see conftest.py). Fails when either fails; fails with 5, as pytest, when none was selected.
#
#   tools/test.sh "not hardware" [pytest's arguments]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
marks=$1
shift

# --maxprocesses: more would not fit into the memory of a small machine
OMP_NUM_THREADS=1 python -m pytest -m "($marks) and not alone" -n auto --maxprocesses 4 --dist loadfile "$@"
beside=$?
[ $beside -eq 0 ] || [ $beside -eq 5 ] || [ $beside -eq 1 ] || exit $beside # stopped, or not to be run at all
python -m pytest -m "($marks) and alone" "$@"
alone=$?
[ $alone -eq 5 ] && exit $beside
[ $beside -eq 5 ] && exit $alone
exit $((beside > alone ? beside : alone))
