#!/usr/bin/env bash
# What can only be seen on a GPU, in at most eight minutes: tests, kernels, engine, training step.
#
#   benchmarks/on_gpu.sh FOLDER             on the GPU; updates docs/performance.md
#   benchmarks/on_gpu.sh FOLDER rehearsal   the same steps at the smallest size on the CPU
#
# A step that fails or takes too long does not stop the others. FOLDER gets a log of each step, the
# page, and summary.txt with a line for each step. The exit status is 1 if a step failed. Needs the
# packages of the extras model and data, pytest, and no ROS; PYTHON names the interpreter.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
folder=${1:?usage: benchmarks/on_gpu.sh FOLDER [rehearsal]}
mode=${2:-gpu}
python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$folder" && : > "$folder/summary.txt" || exit 2
failed=0

step() { # NAME SECONDS COMMAND...
  local name=$1 limit=$2 started=$SECONDS status
  shift 2
  timeout --kill-after=5 "$limit" "$@" > "$folder/$name.log" 2>&1
  status=$?
  [ $status -eq 0 ] || failed=1
  printf '%-12s status %3d  %4d s\n' "$name" $status $((SECONDS - started)) | tee -a "$folder/summary.txt"
}

benchmark() { # NAME SECONDS SCRIPT ARGUMENTS...
  local name=$1 limit=$2 script=$3
  shift 3
  step "$name" "$limit" "$python" "benchmarks/$script.py" "$@"
}

case $mode in
  gpu)
    step device 30 "$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())'
    step tests 90 "$python" -m pytest -q -p no:cacheprovider tests/core/kernels/test_kernels_cuda.py
    benchmark engine 150 inference_engine --device cuda --repeats 10 --write-docs
    benchmark training 70 training --preset smolrgpt --device cuda --write-docs
    benchmark pooling 70 mask_pooling --repeats 5 --write-docs
    benchmark refinement 60 sparse_refinement --repeats 5 --dtype float32 bfloat16 --write-docs
    cp docs/performance.md "$folder/"
    ;;
  rehearsal)
    nano="--preset smolrgpt-nano --scale 1"
    step tests 300 "$python" -m pytest -q -p no:cacheprovider tests/core/kernels/test_kernels_cuda.py
    # Unquoted: these are several arguments.
    benchmark engine 300 inference_engine $nano --dtype float32 --released-tokens 4 --repeats 1
    benchmark training 300 training $nano --questions 2 --repeats 1
    benchmark pooling 300 mask_pooling --size 64 64 --masks 1 --channels 8 --repeats 1
    benchmark refinement 300 sparse_refinement --coverage 0.2 --masks 2 --channels 8 --repeats 1
    ;;
  *)
    echo "expected nothing or 'rehearsal' after FOLDER, got '$mode'" >&2
    exit 2
    ;;
esac
exit $failed
