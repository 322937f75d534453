/* One step of a Llama for many rows: a token of each goes in, the logits of what follows come out.

   Plain C with the vector extensions of gcc and clang, for any processor. The rows go through all layers in blocks that
   stay in the processor's cache; what a row gets does not depend on the rows beside it, bit for bit.

   The weights are those of LlamaForward (forward.py): norms and scales are folded in, rotated entries are neighbours.
   A matrix (in, out) is packed as (out / 16, in, 16), its columns filled up with zeros: 16 columns of outcomes for 6 rows
   are what fits into 16 registers of 8 numbers. */

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, PANEL = 16, GROUP = 6, BLOCK = 48, MOST_THREADS = 64 };

typedef float vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(LANES * 4)));

typedef struct {
    int64_t layers, hidden, heads, shared, width, inner, vocabulary, length; /* length: positions of a row in the cache */
    float epsilon;
} Shape;

typedef struct {
    const float *qkv, *out, *gate_up, *down;
    float *keys, *values; /* (slots, shared, length, width) */
} Layer;

static int64_t padded(int64_t columns) { return (columns + PANEL - 1) / PANEL * PANEL; }

static float total(vector x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

/* e^x to 2 units in the last place, for x in [-87, 87]: 2^n · e^r with |r| <= ln(2) / 2 (Cephes' polynomial). */
static inline vector exponential(vector x) {
    const vector zero = {0}, least = zero - 87.0f, most = zero + 87.0f;
    integers below = x < least, above = x > most;
    x = (vector)((below & (integers)least) | (above & (integers)most) | (~(below | above) & (integers)x));
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

/* 16 columns of c = a · w, or c += a · w, for a few rows; `rows` is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void tile(
    const int rows, const float *a, int64_t in, int64_t depth, const float *w, float *c, int64_t out, int add) {
    vector low[GROUP], high[GROUP];
    for (int r = 0; r < rows; r++) low[r] = high[r] = (vector){0};
    for (int64_t k = 0; k < depth; k++, w += PANEL) {
        vector first = *(const vector *)w, second = *(const vector *)(w + LANES);
        for (int r = 0; r < rows; r++) {
            float x = a[r * in + k];
            low[r] += x * first;
            high[r] += x * second;
        }
    }
    for (int r = 0; r < rows; r++) {
        vector *to = (vector *)(c + r * out);
        if (add) low[r] += to[0], high[r] += to[1];
        to[0] = low[r], to[1] = high[r];
    }
}

/* c = a · w, or c += a · w: a (rows, depth) and c (rows, columns), rows `in` and `out` numbers apart; columns padded. */
static void multiply(
    int64_t rows, const float *a, int64_t in, int64_t depth, const float *w, float *c, int64_t out, int64_t columns,
    int add) {
    for (int64_t n = 0; n < columns; n += PANEL, w += depth * PANEL) {
        int64_t r = 0;
        for (; r + GROUP <= rows; r += GROUP) tile(GROUP, a + r * in, in, depth, w, c + r * out + n, out, add);
        const float *rest = a + r * in;
        float *to = c + r * out + n;
        switch (rows - r) {
            case 5: tile(5, rest, in, depth, w, to, out, add); break;
            case 4: tile(4, rest, in, depth, w, to, out, add); break;
            case 3: tile(3, rest, in, depth, w, to, out, add); break;
            case 2: tile(2, rest, in, depth, w, to, out, add); break;
            case 1: tile(1, rest, in, depth, w, to, out, add); break;
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

/* Turn pairs of neighbours as complex numbers. */
static void rotate(float *x, int64_t heads, int64_t width, const float *turns) {
    for (int64_t h = 0; h < heads; h++, x += width)
        for (int64_t d = 0; d < width; d += 2) {
            float real = x[d], imaginary = x[d + 1];
            x[d] = real * turns[d] - imaginary * turns[d + 1];
            x[d + 1] = real * turns[d + 1] + imaginary * turns[d];
        }
}

/* Have the processor fetch numbers that are needed soon: memory keeps pace with arithmetic only if it is asked early. */
static inline void fetch(const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(from + i);
}

/* What a head's query, (width,), makes of `count` keys and values, (count, width); weights has room for count + 8. */
static void attend(
    const float *query, const float *keys, const float *values, int64_t ahead, int64_t count, int64_t width,
    float *weights, float *mixed) {
    int64_t even = width / LANES * LANES;
    float most = -INFINITY;
    for (int64_t t = 0; t < count; t++) {
        const float *key = keys + t * width;
        fetch(key + ahead, width);
        vector products = {0};
        for (int64_t d = 0; d < even; d += LANES) products += *(const vector *)(query + d) * *(const vector *)(key + d);
        float score = total(products);
        for (int64_t d = even; d < width; d++) score += query[d] * key[d];
        weights[t] = score;
        most = score > most ? score : most;
    }
    for (int64_t t = count; t < count + LANES; t++) weights[t] = -INFINITY;
    float sum = 0;
    for (int64_t t = 0; t < count; t += LANES) *(vector *)(weights + t) = exponential(*(vector *)(weights + t) - most);
    for (int64_t t = 0; t < count; t++) sum += weights[t];
    float scale = 1.0f / sum;
    int64_t d = 0;
    for (; d + LANES <= width; d += LANES) {
        vector one = {0}, two = {0}; /* two sums side by side: additions wait for one another */
        int64_t t = 0;
        for (; t + 2 <= count; t += 2) {
            if (!d) fetch(values + t * width + ahead, 2 * width);
            one += weights[t] * *(const vector *)(values + t * width + d);
            two += weights[t + 1] * *(const vector *)(values + (t + 1) * width + d);
        }
        if (t < count) one += weights[t] * *(const vector *)(values + t * width + d);
        *(vector *)(mixed + d) = (one + two) * scale;
    }
    for (; d < width; d++) {
        float one = 0;
        for (int64_t t = 0; t < count; t++) one += weights[t] * values[t * width + d];
        mixed[d] = one * scale;
    }
}

typedef struct {
    const Shape *shape;
    const Layer *layers;
    const float *embedding, *head, *turns;
    const int64_t *tokens, *positions, *slots;
    int64_t first, last;
    float *logits, *room;
} Step;

/* The room that one thread of `llama_step` needs, in numbers. */
int64_t llama_room(const Shape *s) {
    int64_t hidden = padded(s->hidden), inner = padded(2 * s->inner);
    int64_t qkv = padded((s->heads + 2 * s->shared) * s->width), mixed = padded(s->heads * s->width);
    return BLOCK * (2 * hidden + inner + qkv + mixed + padded(s->vocabulary)) + s->length + LANES;
}

static void *some_rows(void *given) {
    const Step *step = given;
    const Shape *s = step->shape;
    const Layer *layers = step->layers;
    const int64_t *positions = step->positions;
    int64_t first = step->first, last = step->last;
    int64_t width = s->width, hidden = padded(s->hidden), inner = padded(2 * s->inner);
    int64_t qkv = padded((s->heads + 2 * s->shared) * width), mix = padded(s->heads * width);
    int64_t vocabulary = padded(s->vocabulary), per = s->heads / s->shared;
    float *x = step->room, *normal = x + BLOCK * hidden, *every = normal + BLOCK * hidden;
    float *mixed = every + BLOCK * qkv, *gated = mixed + BLOCK * mix, *said = gated + BLOCK * inner;
    float *weights = said + BLOCK * vocabulary;
    memset(x, 0, sizeof(float) * BLOCK * hidden);
    for (; first < last; first += BLOCK) {
        int64_t rows = last - first < BLOCK ? last - first : BLOCK;
        for (int64_t r = 0; r < rows; r++)
            memcpy(x + r * hidden, step->embedding + step->tokens[first + r] * s->hidden, sizeof(float) * s->hidden);
        for (const Layer *layer = layers; layer < layers + s->layers; layer++) {
            normalise(rows, x, normal, hidden, s->epsilon);
            multiply(rows, normal, hidden, s->hidden, layer->qkv, every, qkv, qkv, 0);
            for (int64_t r = 0; r < rows; r++) {
                int64_t position = positions[first + r];
                float *queries = every + r * qkv, *keys = queries + s->heads * width, *values = keys + s->shared * width;
                rotate(queries, s->heads + s->shared, width, step->turns + position * width);
                for (int64_t h = 0; h < s->shared; h++) {
                    int64_t start = (step->slots[first + r] * s->shared + h) * s->length * width;
                    float *seen = layer->keys + start, *held = layer->values + start;
                    memcpy(seen + position * width, keys + h * width, sizeof(float) * width);
                    memcpy(held + position * width, values + h * width, sizeof(float) * width);
                    for (int64_t q = h * per; q < (h + 1) * per; q++)
                        attend(queries + q * width, seen, held, s->length * width, position + 1, width, weights, mixed + r * mix + q * width);
                }
            }
            multiply(rows, mixed, mix, s->heads * width, layer->out, x, hidden, hidden, 1);
            normalise(rows, x, normal, hidden, s->epsilon);
            multiply(rows, normal, hidden, s->hidden, layer->gate_up, gated, inner, inner, 0);
            for (int64_t r = 0; r < rows; r++) {
                float *gate = gated + r * inner, *up = gate + s->inner;
                int64_t d = 0;
                for (; d + LANES <= s->inner; d += LANES) {
                    vector z = *(vector *)(gate + d);
                    *(vector *)(gate + d) = z / (1.0f + exponential(-z)) * *(vector *)(up + d);
                }
                for (; d < s->inner; d++) gate[d] = gate[d] / (1.0f + expf(-gate[d])) * up[d];
            }
            multiply(rows, gated, inner, s->inner, layer->down, x, hidden, hidden, 1);
        }
        normalise(rows, x, normal, hidden, s->epsilon);
        multiply(rows, normal, hidden, s->hidden, step->head, said, vocabulary, vocabulary, 0);
        for (int64_t r = 0; r < rows; r++)
            memcpy(step->logits + (first + r) * s->vocabulary, said + r * vocabulary, sizeof(float) * s->vocabulary);
    }
    return NULL;
}

/* A token of each row: tokens, positions, slots in the cache (rows,), all different; logits (rows, vocabulary).
   The rows are shared out among threads, each with its part of the room (threads, llama_room). */
void llama_step(
    const Shape *shape, const Layer *layers, const float *embedding, const float *head, const float *turns,
    const int64_t *tokens, const int64_t *positions, const int64_t *slots, int64_t rows, float *logits, float *room, int64_t threads) {
    pthread_t others[MOST_THREADS];
    Step steps[MOST_THREADS];
    int running[MOST_THREADS];
    threads = threads < MOST_THREADS ? threads : MOST_THREADS;
    for (int64_t t = threads - 1; t >= 0; t--) {
        steps[t] = (Step){shape, layers, embedding, head, turns, tokens, positions, slots, rows * t / threads,
                          rows * (t + 1) / threads, logits, room + t * llama_room(shape)};
        running[t] = t && !pthread_create(&others[t], NULL, some_rows, &steps[t]);
        if (!running[t]) some_rows(&steps[t]); /* the first share is this thread's, and what no thread could be made for */
    }
    for (int64_t t = 1; t < threads; t++)
        if (running[t]) pthread_join(others[t], NULL);
}
