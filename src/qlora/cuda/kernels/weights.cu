// Frozen weights from four bits, adapters from floats: into the matrix that one product takes,
//
//     W  sB     forward:  [x, xAᵀ] · [W, sB]ᵀ
//     A  ·      backward: [dy, s dy B] · [W; A]
//
// and the optimizer.
#include "device.cuh"

DEVICE float nf4(u32 code) {
    constexpr float VALUES[16] = {-1.0f,         -0.6961928f,  -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f,
                                  -0.091050036f, 0.0f,         0.0795803f,   0.1609302f,  0.2461123f,   0.33791524f,
                                  0.44070983f,   0.562617f,    0.72295684f,  1.0f};
    return VALUES[code];
}

// Eight values a thread, in bf16 or floats: each becomes the code that is nearest to its part of the largest of 64, as
// bitsandbytes rounds it, which takes the inverse of the largest but in a last block that isn't full. The largest is
// NaN where a value isn't finite.
KERNEL void quantise(const void *from, int floats, long long count, u32 *packed, float *maxima) {
    constexpr float TINY = 1e-38f;
    long long index = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 8, block = index / 64;
    bool there = index < count, whole = block * 64 + 64 <= count;
    float values[8] = {}, largest = 0.0f, not_finite = 0.0f;
    if (there && floats)
        for (int which = 0; which < 8; which++) values[which] = static_cast<const float *>(from)[index + which];
    if (there && !floats) {
        Eight eight = static_cast<const Eight *>(from)[index / 8];
        for (int pair = 0; pair < 4; pair++) {
            values[2 * pair] = low(eight.pairs[pair]);
            values[2 * pair + 1] = high(eight.pairs[pair]);
        }
    }
    for (float value : values) {
        largest = fmaxf(largest, fabsf(value));
        not_finite += value - value;
    }
    for (int mask = 4; mask > 0; mask /= 2) {
        largest = fmaxf(largest, shuffle_xor(largest, mask));
        not_finite += shuffle_xor(not_finite, mask);
    }
    if (!there) return;
    float divisor = fmaxf(largest, TINY), inverse = 1.0f / divisor;
    if (index % 64 == 0) maxima[block] = (whole ? largest : divisor) + not_finite;
    u32 eight = 0;
    for (int which = 0; which < 8; which++) {
        float part = fminf(fmaxf(whole ? values[which] * inverse : values[which] / divisor, -1.0f), 1.0f);
        u32 code = 0;
        for (u32 step = 0; step < 15; step++) code += (nf4(step) + nf4(step + 1)) / 2.0f < part;
        eight |= code << (which / 2 * 8 + (which % 2 ? 0 : 4));
    }
    packed[index / 8] = eight;
}

// Eight values a thread. The largest of each 64 is a float of `maxima`, or where there are codes, map[code] times that
// of each 256 blocks, plus an offset. Rows of `columns` values, a multiple of eight.
KERNEL void dequantise(const u32 *packed, const unsigned char *codes, const float *maxima, const float *map, float offset,
                       long long count, int columns, bf16 *to, long long stride) {
    float *values = reinterpret_cast<float *>(shared_bytes);
    if (threadIdx.x < 16) values[threadIdx.x] = nf4(threadIdx.x);
    synchronise();
    long long index = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 8;
    if (index >= count) return;
    long long block = index / 64;
    float largest = codes ? map[codes[block]] * maxima[block / 256] + offset : maxima[block];
    u32 eight = packed[index / 8];
    Eight out;
    for (int pair = 0; pair < 4; pair++) {
        u32 byte = eight >> 8 * pair & 0xff;
        out.pairs[pair] = pack(values[byte >> 4] * largest, values[byte & 15] * largest);
    }
    long long row = index / columns, column = index % columns;
    *reinterpret_cast<Eight *>(to + row * stride + column) = out;
}

// A block a row of `to`, whose `width` columns are zero but for `columns` from `left` on: those of `from`, times
// `scale`. Rows beyond `rows` are zero.
KERNEL void place(const float *from, int rows, int columns, float scale, bf16 *to, long long stride, int left, int width) {
    for (int column = threadIdx.x; column < width; column += blockDim.x) {
        int own = column - left;
        bool there = (int)blockIdx.x < rows && own >= 0 && own < columns;
        to[blockIdx.x * stride + column] = rounded(there ? from[(long long)blockIdx.x * columns + own] * scale : 0.0f);
    }
}

// AdamW as torch computes it. `factor` scales gradients, `step` is the learning rate over the first moment's
// correction, `root` the root of the second's.
KERNEL void adamw(float *values, float *gradients, float *first, float *second, long long count, float factor, float step,
                  float root, float keep, float beta1, float beta2, float eps) {
    long long threads = (long long)gridDim.x * blockDim.x;
    for (long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x; index < count; index += threads) {
        float gradient = gradients[index] * factor;
        float m = first[index] * beta1 + gradient * (1.0f - beta1);
        float v = second[index] * beta2 + gradient * gradient * (1.0f - beta2);
        first[index] = m;
        second[index] = v;
        values[index] = values[index] * keep - step * m / (sqrtf(v) / root + eps);
        gradients[index] = 0.0f;
    }
}

// Σ x² of each block's part, in the same order whenever there are as many blocks.
KERNEL void squares(const float *x, long long count, float *sums) {
    float sum = 0.0f;
    long long threads = (long long)gridDim.x * blockDim.x;
    for (long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x; index < count; index += threads)
        sum += x[index] * x[index];
    sum = block_sum(sum, reinterpret_cast<float *>(shared_bytes));
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// A block a row: −weight · log p(target) and its gradient. A thread passes over its logits twice.
KERNEL void cross_entropy(const float *logits, int vocabulary, const u32 *targets, const float *weights, bf16 *to,
                          float *losses) {
    float *warps = reinterpret_cast<float *>(shared_bytes);
    const float *row = logits + (long long)blockIdx.x * vocabulary;
    constexpr float LOG2E = 1.4426950408889634f;
    float largest = -1e30f, total = 0.0f;
    for (int index = threadIdx.x; index < vocabulary; index += blockDim.x) {
        float logit = row[index] * LOG2E;
        if (logit > largest) {
            total *= exponential2(largest - logit);
            largest = logit;
        }
        total += exponential2(logit - largest);
    }
    float most = largest;
    for (int mask = 16; mask > 0; mask /= 2) most = fmaxf(most, shuffle_xor(most, mask));
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = most;
    synchronise();
    most = threadIdx.x % 32 < (blockDim.x + 31) / 32 ? warps[threadIdx.x % 32] : -1e30f;
    for (int mask = 16; mask > 0; mask /= 2) most = fmaxf(most, shuffle_xor(most, mask));
    synchronise();
    total = block_sum(total * exponential2(largest - most), warps);
    u32 target = targets[blockIdx.x];
    float weight = weights[blockIdx.x], scale = weight / total;
    if (threadIdx.x == 0) losses[blockIdx.x] = weight * (log2f(total) + most - row[target] * LOG2E) / LOG2E;
    for (int index = threadIdx.x; index < vocabulary; index += blockDim.x) {
        float share = exponential2(row[index] * LOG2E - most) * scale;
        to[(long long)blockIdx.x * vocabulary + index] = rounded(share - (index == (int)target ? weight : 0.0f));
    }
}
