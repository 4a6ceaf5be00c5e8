// Causal attention over documents whose branches each see a shared prefix and themselves, in tiles of 64 queries or
// keys (after Dao 2023): the matrix of all weights never exists. Queries, keys and values of a token stand side by side
// in a row: heads, then key heads, then value heads.
#include "device.cuh"

constexpr int TILE = 64;
constexpr int THREADS = 128;
constexpr float LOG2E = 1.4426950408889634f;
constexpr float NEVER = -1e30f;

// Queries [start, end), which see the keys [prefix, prefix_end), and of [own, end) those up to themselves.
struct QueryTile {
    int start, end, prefix, prefix_end, own;
};

// Keys [start, end), seen by the queries of [start, own_end) from themselves on, and by all of [rest, rest_end).
struct KeyTile {
    int start, end, own_end, rest, rest_end;
};

// Where a value stands in a block of shared memory: groups of eight swap places, so that a column of eight rows lies in
// eight banks.
template <int SIZE> DEVICE bf16 *at(bf16 *block, int row, int group) {
    return block + row * SIZE + (group ^ (row & 7)) * 8;
}

// Rows [first, end) of a matrix, zeros beyond.
template <int SIZE, int ROWS>
DEVICE void fetch(bf16 *block, const bf16 *matrix, long long stride, int first, int end) {
    for (int index = threadIdx.x; index < ROWS * SIZE / 8; index += THREADS) {
        int row = index / (SIZE / 8), group = index % (SIZE / 8);
        bool there = first + row < end;
        const bf16 *from = matrix + (there ? first + row : first) * stride + group * 8;
        copy_async(at<SIZE>(block, row, group), from, there);
    }
}

// Loads 16 rows from `row` on, 16 columns from 8 `group` on, as the left factor of a product.
template <int SIZE> DEVICE void left(u32 (&a)[4], bf16 *block, int row, int group) {
    int lane = threadIdx.x % 32;
    load_matrices(a, at<SIZE>(block, row + lane % 16, group + lane / 16));
}

// Loads 16 rows from `row` on, 16 columns from 8 `group` on, as two right factors: the transposes of 8 rows each.
template <int SIZE> DEVICE void right_transposed(u32 (&b)[4], bf16 *block, int row, int group) {
    int lane = threadIdx.x % 32;
    load_matrices(b, at<SIZE>(block, row + lane / 16 * 8 + lane % 8, group + lane / 8 % 2));
}

// Loads 16 rows from `row` on, 16 columns from 8 `group` on, as two right factors of 8 columns each.
template <int SIZE> DEVICE void right(u32 (&b)[4], bf16 *block, int row, int group) {
    int lane = threadIdx.x % 32;
    load_matrices_transposed(b, at<SIZE>(block, row + lane % 16, group + lane / 16));
}

// sums = left rows · (rows of a block)ᵀ: 16 × 8 COUNT. `A` gives the left factor of a step of 16 columns.
template <int SIZE, int COUNT, class A> DEVICE void with_rows(float (&sums)[COUNT][4], A a, bf16 *block) {
#pragma unroll
    for (int tile = 0; tile < COUNT; tile++)
        for (int index = 0; index < 4; index++) sums[tile][index] = 0.0f;
#pragma unroll
    for (int step = 0; step < SIZE / 16; step++) {
        u32 factor[4];
        a(factor, step);
#pragma unroll
        for (int tile = 0; tile < COUNT; tile += 2) {
            u32 b[4];
            right_transposed<SIZE>(b, block, tile * 8, step * 2);
            multiply(sums[tile], factor, b[0], b[1]);
            multiply(sums[tile + 1], factor, b[2], b[3]);
        }
    }
}

