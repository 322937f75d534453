/* Arithmetic of transformers on float32: matrix products, norms, rotary embeddings, attention.

   Plain C with the vector extensions of gcc and clang, for any processor. The result of a row does not depend on the
   rows beside it, bit for bit.

   A matrix (in, out) is packed as (⌈out / 16⌉, in, 16), its last columns filled up with zeros: panels of PANEL columns.
   Sums of 16 columns for GROUP rows take 12 of 16 registers of 8 numbers; DEPTH rows of a panel, 9 KiB, stay in the
   first cache while all rows of a block pass. See docs/kernel.md. */

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, PANEL = 16, GROUP = 6, DEPTH = 144 };

typedef float vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(LANES * 4)));

#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (integers){__VA_ARGS__})
#endif

static int64_t padded(int64_t columns) { return (columns + PANEL - 1) / PANEL * PANEL; }

static float total(vector x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

static inline vector choose(integers chosen, vector a, vector b) {
    return (vector)((chosen & (integers)a) | (~chosen & (integers)b));
}

/* Sums of neighbours, of a and of b, in each half of the lanes. */
static inline vector sums(vector a, vector b) {
    return PICK(a, b, 0, 2, 8, 10, 4, 6, 12, 14) + PICK(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
}

/* e^x to 2 units in the last place, for x in [-87, 87]: 2^n · e^r with |r| <= ln(2) / 2 (Cephes' polynomial). */
static inline vector exponential(vector x) {
    const vector zero = {0}, least = zero - 87.0f, most = zero + 87.0f;
    x = choose(x < least, least, choose(x > most, most, x));
    const float round = 12582912.0f; /* 1.5 · 2^23: adding it rounds to a whole number */
    vector n = (x * 1.44269504088896341f + round) - round;
    vector r = x - n * 0.693359375f - n * -2.12194440e-4f;
    vector y = zero + 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    integers scale = (__builtin_convertvector(n, integers) + 127) << 23;
    return y * (vector)scale;
}

/* Prefetch numbers that are needed soon, without which products wait for memory. (Attention reads long stretches, which
   the processor prefetches by itself, as fast or faster.) */
static inline void prefetch(const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(from + i);
}

/* One panel of c = a · w, or c += a · w, for a few rows. `rows` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void tile(
    const int rows, const float *a, int64_t a_stride, int64_t depth, const float *w, float *c, int64_t c_stride,
    int add) {
    vector low[GROUP], high[GROUP];
    for (int r = 0; r < rows; r++) low[r] = high[r] = (vector){0};
    for (int64_t k = 0; k < depth; k++, w += PANEL) {
        vector first = *(const vector *)w, second = *(const vector *)(w + LANES);
        for (int r = 0; r < rows; r++) {
            float x = a[r * a_stride + k];
            low[r] += x * first;
            high[r] += x * second;
        }
    }
    for (int r = 0; r < rows; r++) {
        vector *to = (vector *)(c + r * c_stride);
        if (add) low[r] += to[0], high[r] += to[1];
        to[0] = low[r], to[1] = high[r];
    }
}

/* c = a · w, or c += a · w: a (rows, depth) and c (rows, columns) with these strides; w packed, columns padded. */
static void matmul(
    int64_t rows, const float *a, int64_t a_stride, int64_t depth, const float *w, float *c, int64_t c_stride,
    int64_t columns, int add) {
    int64_t groups = (rows + GROUP - 1) / GROUP;
    for (int64_t n = 0; n < columns; n += PANEL)
        for (int64_t k = 0, some; k < depth; k += some, w += some * PANEL) {
            some = depth - k < DEPTH ? depth - k : DEPTH;
            int64_t r = 0, share = (some + groups - 1) / groups * PANEL;
            const float *next = w + some * PANEL; /* the weights of the next step, prefetched during this one */
            const float *from = a + k;
            float *to = c + n;
            int more = add || k;
            for (; r + GROUP <= rows; r += GROUP, next += share, from += GROUP * a_stride, to += GROUP * c_stride) {
                prefetch(next, share);
                tile(GROUP, from, a_stride, some, w, to, c_stride, more);
            }
            switch (rows - r) {
                case 5: tile(5, from, a_stride, some, w, to, c_stride, more); break;
                case 4: tile(4, from, a_stride, some, w, to, c_stride, more); break;
                case 3: tile(3, from, a_stride, some, w, to, c_stride, more); break;
                case 2: tile(2, from, a_stride, some, w, to, c_stride, more); break;
                case 1: tile(1, from, a_stride, some, w, to, c_stride, more); break;
            }
        }
}

/* y = x / sqrt(|x|² + epsilon), row by row; columns padded. */
static void normalise(int64_t rows, const float *x, float *y, int64_t columns, float epsilon) {
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        vector squares = {0};
        for (int64_t d = 0; d < columns; d += LANES) {
            vector part = *(const vector *)(x + d);
            squares += part * part;
        }
        float scale = 1.0f / sqrtf(total(squares) + epsilon);
        for (int64_t d = 0; d < columns; d += LANES) *(vector *)(y + d) = *(const vector *)(x + d) * scale;
    }
}

/* Rotary embeddings: neighbouring entries are the real and imaginary part of a number, multiplied by (cos, sin). */
static void apply_rope(float *x, int64_t heads, int64_t head_dim, const float *cos_sin) {
    for (int64_t h = 0; h < heads; h++, x += head_dim)
        for (int64_t d = 0; d < head_dim; d += 2) {
            float real = x[d], imaginary = x[d + 1];
            x[d] = real * cos_sin[d] - imaginary * cos_sin[d + 1];
            x[d + 1] = real * cos_sin[d + 1] + imaginary * cos_sin[d];
        }
}

/* The entries of a head are taken as vectors, up to GROUP at a time. If head_dim is no multiple of 8, the last vector
   overlaps the one before it. `parts` is the number of vectors, a constant where this is inlined; `last` the offset of
   the last of them; `stride` that between positions, head_dim. */

/* Products of a query with 8 keys; keys beyond number `most` are replaced by that one. */
static inline __attribute__((always_inline)) vector eight(
    const int parts, const vector *query, const float *keys, int64_t last, int64_t stride, int64_t most) {
    vector each[LANES];
    for (int k = 0; k < LANES; k++) {
        const float *key = keys + (k < most ? k : most) * stride;
        each[k] = query[parts - 1] * *(const vector *)(key + last);
        for (int p = 0; p < parts - 1; p++) each[k] += query[p] * *(const vector *)(key + p * LANES);
    }
    vector low = sums(sums(each[0], each[1]), sums(each[2], each[3]));
    vector high = sums(sums(each[4], each[5]), sums(each[6], each[7]));
    return PICK(low, high, 0, 1, 2, 3, 8, 9, 10, 11) + PICK(low, high, 4, 5, 6, 7, 12, 13, 14, 15);
}

/* Products of a query with `count` keys, added to the scores; `counted` are the lanes of the last vector that count. */
static inline __attribute__((always_inline)) void score(
    const int parts, const float *query, integers counted, const float *keys, int64_t last, int64_t stride,
    int64_t count, float *scores) {
    vector q[GROUP];
    for (int p = 0; p < parts - 1; p++) q[p] = *(const vector *)(query + p * LANES);
    q[parts - 1] = choose(counted, *(const vector *)(query + last), (vector){0});
    for (int64_t t = 0; t < count; t += LANES, keys += LANES * stride)
        *(vector *)(scores + t) += count - t < LANES ? eight(parts, q, keys, last, stride, count - t - 1)
                                                     : eight(parts, q, keys, last, stride, LANES - 1);
}

/* The sum of `count` values, weighted and scaled. */
static inline __attribute__((always_inline)) void mix(
    const int parts, const float *weights, const float *values, int64_t last, int64_t stride, int64_t count,
    float scale, float *mixed) {
    vector one[GROUP], two[GROUP]; /* two sums side by side: each addition waits for the one before it */
    for (int p = 0; p < parts; p++) one[p] = two[p] = (vector){0};
    for (int64_t t = 0; t < count; t += 2, values += 2 * stride) {
        for (int p = 0; p < parts; p++)
            one[p] += weights[t] * *(const vector *)(values + (p < parts - 1 ? p * LANES : last));
        if (t + 1 == count) break;
        for (int p = 0; p < parts; p++)
            two[p] += weights[t + 1] * *(const vector *)(values + stride + (p < parts - 1 ? p * LANES : last));
    }
    for (int p = 0; p < parts; p++) *(vector *)(mixed + (p < parts - 1 ? p * LANES : last)) = (one[p] + two[p]) * scale;
}

/* x, `count` numbers with room for 7 more, into e^(x - greatest), 0 in the places behind; returns 1 / their sum. */
static float exponentials(float *weights, int64_t count) {
    const vector least = (vector){0} - INFINITY;
    for (int64_t t = count; t % LANES; t++) weights[t] = -INFINITY;
    vector most = least, sum = {0};
    for (int64_t t = 0; t < count; t += LANES) {
        vector some = *(vector *)(weights + t);
        most = choose(some > most, some, most);
    }
    for (int k = 1; k < LANES; k++) most[0] = most[k] > most[0] ? most[k] : most[0];
    float greatest = most[0];
    for (int64_t t = 0; t < count; t += LANES) {
        vector some = *(vector *)(weights + t);
        *(vector *)(weights + t) = some = choose(some == least, (vector){0}, exponential(some - greatest));
        sum += some;
    }
    return 1.0f / total(sum);
}

#define IN_PARTS(DO) \
    switch (left < GROUP ? left : GROUP) { \
        case 1: DO(1); break; \
        case 2: DO(2); break; \
        case 3: DO(3); break; \
        case 4: DO(4); break; \
        case 5: DO(5); break; \
        case 6: DO(6); break; \
    }

/* Scores of a query, (head_dim,), with `count` keys, (count, head_dim); `scores` has room for count + 7. */
static void score_keys(const float *query, const float *keys, int64_t count, int64_t head_dim, float *scores) {
    memset(scores, 0, sizeof(float) * padded(count));
    if (head_dim < LANES) {
        for (int64_t t = 0; t < count; t++)
            for (int64_t d = 0; d < head_dim; d++) scores[t] += query[d] * keys[t * head_dim + d];
        return;
    }
    const integers lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    int64_t vectors = (head_dim + LANES - 1) / LANES;
    for (int64_t v = 0; v < vectors; v += GROUP) {
        int64_t from = v * LANES, left = vectors - v;
        int64_t last = left <= GROUP ? head_dim - LANES - from : (GROUP - 1) * LANES;
        integers counted = lanes >= (int32_t)(left <= GROUP ? vectors * LANES - head_dim : 0);
#define SCORE(parts) score(parts, query + from, counted, keys + from, last, head_dim, count, scores)
        IN_PARTS(SCORE)
    }
}

/* The sum of `count` values, (count, head_dim), weighted and scaled, (head_dim,). */
static void mix_values(
    const float *weights, const float *values, int64_t count, int64_t head_dim, float scale, float *mixed) {
    if (head_dim < LANES) {
        memset(mixed, 0, sizeof(float) * head_dim);
        for (int64_t t = 0; t < count; t++)
            for (int64_t d = 0; d < head_dim; d++) mixed[d] += scale * weights[t] * values[t * head_dim + d];
        return;
    }
    int64_t vectors = (head_dim + LANES - 1) / LANES;
    for (int64_t v = 0; v < vectors; v += GROUP) {
        int64_t from = v * LANES, left = vectors - v;
        int64_t last = left <= GROUP ? head_dim - LANES - from : (GROUP - 1) * LANES;
#define MIX(parts) mix(parts, weights, values + from, last, head_dim, count, scale, mixed + from)
        IN_PARTS(MIX)
    }
}

/* Attention of one head: softmax(query · keys) · values, (head_dim,), over `count` positions, (count, head_dim) each;
   `scores` has room for count + 7. */
static void attend(
    const float *query, const float *keys, const float *values, int64_t count, int64_t head_dim, float *scores,
    float *mixed) {
    score_keys(query, keys, count, head_dim, scores);
    mix_values(scores, values, count, head_dim, exponentials(scores, count), mixed);
}

/* silu(gate) · up, in the place of the gate: each row has `size` gates, and then `size` ups. */
static void swiglu(int64_t rows, float *gates, int64_t size, int64_t stride) {
    for (int64_t r = 0; r < rows; r++, gates += stride) {
        const float *up = gates + size;
        int64_t d = 0;
        for (; d + LANES <= size; d += LANES) {
            vector z = *(const vector *)(gates + d);
            *(vector *)(gates + d) = z / (1.0f + exponential(-z)) * *(const vector *)(up + d);
        }
        for (; d < size; d++) gates[d] = gates[d] / (1.0f + expf(-gates[d])) * up[d];
    }
}
