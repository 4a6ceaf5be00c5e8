// The driver and cuBLAS as our driver.rs calls them, with the emulator as their GPU: a build for CUDA runs as it is on a
// machine without one, from one thread. tools/test-cuda.sh does that.
//
// What is asked for happens at once. What the manuals forbid ends the program: memory that wasn't allocated, kernels that the
// module lacks, more shared memory than was asked for, rows shorter than a matrix. At the end it says which kernels were
// launched.
#include "src/emulator.cpp"

#include <set>

typedef unsigned long long Address;
typedef void *Stream;

namespace {

std::map<Address, size_t> allocated;
std::string module_text;
std::map<std::string, unsigned> shared_of;
std::set<std::string> launched;
void *current;
constexpr int DONE = 0, NOT_FOUND = 500;
constexpr unsigned SHARED = 48 << 10, MOST_SHARED = 227 << 10;

[[noreturn]] void refuse(const std::string &what) {
    fprintf(stderr, "the emulated driver: %s\n", what.c_str());
    abort();
}

// All bytes of what is reached must be of one allocation.
void check(Address at, size_t bytes, const char *what) {
    auto next = allocated.upper_bound(at);
    if (next == allocated.begin()) refuse(std::string(what) + " before all memory");
    auto [start, size] = *std::prev(next);
    if (at + bytes > start + size) refuse(std::string(what) + " beyond its memory");
}

// Destroyed with the process.
struct Ending {
    ~Ending() {
        if (launched.empty()) return;
        std::string missing;
        for (const auto &kernel : KERNELS)
            if (!launched.count(kernel.first)) missing += " " + kernel.first;
        fprintf(stderr, "the emulated driver: %s%s\n", missing.empty() ? "every kernel was launched" : "never launched:",
                missing.c_str());
    }
} ending;

} // namespace

extern "C" {

int cuInit(unsigned) { return DONE; }
int cuDeviceGet(int *device, int) { return *device = 0, DONE; }
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = &current, DONE; }
int cuDevicePrimaryCtxRelease_v2(int) { return DONE; }
int cuCtxGetCurrent(void **context) { return *context = current, DONE; }
int cuCtxSetCurrent(void *context) { return current = context, DONE; }
int cuCtxSynchronize() { return DONE; }
int cuGetErrorName(int, const char **name) { return *name = "an error", DONE; }
int cuGetErrorString(int, const char **text) { return *text = "an error", DONE; }
int cuStreamCreate(Stream *stream, unsigned) { return *stream = &allocated, DONE; }
int cuStreamDestroy_v2(Stream) { return DONE; }
int cuStreamSynchronize(Stream) { return DONE; }

int cuDeviceGetName(char *name, int size, int) {
    snprintf(name, size, "an emulated GPU");
    return DONE;
}

int cuDeviceGetAttribute(int *value, int attribute, int) {
    // Compute capability 9.0, without memory pools.
    *value = attribute == 75 ? 9 : 0;
    return DONE;
}

int cuMemGetInfo_v2(size_t *free, size_t *total) {
    size_t taken = 0;
    for (auto [at, bytes] : allocated) taken += bytes;
    *total = size_t(8) << 30;
    *free = *total - taken;
    return DONE;
}

int cuMemAlloc_v2(Address *at, size_t bytes) {
    *at = reinterpret_cast<Address>(aligned_alloc(256, (bytes + 255) / 256 * 256));
    memset(reinterpret_cast<void *>(*at), 0xff, bytes);
    allocated[*at] = bytes;
    return DONE;
}

int cuMemFree_v2(Address at) {
    if (!allocated.erase(at)) refuse("freed twice");
    free(reinterpret_cast<void *>(at));
    return DONE;
}

int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, Stream) {
    check(to, bytes, "a write");
    memcpy(reinterpret_cast<void *>(to), from, bytes);
    return DONE;
}

int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, Stream) {
    check(from, bytes, "a read");
    memcpy(to, reinterpret_cast<void *>(from), bytes);
    return DONE;
}

int cuMemsetD8Async(Address to, unsigned char value, size_t bytes, Stream) {
    check(to, bytes, "a set");
    memset(reinterpret_cast<void *>(to), value, bytes);
    return DONE;
}