// sums += weights (16 × 8 COUNT) · rows of a block: 16 × SIZE.
template <int SIZE, int COUNT>
DEVICE void weighted(float (&sums)[SIZE / 8][4], const float (&weights)[COUNT][4], bf16 *block) {
#pragma unroll
    for (int step = 0; step < COUNT / 2; step++) {
        const float *now = weights[2 * step], *next = weights[2 * step + 1];
        u32 a[4] = {pack(now[0], now[1]), pack(now[2], now[3]), pack(next[0], next[1]), pack(next[2], next[3])};
#pragma unroll
        for (int tile = 0; tile < SIZE / 8; tile += 2) {
            u32 b[4];
            right<SIZE>(b, block, step * 16, tile);
            multiply(sums[tile], a, b[0], b[1]);
            multiply(sums[tile + 1], a, b[2], b[3]);
        }
    }
}

// Of a warp's 16 rows: this lane holds rows lane / 4 and that + 8, and of each 8 columns two.
template <int SIZE>
DEVICE void store(bf16 *matrix, long long stride, int first, int end, const float (&sums)[SIZE / 8][4], float s0, float s1) {
    int lane = threadIdx.x % 32, row = first + lane / 4, column = lane % 4 * 2;
#pragma unroll
    for (int tile = 0; tile < SIZE / 8; tile++) {
        const float *sum = sums[tile];
        if (row < end)
            *reinterpret_cast<u32 *>(matrix + row * stride + tile * 8 + column) = pack(sum[0] * s0, sum[1] * s0);
        if (row + 8 < end)
            *reinterpret_cast<u32 *>(matrix + (row + 8) * stride + tile * 8 + column) = pack(sum[2] * s1, sum[3] * s1);
    }
}

// The keys that a tile of queries sees, in blocks: first the prefix, then its own.
struct Blocks {
    QueryTile tile;
    int size, of_prefix, count;

    DEVICE_MEMBER Blocks(QueryTile tile, int size) : tile(tile), size(size) {
        of_prefix = (tile.prefix_end - tile.prefix + size - 1) / size;
        count = of_prefix + (tile.end - tile.own + size - 1) / size;
    }
    DEVICE_MEMBER int first(int block) const {
        return block < of_prefix ? tile.prefix + block * size : tile.own + (block - of_prefix) * size;
    }
    DEVICE_MEMBER int end(int block) const { return block < of_prefix ? tile.prefix_end : tile.end; }
    DEVICE_MEMBER bool sees(int block, int query, int key) const {
        return key < end(block) && (block < of_prefix || key <= query);
    }
};

