#include "emulator.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <setjmp.h>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>

namespace emulated {

Thread *thread;
Index block, blocks;
unsigned threads;
unsigned char *shared;
bool eager;

namespace {

constexpr size_t STACK = 256 << 10;
constexpr size_t MOST = 64;

struct Barrier {
    unsigned expected, arrived = 0;
    unsigned long passed = 0;
};

struct Warp {
    Barrier barrier{32};
    // By turns, so that a lane that is ahead doesn't overwrite what others still read.
    alignas(16) unsigned char given[2][32][MOST];
};

// Begun as a context, once; then switched by jumps, which unlike swapcontext don't ask the system each time.
struct Fiber {
    Thread thread;
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<unsigned char[]> stack;
    Barrier *waits = nullptr;
    unsigned long since = 0;
    bool done = true;
};

jmp_buf scheduler;
// As many as the largest block had threads; they are used again and again.
std::deque<Fiber> fibers;
std::vector<Warp> warps;
Barrier all;
std::function<void()> kernel;

Fiber &own() { return fibers[thread->index.x]; }

void leave(Fiber &fiber) {
    if (_setjmp(fiber.place) == 0) _longjmp(scheduler, 1);
}

void wait(Barrier &barrier) {
    if (++barrier.arrived == barrier.expected) {
        barrier.arrived = 0;
        barrier.passed++;
        return;
    }
    Fiber &fiber = own();
    fiber.waits = &barrier;
    fiber.since = barrier.passed;
    leave(fiber);
}

void work() {
    for (;;) {
        kernel();
        own().done = true;
        leave(own());
    }
}

void go_on(Fiber &fiber) {
    thread = &fiber.thread;
    if (_setjmp(scheduler)) return;
    if (fiber.stack) _longjmp(fiber.place, 1);
    fiber.stack.reset(new unsigned char[STACK]);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, work, 0);
    setcontext(&fiber.context);
}

void run_block(size_t bytes, std::mt19937 &random) {
    std::vector<unsigned char> memory(bytes + 128, 0xff);
    shared = memory.data() + (128 - reinterpret_cast<uintptr_t>(memory.data()) % 128) % 128;
    warps = std::vector<Warp>((threads + 31) / 32);
    all = Barrier{threads};
    std::vector<unsigned> order;
    for (unsigned index = 0; index < threads; index++) {
        if (fibers.size() <= index) fibers.emplace_back();
        Fiber &fiber = fibers[index];
        fiber.thread = Thread{};
        fiber.thread.index = {index, 0, 0};
        fiber.thread.lane = index % 32;
        fiber.done = false;
        fiber.waits = nullptr;
        order.push_back(index);
    }
    for (size_t done = 0; done < threads;) {
        std::shuffle(order.begin(), order.end(), random);
        bool moved = false;
        for (unsigned index : order) {
            Fiber &fiber = fibers[index];
            if (fiber.done || (fiber.waits && fiber.waits->passed == fiber.since)) continue;
            fiber.waits = nullptr;
            go_on(fiber);
            moved = true;
            done += fiber.done;
        }
        if (!moved) {
            fprintf(stderr, "threads wait for others that never come\n");
            abort();
        }
    }
}

} // namespace

void wait_for_block() { wait(all); }
void wait_for_warp() { wait(warps[thread->index.x / 32].barrier); }

const void *exchange(const void *given, size_t bytes) {
    if (bytes > MOST) abort();
    Warp &warp = warps[thread->index.x / 32];
    // Side by side, as the caller reads them.
    unsigned char *place = &warp.given[thread->turns++ % 2][0][0];
    memcpy(place + thread->lane * bytes, given, bytes);
    wait(warp.barrier);
    return place;
}

} // namespace emulated

#include "kernels.cu"

namespace {

template <class... Types, size_t... Indices>
void call(void (*kernel)(Types...), void **arguments, std::index_sequence<Indices...>) {
    emulated::kernel = [=] { kernel(*static_cast<Types *>(arguments[Indices])...); };
}

template <class... Types> std::function<void(void **)> entry(void (*kernel)(Types...)) {
    return [=](void **arguments) { call(kernel, arguments, std::index_sequence_for<Types...>()); };
}

#define ENTRY(name) {#name, entry(name)}
const std::map<std::string, std::function<void(void **)>> KERNELS = {KERNEL_LIST(ENTRY)};

} // namespace

// As cuLaunchKernel; 1 where there is no such kernel.
extern "C" int emulate(const char *name, const unsigned *blocks, unsigned threads, size_t bytes, void **arguments,
                       unsigned seed) {
    auto kernel = KERNELS.find(name);
    if (kernel == KERNELS.end()) return 1;
    kernel->second(arguments);
    std::mt19937 random(seed);
    emulated::blocks = {blocks[0], blocks[1], blocks[2]};
    emulated::threads = threads;
    emulated::eager = seed % 2;
    for (unsigned z = 0; z < blocks[2]; z++)
        for (unsigned y = 0; y < blocks[1]; y++)
            for (unsigned x = 0; x < blocks[0]; x++) {
                emulated::block = {x, y, z};
                emulated::run_block(bytes, random);
            }
    return 0;
}
