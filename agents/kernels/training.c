/* A Llama's pass over whole episodes, and back again: from the gradient of what it makes of them to that of its weights.

   Tokens lie one after another in segments. Those of a segment attend to one another causally, and to all of an earlier
   one, the opening that several episodes share. Segments that are so tied together make a row. Some rows at a time go
   through all layers, so that what they need stays in the processor's cache; on the way there a tape keeps what the way
   back needs. Each thread sums up gradients for itself. */

#include "threads.h"
#include "training.h"

/* Pack some of all weights. */
static void pack(const void *asked, int64_t first, int64_t last, float *space) {
    const Training *m = asked;
    for (int64_t i = first; i < last; i++) {
        Shape s = shape_of(m, i % PARTS);
        const float *w = m->weights[i];
        float *back = packed_back(m, i / PARTS, i % PARTS), *there = packed_there(m, i / PARTS, i % PARTS);
        memset(back, 0, sizeof(float) * s.out * padded(s.in));
        for (int64_t n = 0; n < s.out; n++)
            for (int64_t k = 0; k < s.in; k++) back[(k - k % PANEL) * s.out + n * PANEL + k % PANEL] = w[n * s.in + k];
        if (i % PARTS == NORM || i % PARTS == MLP_NORM) continue;
        memset(there, 0, sizeof(float) * padded(s.out) * s.in);
        for (int64_t n = 0; n < s.out; n++)
            for (int64_t k = 0; k < s.in; k++) there[(n - n % PANEL) * s.in + k * PANEL + n % PANEL] = w[n * s.in + k];
    }
}

/* c = a · wᵀ, or c += a · wᵀ, of a part w of a layer; `from` and `to` are the numbers of rows of a and c. What is padded
   goes beyond its columns: the neighbours on the right come after. */
static void there(
    const Training *m, int64_t layer, int part, int64_t rows, const float *a, int64_t from, float *c, int64_t to, int add) {
    Shape s = shape_of(m, part);
    for (int64_t r = 0; r < rows; r += BLOCK)
        multiply(rows - r < BLOCK ? rows - r : BLOCK, a + r * from, from, s.in, packed_there(m, layer, part), c + r * to, to,
                 padded(s.out), add);
}

/* Of c = a · wᵀ: dw += dcᵀ · a, and da = dc · w, or da += dc · w. */
static void back(
    const Training *m, const Room *room, int64_t thread, int64_t layer, int part, int64_t rows, const float *a, int64_t from,
    const float *dc, int64_t to, float *da, int64_t apart, int add) {
    Shape s = shape_of(m, part);
    for (int64_t r = 0; r < rows; r += BLOCK) {
        int64_t some = rows - r < BLOCK ? rows - r : BLOCK;
        cross(some, dc + r * to, s.out, to, a + r * from, padded(s.in), from, gradient(m, thread, layer, part), room->space);
        multiply(some, dc + r * to, to, s.out, packed_back(m, layer, part), da + r * apart, apart, padded(s.in), add);
    }
}

static void gather(const float *from, int64_t rows, int64_t apart, int64_t width, float *to) {
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * width, from + r * apart, sizeof(float) * width);
}

static void scatter(const float *from, int64_t rows, int64_t apart, int64_t width, float *to) {
    for (int64_t r = 0; r < rows; r++) add_scaled(to + r * apart, 1.0f, from + r * width, width);
}

/* Attention of a segment, or the way back through it; `first` is the token that the tape and the room begin with. */
static void attention(
    const Training *m, const Room *room, const Tape *tape, const Segment *segment, int64_t first, int way_back) {
    Sizes s = sizes_of(m);
    int64_t width = m->width, per = m->heads / m->shared, from = (segment->begin - first) * s.qkv;
    int64_t opening = (segment->opening - first) * s.qkv, shared = segment->shared, all = shared + segment->count;
    for (int64_t h = 0; h < m->shared; h++) {
        int64_t key = (m->heads + h) * width, value = key + m->shared * width;
        gather(tape->qkv + opening + key, shared, s.qkv, width, room->keys);
        gather(tape->qkv + from + key, segment->count, s.qkv, width, room->keys + shared * width);
        gather(tape->qkv + opening + value, shared, s.qkv, width, room->values);
        gather(tape->qkv + from + value, segment->count, s.qkv, width, room->values + shared * width);
        if (way_back) {
            memset(room->dkeys, 0, sizeof(float) * all * width);
            memset(room->dvalues, 0, sizeof(float) * all * width);
        }
        for (int64_t q = h * per * width; q < (h + 1) * per * width; q += width)
            for (int64_t i = 0; i < segment->count; i++) {
                int64_t asked = from + i * s.qkv + q, place = (segment->begin - first + i) * s.mixed + q;
                if (way_back)
                    attend_back(tape->qkv + asked, room->keys, room->values, shared + i + 1, width, tape->mixed + place,
                                room->dmixed + place, room->weights, room->slopes, room->dqkv + asked, room->dkeys,
                                room->dvalues);
                else
                    attend(tape->qkv + asked, room->keys, room->values, shared + i + 1, width, room->weights,
                           tape->mixed + place);
            }
        if (way_back) {
            scatter(room->dkeys, shared, s.qkv, width, room->dqkv + opening + key);
            scatter(room->dkeys + shared * width, segment->count, s.qkv, width, room->dqkv + from + key);
            scatter(room->dvalues, shared, s.qkv, width, room->dqkv + opening + value);
            scatter(room->dvalues + shared * width, segment->count, s.qkv, width, room->dqkv + from + value);
        }
    }
}