// sums is [heads, tokens]: log2 of a row's Σ exp(score), as exponent of 2.
template <int SIZE>
DEVICE void attention(const bf16 *rows, long long stride, const QueryTile *tiles, int heads, int kv_heads, bf16 *output,
                      long long output_stride, float *sums, int tokens, float scale) {
    bf16 *keys = reinterpret_cast<bf16 *>(shared_bytes), *values = keys + TILE * SIZE;
    int head = blockIdx.y, kv = head / (heads / kv_heads);
    Blocks blocks(tiles[blockIdx.x], TILE);
    QueryTile tile = blocks.tile;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bf16 *key_rows = rows + (heads + kv) * SIZE, *value_rows = key_rows + kv_heads * SIZE;

    // Queries pass through the keys' place into registers.
    fetch<SIZE, TILE>(keys, rows + head * SIZE, stride, tile.start, tile.end);
    copy_commit();
    copy_wait<0>();
    synchronise();
    u32 queries[SIZE / 16][4];
#pragma unroll
    for (int step = 0; step < SIZE / 16; step++) left<SIZE>(queries[step], keys, warp * 16, step * 2);
    synchronise();

    float sum[SIZE / 8][4] = {}, largest[2] = {NEVER, NEVER}, total[2] = {0.0f, 0.0f};
    int query = tile.start + warp * 16 + lane / 4;
    fetch<SIZE, TILE>(keys, key_rows, stride, blocks.first(0), blocks.end(0));
    copy_commit();
    for (int block = 0; block < blocks.count; block++) {
        copy_wait<0>();
        synchronise();
        fetch<SIZE, TILE>(values, value_rows, stride, blocks.first(block), blocks.end(block));
        copy_commit();

        float weights[TILE / 8][4];
        with_rows<SIZE>(weights, [&](u32(&a)[4], int step) {
            for (int index = 0; index < 4; index++) a[index] = queries[step][index];
        }, keys);
        float most[2] = {largest[0], largest[1]};
        int key = blocks.first(block) + lane % 4 * 2;
#pragma unroll
        for (int index = 0; index < TILE / 8 * 4; index++) {
            float &weight = weights[index / 4][index % 4];
            bool seen = blocks.sees(block, query + index % 4 / 2 * 8, key + index / 4 * 8 + index % 2);
            weight = seen ? weight * scale * LOG2E : NEVER;
            most[index % 4 / 2] = fmaxf(most[index % 4 / 2], weight);
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            most[half] = fmaxf(most[half], shuffle_xor(most[half], 1));
            most[half] = fmaxf(most[half], shuffle_xor(most[half], 2));
            float factor = exponential2(largest[half] - most[half]);
            largest[half] = most[half];
            total[half] *= factor;
#pragma unroll
            for (int index = 0; index < SIZE / 8; index++) {
                sum[index][2 * half] *= factor;
                sum[index][2 * half + 1] *= factor;
            }
        }
#pragma unroll
        for (int index = 0; index < TILE / 8 * 4; index++) {
            float &weight = weights[index / 4][index % 4];
            // A row that has seen nothing yet must not count what it doesn't see.
            weight = weight == NEVER ? 0.0f : exponential2(weight - largest[index % 4 / 2]);
            total[index % 4 / 2] += weight;
        }

        copy_wait<0>();
        synchronise();
        if (block + 1 < blocks.count) {
            fetch<SIZE, TILE>(keys, key_rows, stride, blocks.first(block + 1), blocks.end(block + 1));
            copy_commit();
        }
        weighted<SIZE>(sum, weights, values);
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        total[half] += shuffle_xor(total[half], 1);
        total[half] += shuffle_xor(total[half], 2);
        int row = query + 8 * half;
        if (lane % 4 == 0 && row < tile.end) sums[head * (long long)tokens + row] = largest[half] + log2f(total[half]);
    }
    store<SIZE>(output + head * SIZE, output_stride, tile.start + warp * 16, tile.end, sum, 1.0f / total[0],
                1.0f / total[1]);
}

// dots is [heads, tokens]: Σ of a head's gradient times its output.
template <int SIZE>
DEVICE void attention_dots(const bf16 *dy, long long dy_stride, const bf16 *output, long long output_stride, int heads,
                           int tokens, float *dots) {
    // Each eight lanes, a row of a head.
    int index = (blockIdx.x * THREADS + threadIdx.x) / 8, part = threadIdx.x % 8;
    int token = index / heads, head = index % heads;
    float sum = 0.0f;
    if (token < tokens)
        for (int group = part; group < SIZE / 8; group += 8) {
            long long column = head * SIZE + group * 8;
            Eight d = *reinterpret_cast<const Eight *>(dy + token * dy_stride + column);
            Eight y = *reinterpret_cast<const Eight *>(output + token * output_stride + column);
            for (int pair = 0; pair < 4; pair++)
                sum += low(d.pairs[pair]) * low(y.pairs[pair]) + high(d.pairs[pair]) * high(y.pairs[pair]);
        }
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    sum += shuffle_xor(sum, 4);
    if (token < tokens && part == 0) dots[head * (long long)tokens + token] = sum;
}

constexpr int BLOCK = 32;

