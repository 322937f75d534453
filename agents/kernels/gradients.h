/* Gradients of the arithmetic of transformers (arithmetic.h): from those of an outcome to those of what it is made of. */

#include "arithmetic.h"

/* 16 columns of w += aᵀ · b for a few columns of a; `some` is a constant wherever this is inlined. Those of a and of b lie
   packed, (rows, GROUP) and (rows, PANEL). */
static inline __attribute__((always_inline)) void cross_tile(
    const int some, int64_t rows, const float *a, const float *b, float *w, int64_t apart) {
    vector low[GROUP], high[GROUP];
    for (int c = 0; c < some; c++) {
        low[c] = high[c] = (vector){0};
        __builtin_prefetch(w + c * apart);
    }
    for (int64_t r = 0; r < rows; r++, a += GROUP, b += PANEL) {
        vector first = *(const vector *)b, second = *(const vector *)(b + LANES);
        for (int c = 0; c < some; c++) {
            low[c] += a[c] * first;
            high[c] += a[c] * second;
        }
    }
    for (int c = 0; c < some; c++) {
        vector *to = (vector *)(w + c * apart);
        to[0] += low[c], to[1] += high[c];
    }
}

/* The numbers that `cross` needs beside. */
static int64_t cross_room(int64_t rows, int64_t columns) { return rows * (PANEL + columns + GROUP); }

/* w += aᵀ · b, the gradient of weights: a (rows, in), b (rows, columns), rows `ahead` and `apart` numbers after one
   another, w (in, columns); columns padded. */
static void cross(
    int64_t rows, const float *a, int64_t in, int64_t ahead, const float *b, int64_t columns, int64_t apart, float *w,
    float *space) {
    float *panel = space, *packed = space + rows * PANEL;
    for (int64_t c = 0; c < in; c++)
        for (int64_t r = 0; r < rows; r++) packed[(c - c % GROUP) * rows + r * GROUP + c % GROUP] = a[r * ahead + c];
    for (int64_t n = 0; n < columns; n += PANEL) {
        for (int64_t r = 0; r < rows; r++) memcpy(panel + r * PANEL, b + r * apart + n, sizeof(float) * PANEL);
        int64_t c = 0;
        for (; c + GROUP <= in; c += GROUP) cross_tile(GROUP, rows, packed + c * rows, panel, w + c * columns + n, columns);
        switch (in - c) {
            case 5: cross_tile(5, rows, packed + c * rows, panel, w + c * columns + n, columns); break;
            case 4: cross_tile(4, rows, packed + c * rows, panel, w + c * columns + n, columns); break;
            case 3: cross_tile(3, rows, packed + c * rows, panel, w + c * columns + n, columns); break;
            case 2: cross_tile(2, rows, packed + c * rows, panel, w + c * columns + n, columns); break;
            case 1: cross_tile(1, rows, packed + c * rows, panel, w + c * columns + n, columns); break;
        }
    }
}

static float dot(const float *a, const float *b, int64_t count) {
    vector sum = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) sum += *(const vector *)(a + i) * *(const vector *)(b + i);
    float rest = total(sum);
    for (; i < count; i++) rest += a[i] * b[i];
    return rest;
}

static inline void add_scaled(float *to, float scale, const float *what, int64_t count) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) *(vector *)(to + i) += scale * *(const vector *)(what + i);
    for (; i < count; i++) to[i] += scale * what[i];
}

/* Of y = scale · x / n with n = sqrt(|x|² / hidden + epsilon), `scaled_norm`: of z = x / n, dscale = dy z and, with
   dz = dy scale, dx = (dz - z (z · dz) / hidden) / n. Both are added; columns are padded. */
static void scaled_norm_back(
    int64_t rows, const float *x, const float *scale, const float *dy, float *dx, float *dscale, int64_t hidden,
    float epsilon) {
    int64_t columns = padded(hidden);
    for (int64_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns) {
        float over = 1.0f / sqrtf(dot(x, x, columns) / hidden + epsilon);
        vector sum = {0};
        for (int64_t d = 0; d < columns; d += LANES) {
            vector given = *(const vector *)(dy + d), z = *(const vector *)(x + d) * over;
            *(vector *)(dscale + d) += given * z;
            sum += given * *(const vector *)(scale + d) * z;
        }
        float share = total(sum) / hidden;
        for (int64_t d = 0; d < columns; d += LANES) {
            vector given = *(const vector *)(dy + d) * *(const vector *)(scale + d);
            *(vector *)(dx + d) += (given - *(const vector *)(x + d) * (over * share)) * over;
        }
    }
}

/* Of `gate`: y = z σ(z) u, so du = dy z σ(z) and dz = dy u σ(z) (1 + z (1 - σ(z))). */
static void gate_back(
    int64_t rows, const float *gates, int64_t inner, int64_t apart, const float *dy, int64_t stride, float *found) {
    for (int64_t r = 0; r < rows; r++, gates += apart, found += apart, dy += stride) {
        int64_t d = 0;
        for (; d + LANES <= inner; d += LANES) {
            vector z = *(const vector *)(gates + d), up = *(const vector *)(gates + inner + d);
            vector given = *(const vector *)(dy + d), open = 1.0f / (1.0f + exponential(-z));
            *(vector *)(found + d) = given * up * open * (1.0f + z * (1.0f - open));
            *(vector *)(found + inner + d) = given * z * open;
        }
        for (; d < inner; d++) {
            float z = gates[d], open = 1.0f / (1.0f + expf(-z));
            found[d] = dy[d] * gates[inner + d] * open * (1.0f + z * (1.0f - open));
            found[inner + d] = dy[d] * z * open;
        }
    }
}

/* Of `attend`, which made `mixed` of a query and `count` keys and values: dquery, and what is added to dkeys and dvalues;
   weights and slopes have room for count + 7. With weights p = softmax(s) of scores s, ds = p (dp - dmixed · mixed). */
static void attend_back(
    const float *query, const float *keys, const float *values, int64_t count, int64_t width, const float *mixed,
    const float *dmixed, float *weights, float *slopes, float *dquery, float *dkeys, float *dvalues) {
    products(query, keys, count, width, weights);
    float scale = exponentials(weights, count), mean = dot(dmixed, mixed, width);
    products(dmixed, values, count, width, slopes);
    for (int64_t t = 0; t < count; t++) {
        weights[t] *= scale;
        slopes[t] = weights[t] * (slopes[t] - mean);
        add_scaled(dkeys + t * width, slopes[t], query, width);
        add_scaled(dvalues + t * width, weights[t], dmixed, width);
    }
    mixture(slopes, keys, count, width, 1.0f, dquery);
}