/* Turn the halves of heads as complex numbers, `way` 1 or, back, -1; and scale them. */
static void turn(float *x, int64_t heads, int64_t width, const float *turns, float way, float scale) {
    int64_t half = width / 2;
    for (int64_t h = 0; h < heads; h++, x += width)
        for (int64_t d = 0; d < half; d++) {
            float real = x[d] * scale, imaginary = x[d + half] * scale;
            x[d] = real * turns[d] - imaginary * way * turns[d + half];
            x[d + half] = imaginary * turns[d] + real * way * turns[d + half];
        }
}

/* Turn queries and keys of some tokens, and divide queries by what attention's scores are to be divided by. */
static void turn_all(const Training *m, int64_t first, int64_t count, float *qkv, float way) {
    float scale = 1.0f / sqrtf(m->width);
    for (int64_t r = 0; r < count; r++, qkv += sizes_of(m).qkv) {
        const float *turns = m->turns + m->positions[first + r] * m->width;
        turn(qkv, m->heads, m->width, turns, way, scale);
        turn(qkv + m->heads * m->width, m->shared, m->width, turns, way, 1.0f);
    }
}

/* y = scale · x / sqrt(|x|² / hidden + epsilon), row by row. */
static void scaled_norm(const Training *m, int64_t layer, int part, int64_t rows, const float *x, float *y) {
    const float *scale = packed_back(m, layer, part);
    int64_t columns = padded(m->hidden);
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        float over = 1.0f / sqrtf(dot(x, x, columns) / m->hidden + m->epsilon);
        for (int64_t d = 0; d < columns; d += LANES)
            *(vector *)(y + d) = *(const vector *)(x + d) * *(const vector *)(scale + d) * over;
    }
}

/* Rows of `hidden` numbers into padded ones. */
static void widen(const float *from, int64_t rows, int64_t hidden, float *to) {
    for (int64_t r = 0; r < rows; r++) {
        memcpy(to + r * padded(hidden), from + r * hidden, sizeof(float) * hidden);
        memset(to + r * padded(hidden) + hidden, 0, sizeof(float) * (padded(hidden) - hidden));
    }
}

static void narrow(const float *from, int64_t rows, int64_t hidden, float *to) {
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * hidden, from + r * padded(hidden), sizeof(float) * hidden);
}

/* Some segments, which hold `count` tokens from `first` on, through all layers. */
static void go(
    const Training *m, const Room *room, const Segment *segment, const Segment *end, int64_t first, int64_t count) {
    Sizes s = sizes_of(m);
    Tape tape = tape_of(m, room, 0, first);
    widen(m->x + first * m->hidden, count, m->hidden, tape.x);
    for (int64_t l = 0; l < m->layers; l++) {
        Tape next = tape_of(m, room, l + 1, first);
        float *keys = tape.qkv + m->heads * m->width, *values = keys + m->shared * m->width;
        scaled_norm(m, l, NORM, count, tape.x, room->normed);
        there(m, l, QUERY, count, room->normed, s.x, tape.qkv, s.qkv, 0);
        there(m, l, KEY, count, room->normed, s.x, keys, s.qkv, 0);
        there(m, l, VALUE, count, room->normed, s.x, values, s.qkv, 0);
        turn_all(m, first, count, tape.qkv, 1.0f);
        for (const Segment *one = segment; one < end; one++) attention(m, room, &tape, one, first, 0);
        memcpy(tape.between, tape.x, sizeof(float) * count * s.x);
        there(m, l, OUT, count, tape.mixed, s.mixed, tape.between, s.x, 1);
        scaled_norm(m, l, MLP_NORM, count, tape.between, room->normed);
        there(m, l, GATE, count, room->normed, s.x, tape.gates, s.gates, 0);
        there(m, l, UP, count, room->normed, s.x, tape.gates + m->inner, s.gates, 0);
        gate(count, tape.gates, m->inner, s.gates, room->inside, s.inner);
        memcpy(next.x, tape.between, sizeof(float) * count * s.x);
        there(m, l, DOWN, count, room->inside, s.inner, next.x, s.x, 1);
        tape = next;
    }
    scaled_norm(m, m->layers, NORM, count, tape.x, room->normed);
    narrow(room->normed, count, m->hidden, m->y + first * m->hidden);
}

