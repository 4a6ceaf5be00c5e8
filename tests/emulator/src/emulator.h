// A processor of a GPU on a CPU, for tests: each thread of a block is a fiber, run in an order drawn anew at each turn;
// what a warp does together waits for all its lanes; copies arrive at once or, in every other launch, as late as they may;
// shared memory starts as NaN.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#define KERNEL extern "C"
#define DEVICE static inline
#define DEVICE_MEMBER inline

typedef unsigned int u32;

using std::max;
using std::min;

namespace emulated {

struct Index {
    unsigned x, y, z;
};

struct Copy {
    void *to;
    const void *from;
    bool there;
};

// What a thread has and others don't.
struct Thread {
    Index index;
    unsigned lane, turns = 0;
    std::deque<std::vector<Copy>> groups;
    std::vector<Copy> open;
};

extern Thread *thread;
extern Index block, blocks;
extern unsigned threads;
extern unsigned char *shared;
// Whether copies arrive at once.
extern bool eager;

void wait_for_block();
void wait_for_warp();

// What each lane of the warp gives, to all of them.
const void *exchange(const void *own, size_t bytes);

template <class T> const T *exchange(const T &own) { return static_cast<const T *>(exchange(&own, sizeof own)); }

} // namespace emulated

#define shared_bytes emulated::shared
#define threadIdx (emulated::thread->index)
#define blockIdx emulated::block
#define gridDim emulated::blocks
#define blockDim (emulated::Index{emulated::threads, 1, 1})

DEVICE void synchronise() { emulated::wait_for_block(); }

DEVICE u32 bits(float value) {
    u32 bits;
    memcpy(&bits, &value, 4);
    return bits;
}

DEVICE float from_bits(u32 bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

DEVICE u32 pack(float low, float high) {
    auto half = [](float value) -> u32 {
        if (value != value) return 0x7fff;
        u32 all = bits(value);
        return (all + 0x7fff + (all >> 16 & 1)) >> 16;
    };
    return half(low) | half(high) << 16;
}

DEVICE float exponential2(float x) { return exp2f(x); }
DEVICE float rsqrtf(float x) { return 1.0f / sqrtf(x); }

DEVICE float shuffle_xor(float value, int mask) { return emulated::exchange(value)[emulated::thread->lane ^ mask]; }

DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    struct Factors {
        u32 a[4], b[2];
    };
    const Factors *all = emulated::exchange(Factors{{a[0], a[1], a[2], a[3]}, {b0, b1}});
    auto half = [](u32 both, int which) { return from_bits(which ? both & 0xffff0000 : both << 16); };
    int lane = emulated::thread->lane;
    for (int index = 0; index < 4; index++) {
        int row = lane / 4 + index / 2 * 8, column = lane % 4 * 2 + index % 2;
        for (int k = 0; k < 16; k++) {
            u32 left = all[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2];
            u32 right = all[column * 4 + k % 8 / 2].b[k / 8];
            c[index] += half(left, k % 2) * half(right, k % 2);
        }
    }
}

DEVICE void load_matrices(u32 (&to)[4], const void *row) {
    const void *const *rows = emulated::exchange(row);
    int lane = emulated::thread->lane;
    for (int matrix = 0; matrix < 4; matrix++)
        to[matrix] = static_cast<const u32 *>(rows[8 * matrix + lane / 4])[lane % 4];
    emulated::wait_for_warp();
}

DEVICE void load_matrices_transposed(u32 (&to)[4], const void *row) {
    const void *const *rows = emulated::exchange(row);
    int lane = emulated::thread->lane;
    for (int matrix = 0; matrix < 4; matrix++) {
        auto half = [&](int row) -> u32 {
            return static_cast<const uint16_t *>(rows[8 * matrix + lane % 4 * 2 + row])[lane / 4];
        };
        to[matrix] = half(0) | half(1) << 16;
    }
    emulated::wait_for_warp();
}

DEVICE void arrive(const emulated::Copy &copy) {
    if (copy.there)
        memcpy(copy.to, copy.from, 16);
    else
        memset(copy.to, 0, 16);
}

DEVICE void copy_async(void *to, const void *from, bool there) {
    emulated::Copy copy{to, from, there};
    if (emulated::eager)
        arrive(copy);
    else
        emulated::thread->open.push_back(copy);
}

DEVICE void copy_commit() {
    emulated::thread->groups.push_back({});
    emulated::thread->groups.back().swap(emulated::thread->open);
}

template <int LEFT> DEVICE void copy_wait() {
    auto &groups = emulated::thread->groups;
    for (; groups.size() > LEFT; groups.pop_front())
        for (const emulated::Copy &copy : groups.front()) arrive(copy);
}
