// What is computed row by row: embeddings, norms, positions, activations. Values are bf16, sums are floats. Widths are
// multiples of eight, and rows start at multiples of eight values.
#include "device.cuh"

// The sum over all threads of a block, at most 32 warps; every thread gets it.
DEVICE float block_sum(float value, float *warps) {
    for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    synchronise();
    value = threadIdx.x % 32 < (blockDim.x + 31) / 32 ? warps[threadIdx.x % 32] : 0.0f;
    for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
    synchronise();
    return value;
}

DEVICE Eight eight(const bf16 *from, int group) { return reinterpret_cast<const Eight *>(from)[group]; }

// A block a row: row rows[block] of `from`.
KERNEL void gather_rows(const bf16 *from, long long stride, const u32 *rows, bf16 *to, long long to_stride, int width) {
    const bf16 *row = from + rows[blockIdx.x] * stride;
    bf16 *target = to + blockIdx.x * to_stride;
    for (int group = threadIdx.x; group < width / 8; group += blockDim.x)
        reinterpret_cast<Eight *>(target)[group] = eight(row, group);
}

// The way back: row r of `to` is the sum of the rows entries[starts[r]..starts[r + 1]] of `from`.
KERNEL void sum_rows(const bf16 *from, long long stride, const u32 *starts, const u32 *entries, bf16 *to,
                     long long to_stride, int width) {
    for (int group = threadIdx.x; group < width / 8; group += blockDim.x) {
        float sums[8] = {};
        for (u32 entry = starts[blockIdx.x]; entry < starts[blockIdx.x + 1]; entry++) {
            Eight values = eight(from + entries[entry] * stride, group);
            for (int pair = 0; pair < 4; pair++) {
                sums[2 * pair] += low(values.pairs[pair]);
                sums[2 * pair + 1] += high(values.pairs[pair]);
            }
        }
        Eight packed;
        for (int pair = 0; pair < 4; pair++) packed.pairs[pair] = pack(sums[2 * pair], sums[2 * pair + 1]);
        reinterpret_cast<Eight *>(to + blockIdx.x * to_stride)[group] = packed;
    }
}

// A block a row. `sum` = x + change where there is a change, and its norm: sum / √(mean(sum²) + ε) · weight.
KERNEL void rms_norm(const bf16 *x, const bf16 *change, bf16 *sum, const bf16 *weight, bf16 *y, long long y_stride,
                     float *inverse, int width, float eps) {
    long long start = (long long)blockIdx.x * width;
    float squares = 0.0f;
    for (int group = threadIdx.x; group < width / 8; group += blockDim.x) {
        Eight values = eight(x + start, group);
        if (change) {
            Eight more = eight(change + start, group);
            for (int pair = 0; pair < 4; pair++) {
                u32 &both = values.pairs[pair];
                both = pack(low(both) + low(more.pairs[pair]), high(both) + high(more.pairs[pair]));
            }
            reinterpret_cast<Eight *>(sum + start)[group] = values;
        }
        for (int pair = 0; pair < 4; pair++) {
            float first = low(values.pairs[pair]), second = high(values.pairs[pair]);
            squares += first * first + second * second;
        }
    }
    float scale = rsqrtf(block_sum(squares, reinterpret_cast<float *>(shared_bytes)) / width + eps);
    if (threadIdx.x == 0) inverse[blockIdx.x] = scale;
    const bf16 *from = change ? sum : x;
    for (int group = threadIdx.x; group < width / 8; group += blockDim.x) {
        Eight values = eight(from + start, group), weights = eight(weight, group);
        for (int pair = 0; pair < 4; pair++) {
            u32 &both = values.pairs[pair], by = weights.pairs[pair];
            both = pack(low(both) * scale * low(by), high(both) * scale * high(by));
        }
        reinterpret_cast<Eight *>(y + blockIdx.x * y_stride)[group] = values;
    }
}

// A block a row. The gradient of x, added to `onto`, which may be `to`: with u = x · r, r · (du − u · mean(du · u)).
KERNEL void rms_norm_backward(const bf16 *dy, long long dy_stride, const bf16 *x, const bf16 *weight, const float *inverse,
                              const bf16 *onto, bf16 *to, long long to_stride, int width) {
    long long start = (long long)blockIdx.x * width;
    const bf16 *dy_row = dy + blockIdx.x * dy_stride;
    float r = inverse[blockIdx.x], along = 0.0f;
    for (int group = threadIdx.x; group < width / 8; group += blockDim.x) {
        Eight d = eight(dy_row, group), values = eight(x + start, group), weights = eight(weight, group);
        for (int pair = 0; pair < 4; pair++) {
            u32 by = weights.pairs[pair];
            along += low(d.pairs[pair]) * low(by) * low(values.pairs[pair]);
            along += high(d.pairs[pair]) * high(by) * high(values.pairs[pair]);
        }
    }
    along = block_sum(along, reinterpret_cast<float *>(shared_bytes)) * r * r / width;
    for (int group = threadIdx.x; group < width / 8; group += blockDim.x) {
        Eight d = eight(dy_row, group), values = eight(x + start, group), weights = eight(weight, group);
        Eight sums = {};
        if (onto) sums = eight(onto + blockIdx.x * to_stride, group);
        for (int pair = 0; pair < 4; pair++) {
            u32 by = weights.pairs[pair], &both = sums.pairs[pair];
            float first = low(d.pairs[pair]) * low(by) - low(values.pairs[pair]) * along;
            float second = high(d.pairs[pair]) * high(by) - high(values.pairs[pair]) * along;
            both = pack(low(both) + first * r, high(both) + second * r);
        }
        reinterpret_cast<Eight *>(to + blockIdx.x * to_stride)[group] = sums;
    }
}

