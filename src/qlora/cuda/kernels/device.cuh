// What kernels use of a GPU from compute capability 8.0 on. With EMULATED, a C++ compiler takes the same kernels, and
// emulator.h stands for the hardware.
#pragma once

#ifdef EMULATED
#include "emulator.h"
#else

#define KERNEL extern "C" __global__
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__

typedef unsigned int u32;

// What the threads of a block share.
extern __shared__ __align__(128) unsigned char shared_bytes[];

DEVICE void synchronise() { __syncthreads(); }

// Two floats as bf16, the first in the lower half.
DEVICE u32 pack(float low, float high) {
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

DEVICE float exponential2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE float shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffff, value, mask); }

// c += a · b: 16 × 16 times 16 × 8.
DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

DEVICE u32 shared_address(const void *pointer) { return static_cast<u32>(__cvta_generic_to_shared(pointer)); }

// Four matrices of 8 × 8 whose rows begin where the lanes say: lane 8 i + j, row j of matrix i.
DEVICE void load_matrices(u32 (&to)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row)));
}

DEVICE void load_matrices_transposed(u32 (&to)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row)));
}

// 16 bytes into shared memory, or zeros. They are there after copy_wait and synchronise.
DEVICE void copy_async(void *to, const void *from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(there ? 16 : 0)
                 : "memory");
}

DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until no more than so many of the groups that this thread committed are on their way.
template <int LEFT> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory"); }

#endif

// The upper half of a float.
struct bf16 {
    unsigned short bits;
};

DEVICE float low(u32 both) {
    union {
        u32 bits;
        float value;
    } half;
    half.bits = both << 16;
    return half.value;
}

DEVICE float high(u32 both) { return low(both >> 16); }

DEVICE float value(bf16 half) { return low(half.bits); }

DEVICE bf16 rounded(float value) {
    bf16 half;
    half.bits = static_cast<unsigned short>(pack(value, 0.0f));
    return half;
}

// Eight values side by side.
struct alignas(16) Eight {
    u32 pairs[4];
};
