#!/usr/bin/env bash
# dist_train.sh CONFIG GPUS [arguments of train.py]
# On several nodes run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Without a GPU it starts GPUS processes on the CPU.
set -euo pipefail
if [ $# -lt 2 ] || ! [[ $2 =~ ^([1-9][0-9]*|auto|gpu|cpu)$ ]]; then
    echo "usage: dist_train.sh CONFIG GPUS [arguments of train.py]; GPUS is a number from 1," \
        "got: ${*:-nothing}" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
TOOLS=$(cd "$(dirname "$0")" && pwd)

exec "${PYTHON:-python}" "$TOOLS/dist_run.py" \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "${@:3}"