// A block a token: adds the bias to a row of heads, and turns the first `turned` heads by the angles of their position,
// backwards with sign −1. `angles` is [positions, half]: cosine and sine.
KERNEL void turn(bf16 *rows, long long stride, const bf16 *bias, int heads, int turned, int half, const u32 *positions,
                 const float *angles, float sign) {
    bf16 *row = rows + blockIdx.x * stride;
    const float *own = angles + (long long)positions[blockIdx.x] * half * 2;
    for (int index = threadIdx.x; index < heads * half; index += blockDim.x) {
        int head = index / half, pair = index % half;
        int first = head * half * 2 + pair, second = first + half;
        float x1 = value(row[first]) + (bias ? value(bias[first]) : 0.0f);
        float x2 = value(row[second]) + (bias ? value(bias[second]) : 0.0f);
        if (head < turned) {
            float cosine = own[2 * pair], sine = own[2 * pair + 1] * sign, y1 = x1 * cosine - x2 * sine;
            x2 = x2 * cosine + x1 * sine;
            x1 = y1;
        }
        row[first] = rounded(x1);
        row[second] = rounded(x2);
    }
}

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exponential2(-1.4426950408889634f * x)); }

// silu(gate) · up; gate and up stand side by side in a row. A block a row, of which `gridDim.y` parts are taken.
KERNEL void swiglu(const bf16 *gate_up, long long stride, bf16 *y, long long y_stride, int width) {
    const bf16 *row = gate_up + blockIdx.x * stride;
    for (int group = blockIdx.y * blockDim.x + threadIdx.x; group < width / 8; group += gridDim.y * blockDim.x) {
        Eight gates = eight(row, group), ups = eight(row + width, group);
        for (int pair = 0; pair < 4; pair++) {
            u32 gate = gates.pairs[pair], up = ups.pairs[pair];
            gates.pairs[pair] =
                pack(low(gate) * sigmoid(low(gate)) * low(up), high(gate) * sigmoid(high(gate)) * high(up));
        }
        reinterpret_cast<Eight *>(y + blockIdx.x * y_stride)[group] = gates;
    }
}

DEVICE void swiglu_gradients(float dy, float gate, float up, float &dgate, float &dup) {
    float share = sigmoid(gate), silu = gate * share;
    dgate = dy * up * (share + silu * (1.0f - share));
    dup = dy * silu;
}

// Gate and up become their gradients: silu′ = σ + silu · (1 − σ).
KERNEL void swiglu_backward(const bf16 *dy, long long dy_stride, bf16 *gate_up, long long stride, int width) {
    bf16 *row = gate_up + blockIdx.x * stride;
    for (int group = blockIdx.y * blockDim.x + threadIdx.x; group < width / 8; group += gridDim.y * blockDim.x) {
        Eight d = eight(dy + blockIdx.x * dy_stride, group), gates = eight(row, group), ups = eight(row + width, group);
        for (int pair = 0; pair < 4; pair++) {
            float dgate[2], dup[2];
            u32 by = d.pairs[pair], gate = gates.pairs[pair], up = ups.pairs[pair];
            swiglu_gradients(low(by), low(gate), low(up), dgate[0], dup[0]);
            swiglu_gradients(high(by), high(gate), high(up), dgate[1], dup[1]);
            gates.pairs[pair] = pack(dgate[0], dgate[1]);
            ups.pairs[pair] = pack(dup[0], dup[1]);
        }
        reinterpret_cast<Eight *>(row)[group] = gates;
        reinterpret_cast<Eight *>(row + width)[group] = ups;
    }
}

// SplitMix64 (Steele, Lea and Flood 2014).
DEVICE unsigned long long mix(unsigned long long z) {
    z += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// A block a row: every value or 0, the former times `kept`, onto the row of `onto` where there is one; 0 where 16 bits
// of a hash of seed and place are below `bound`.
KERNEL void drop_out(const bf16 *x, long long stride, const bf16 *onto, bf16 *to, long long to_stride, int width,
                     unsigned long long seed, u32 bound, float kept) {
    for (int quarter = threadIdx.x; quarter < width / 4; quarter += blockDim.x) {
        unsigned long long hash = mix(seed ^ ((unsigned long long)blockIdx.x * (width / 4) + quarter));
        for (int index = 0; index < 4; index++) {
            int column = 4 * quarter + index;
            float own = (hash >> 16 * index & 0xffff) < bound ? 0.0f : value(x[blockIdx.x * stride + column]) * kept;
            if (onto) own += value(onto[blockIdx.x * to_stride + column]);
            to[blockIdx.x * to_stride + column] = rounded(own);
        }
    }
}