int cuModuleLoadData(void **module, const void *text) {
    module_text = static_cast<const char *>(text);
    *module = &module_text;
    return DONE;
}

int cuModuleUnload(void *) { return DONE; }

int cuModuleGetFunction(void **function, void *, const char *name) {
    auto kernel = KERNELS.find(name);
    bool compiled = module_text.find(".entry " + std::string(name) + "(") != std::string::npos;
    if (kernel == KERNELS.end() || !compiled) return NOT_FOUND;
    *function = const_cast<char *>(kernel->first.c_str());
    return DONE;
}

int cuFuncSetAttribute(void *function, int attribute, int value) {
    if (attribute != 8 || value > int(MOST_SHARED)) refuse("an attribute that kernels haven't");
    shared_of[static_cast<char *>(function)] = value;
    return DONE;
}

int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                   unsigned threads_z, unsigned bytes, Stream, void **arguments, void **) {
    const char *name = static_cast<char *>(function);
    if (!x || !y || z != 1 || y > 65535 || !threads || threads > 1024 || threads_y != 1 || threads_z != 1)
        refuse(std::string("a shape that isn't launched: ") + name);
    if (bytes > std::max(SHARED, shared_of[name])) refuse(std::string("too much shared memory: ") + name);
    static unsigned launches;
    launched.insert(name);
    unsigned blocks[] = {x, y, z};
    return emulate(name, blocks, threads, bytes, arguments, ++launches);
}

int cublasCreate_v2(void **handle) { return *handle = &allocated, DONE; }
int cublasDestroy_v2(void *) { return DONE; }
int cublasSetStream_v2(void *, Stream) { return DONE; }

// By columns: c = alpha · op(a) · op(b) + beta · c; op(a) is m × k, op(b) k × n.
int cublasGemmEx(void *, int transpose_a, int transpose_b, int m, int n, int k, const float *alpha, const uint16_t *a,
                 int a_type, int lda, const uint16_t *b, int b_type, int ldb, const float *beta, void *c, int c_type,
                 int ldc, int compute, int) {
    constexpr int BF16 = 14, FLOAT = 0, COMPUTE_FLOAT = 68;
    if (a_type != BF16 || b_type != BF16 || (c_type != BF16 && c_type != FLOAT) || compute != COMPUTE_FLOAT)
        refuse("a product of other types");
    if (m < 1 || n < 1 || k < 1 || lda < (transpose_a ? k : m) || ldb < (transpose_b ? n : k) || ldc < m)
        refuse("columns shorter than a matrix");
    auto reach = [](const void *at, int rows, int columns, int stride, size_t size, const char *what) {
        check(reinterpret_cast<Address>(at), (size_t(columns - 1) * stride + rows) * size, what);
    };
    reach(a, transpose_a ? k : m, transpose_a ? m : k, lda, 2, "a left factor");
    reach(b, transpose_b ? n : k, transpose_b ? k : n, ldb, 2, "a right factor");
    reach(c, m, n, ldc, c_type == BF16 ? 2 : 4, "a product");
    auto dense = [](const uint16_t *from, bool transposed, int rows, int columns, int stride) {
        std::vector<float> values(size_t(rows) * columns);
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                values[size_t(row) * columns + column] =
                    from_bits(u32(from[transposed ? row * size_t(stride) + column : row + column * size_t(stride)]) << 16);
        return values;
    };
    std::vector<float> left = dense(a, transpose_a, m, k, lda), right = dense(b, !transpose_b, n, k, ldb);
    for (int column = 0; column < n; column++)
        for (int row = 0; row < m; row++) {
            float sum = 0;
            for (int inner = 0; inner < k; inner++) sum += left[size_t(row) * k + inner] * right[size_t(column) * k + inner];
            size_t at = row + size_t(column) * ldc;
            float before = 0;
            if (*beta) before = c_type == BF16 ? from_bits(u32(static_cast<uint16_t *>(c)[at]) << 16) : static_cast<float *>(c)[at];
            float result = *alpha * sum + *beta * before;
            if (c_type == BF16)
                static_cast<uint16_t *>(c)[at] = pack(result, 0);
            else
                static_cast<float *>(c)[at] = result;
        }
    return DONE;
}

} // extern "C"