// Gradients of queries, into the columns of the queries of `to`.
template <int SIZE>
DEVICE void attention_queries(const bf16 *rows, long long stride, const bf16 *dy, long long dy_stride,
                              const QueryTile *tiles, int heads, int kv_heads, const float *sums, const float *dots,
                              bf16 *to, long long to_stride, int tokens, float scale) {
    bf16 *queries = reinterpret_cast<bf16 *>(shared_bytes), *gradients = queries + TILE * SIZE;
    bf16 *keys = gradients + TILE * SIZE, *values = keys + BLOCK * SIZE;
    int head = blockIdx.y, kv = head / (heads / kv_heads);
    Blocks blocks(tiles[blockIdx.x], BLOCK);
    QueryTile tile = blocks.tile;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bf16 *key_rows = rows + (heads + kv) * SIZE, *value_rows = key_rows + kv_heads * SIZE;

    fetch<SIZE, TILE>(queries, rows + head * SIZE, stride, tile.start, tile.end);
    fetch<SIZE, TILE>(gradients, dy + head * SIZE, dy_stride, tile.start, tile.end);
    int query = tile.start + warp * 16 + lane / 4;
    float sum[2], dot[2];
    for (int half = 0; half < 2; half++) {
        long long row = head * (long long)tokens + min(query + 8 * half, tile.end - 1);
        sum[half] = sums[row];
        dot[half] = dots[row];
    }
    float change[SIZE / 8][4] = {};
    for (int block = 0; block < blocks.count; block++) {
        fetch<SIZE, BLOCK>(keys, key_rows, stride, blocks.first(block), blocks.end(block));
        fetch<SIZE, BLOCK>(values, value_rows, stride, blocks.first(block), blocks.end(block));
        copy_commit();
        copy_wait<0>();
        synchronise();
        float weights[BLOCK / 8][4], dweights[BLOCK / 8][4];
        with_rows<SIZE>(weights, [&](u32(&a)[4], int step) { left<SIZE>(a, queries, warp * 16, step * 2); }, keys);
        with_rows<SIZE>(dweights, [&](u32(&a)[4], int step) { left<SIZE>(a, gradients, warp * 16, step * 2); }, values);
        int key = blocks.first(block) + lane % 4 * 2;
#pragma unroll
        for (int index = 0; index < BLOCK / 8 * 4; index++) {
            int half = index % 4 / 2;
            float &weight = weights[index / 4][index % 4];
            bool seen = blocks.sees(block, query + half * 8, key + index / 4 * 8 + index % 2);
            weight = seen ? exponential2(weight * scale * LOG2E - sum[half]) : 0.0f;
            weight *= dweights[index / 4][index % 4] - dot[half];
        }
        weighted<SIZE>(change, weights, keys);
        synchronise();
    }
    store<SIZE>(to + head * SIZE, to_stride, tile.start + warp * 16, tile.end, change, scale, scale);
}

