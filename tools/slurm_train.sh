#!/usr/bin/env bash
# [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...] \
#     slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
set -euo pipefail
if [ $# -lt 4 ] || [[ $1$2$3$4 == *--* ]]; then
    echo "usage: [GPUS=8 GPUS_PER_NODE=8] slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR" \
        "[arguments of train.py], got: ${*:-nothing}" >&2
    exit 2
fi
for number in "${GPUS:-8}" "${GPUS_PER_NODE:-8}" "${CPUS_PER_TASK:-5}"; do
    if ! [[ $number =~ ^[1-9][0-9]*$ ]]; then
        echo "GPUS, GPUS_PER_NODE and CPUS_PER_TASK must be numbers from 1, got $number" >&2
        exit 2
    fi
done
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
WORK_DIR=$4
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
TOOLS=$(cd "$(dirname "$0")" && pwd)

# shellcheck disable=SC2086  # SRUN_ARGS holds several arguments
exec srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$TOOLS/train.py" "$CONFIG" \
    --work-dir "$WORK_DIR" --launcher slurm "${@:5}"
