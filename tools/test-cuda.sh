#!/usr/bin/env bash
# The build with CUDA on a machine without a GPU: nvcc from PyPI where there is none, and libraries that stand for the driver
# and cuBLAS. The assembler must take the kernels for the oldest GPU too, as these libraries never read them.
set -euo pipefail
command -v nvcc >/dev/null || PATH="$PATH:$(./tools/from-pypi.sh nvcc)/nvidia/cu13/bin"
kernels=src/qlora/cuda/kernels
libraries=$PWD/target/emulated-driver
mkdir -p "$libraries"
nvcc -std=c++17 -O3 -cubin -arch=sm_80 $kernels/kernels.cu -o "$libraries/kernels.cubin"
g++ -std=c++17 -O2 -shared -fPIC -DEMULATED -Wno-unknown-pragmas -Itests/emulator/src -I$kernels tests/emulator/driver.cpp \
    -o "$libraries/libcuda.so"
ln -sf libcuda.so "$libraries/libcublas.so"
# Compiled quickly: the emulator takes the time, and what the CPU computes beside it is small.
LD_LIBRARY_PATH=$libraries cargo test --config profile.dev.package.reels.opt-level=0 --no-default-features --features cuda \
    --test cuda a_few_steps 2>&1 | tee "$libraries/log"
# A test that finds no GPU is skipped, and passes.
grep -q "the emulated driver: every kernel was launched" "$libraries/log" || {
    echo "error: not every kernel was launched" >&2
    exit 1
}