// Gradients of keys and values, into their columns of `to`: sums over the heads of a group, in their order.
template <int SIZE>
DEVICE void attention_keys(const bf16 *rows, long long stride, const bf16 *dy, long long dy_stride, const KeyTile *tiles,
                           int heads, int kv_heads, const float *sums, const float *dots, bf16 *to, long long to_stride,
                           int tokens, float scale) {
    bf16 *keys = reinterpret_cast<bf16 *>(shared_bytes), *values = keys + TILE * SIZE;
    bf16 *queries = values + TILE * SIZE, *gradients = queries + BLOCK * SIZE;
    float *own_sums = reinterpret_cast<float *>(gradients + BLOCK * SIZE), *own_dots = own_sums + BLOCK;
    int kv = blockIdx.y, group = heads / kv_heads;
    KeyTile tile = tiles[blockIdx.x];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bf16 *key_rows = rows + (heads + kv) * SIZE;
    fetch<SIZE, TILE>(keys, key_rows, stride, tile.start, tile.end);
    fetch<SIZE, TILE>(values, key_rows + kv_heads * SIZE, stride, tile.start, tile.end);

    int of_own = (tile.own_end - tile.start + BLOCK - 1) / BLOCK;
    int count = of_own + (tile.rest_end - tile.rest + BLOCK - 1) / BLOCK;
    int key = tile.start + warp * 16 + lane / 4;
    float dkeys[SIZE / 8][4] = {}, dvalues[SIZE / 8][4] = {};
    for (int index = 0; index < group * count; index++) {
        int head = kv * group + index / count, block = index % count;
        bool own = block < of_own;
        int first = own ? tile.start + block * BLOCK : tile.rest + (block - of_own) * BLOCK;
        int end = own ? tile.own_end : tile.rest_end;
        fetch<SIZE, BLOCK>(queries, rows + head * SIZE, stride, first, end);
        fetch<SIZE, BLOCK>(gradients, dy + head * SIZE, dy_stride, first, end);
        copy_commit();
        if (threadIdx.x < BLOCK) {
            long long row = head * (long long)tokens + min(first + (int)threadIdx.x, end - 1);
            own_sums[threadIdx.x] = sums[row];
            own_dots[threadIdx.x] = dots[row];
        }
        copy_wait<0>();
        synchronise();
        float weights[BLOCK / 8][4], dweights[BLOCK / 8][4];
        with_rows<SIZE>(weights, [&](u32(&a)[4], int step) { left<SIZE>(a, keys, warp * 16, step * 2); }, queries);
        with_rows<SIZE>(dweights, [&](u32(&a)[4], int step) { left<SIZE>(a, values, warp * 16, step * 2); }, gradients);
#pragma unroll
        for (int place = 0; place < BLOCK / 8 * 4; place++) {
            int column = place / 4 * 8 + lane % 4 * 2 + place % 2, query = first + column;
            bool seen = query < end && (!own || key + place % 4 / 2 * 8 <= query);
            float &weight = weights[place / 4][place % 4], &dweight = dweights[place / 4][place % 4];
            weight = seen ? exponential2(weight * scale * LOG2E - own_sums[column]) : 0.0f;
            dweight = weight * (dweight - own_dots[column]);
        }
        weighted<SIZE>(dvalues, weights, gradients);
        weighted<SIZE>(dkeys, dweights, queries);
        synchronise();
    }
    bf16 *to_keys = to + (heads + kv) * SIZE;
    store<SIZE>(to_keys, to_stride, tile.start + warp * 16, tile.end, dkeys, scale, scale);
    store<SIZE>(to_keys + kv_heads * SIZE, to_stride, tile.start + warp * 16, tile.end, dvalues, 1.0f, 1.0f);
}

#define FOR_HEADS_OF(SIZE)                                                                                             \
    KERNEL void attention_##SIZE(const bf16 *rows, long long stride, const QueryTile *tiles, int heads, int kv_heads,  \
                                 bf16 *output, long long output_stride, float *sums, int tokens, float scale) {        \
        attention<SIZE>(rows, stride, tiles, heads, kv_heads, output, output_stride, sums, tokens, scale);             \
    }                                                                                                                  \
    KERNEL void attention_dots_##SIZE(const bf16 *dy, long long dy_stride, const bf16 *output,                         \
                                      long long output_stride, int heads, int tokens, float *dots) {                   \
        attention_dots<SIZE>(dy, dy_stride, output, output_stride, heads, tokens, dots);                               \
    }                                                                                                                  \
    KERNEL void attention_queries_##SIZE(const bf16 *rows, long long stride, const bf16 *dy, long long dy_stride,      \
                                         const QueryTile *tiles, int heads, int kv_heads, const float *sums,           \
                                         const float *dots, bf16 *to, long long to_stride, int tokens, float scale) {  \
        attention_queries<SIZE>(rows, stride, dy, dy_stride, tiles, heads, kv_heads, sums, dots, to, to_stride,        \
                                tokens, scale);                                                                        \
    }                                                                                                                  \
    KERNEL void attention_keys_##SIZE(const bf16 *rows, long long stride, const bf16 *dy, long long dy_stride,         \
                                      const KeyTile *tiles, int heads, int kv_heads, const float *sums,                \
                                      const float *dots, bf16 *to, long long to_stride, int tokens, float scale) {     \
        attention_keys<SIZE>(rows, stride, dy, dy_stride, tiles, heads, kv_heads, sums, dots, to, to_stride, tokens,   \
                             scale);                                                                                   \
    }

FOR_HEADS_OF(64)
FOR_HEADS_OF(128)