/* And back. */
static void go_back(
    const Training *m, const Room *room, int64_t thread, const Segment *segment, const Segment *end, int64_t first,
    int64_t count) {
    Sizes s = sizes_of(m);
    int64_t n = m->layers, keys = m->heads * m->width, values = keys + m->shared * m->width;
    widen(m->dy + first * m->hidden, count, m->hidden, room->dnormed);
    memset(room->dx, 0, sizeof(float) * count * s.x);
    scaled_norm_back(count, tape_of(m, room, n, first).x, packed_back(m, n, NORM), room->dnormed, room->dx,
                     gradient(m, thread, n, NORM), m->hidden, m->epsilon);
    for (int64_t l = n - 1; l >= 0; l--) {
        Tape tape = tape_of(m, room, l, first);
        gate(count, tape.gates, m->inner, s.gates, room->inside, s.inner);
        back(m, room, thread, l, DOWN, count, room->inside, s.inner, room->dx, s.x, room->dinside, s.inner, 0);
        gate_back(count, tape.gates, m->inner, s.gates, room->dinside, s.inner, room->dgates);
        scaled_norm(m, l, MLP_NORM, count, tape.between, room->normed);
        back(m, room, thread, l, GATE, count, room->normed, s.x, room->dgates, s.gates, room->dnormed, s.x, 0);
        back(m, room, thread, l, UP, count, room->normed, s.x, room->dgates + m->inner, s.gates, room->dnormed, s.x, 1);
        scaled_norm_back(count, tape.between, packed_back(m, l, MLP_NORM), room->dnormed, room->dx,
                         gradient(m, thread, l, MLP_NORM), m->hidden, m->epsilon);

        back(m, room, thread, l, OUT, count, tape.mixed, s.mixed, room->dx, s.x, room->dmixed, s.mixed, 0);
        memset(room->dqkv, 0, sizeof(float) * count * s.qkv);
        for (const Segment *one = segment; one < end; one++) attention(m, room, &tape, one, first, 1);
        turn_all(m, first, count, room->dqkv, -1.0f);
        scaled_norm(m, l, NORM, count, tape.x, room->normed);
        back(m, room, thread, l, QUERY, count, room->normed, s.x, room->dqkv, s.qkv, room->dnormed, s.x, 0);
        back(m, room, thread, l, KEY, count, room->normed, s.x, room->dqkv + keys, s.qkv, room->dnormed, s.x, 1);
        back(m, room, thread, l, VALUE, count, room->normed, s.x, room->dqkv + values, s.qkv, room->dnormed, s.x, 1);
        scaled_norm_back(count, tape.x, packed_back(m, l, NORM), room->dnormed, room->dx, gradient(m, thread, l, NORM),
                         m->hidden, m->epsilon);
    }
    narrow(room->dx, count, m->hidden, m->dx + first * m->hidden);
}

/* One thread's rows, some at a time. */
static void share(const void *asked, int64_t thread, int64_t last, float *space) {
    const Training *m = asked;
    Room room = arrange(m, space);
    for (int64_t row = m->shares[thread], next; row < m->shares[last]; row = next) {
        const Segment *segment = m->segments + m->rows[row], *end = segment;
        int64_t first = segment->begin, stop = first;
        for (next = row; next < m->shares[last] && stop - first < BLOCK; next++) {
            end = m->segments + m->rows[next + 1];
            stop = end[-1].begin + end[-1].count;
        }
        if (m->gradients) go_back(m, &room, thread, segment, end, first, stop - first);
        else go(m, &room, segment, end, first, stop - first);
    }
}

/* There, or, with room for gradients, back, for which what was packed on the way there is needed. */
void training_pass(const Training *m, float *space, int64_t threads) {
    if (!m->gradients) share_out((Share){pack, m, m->layers * PARTS + 1, NULL}, 0, threads);
    share_out((Share){share, m, threads, space}, training_room(m), threads);
}
