/* A Llama: tokens of many rows go through it into its cache, and it writes on by itself, token by token.

   The weights are those of LlamaForward (forward.py): norms and scales are folded in, rotated entries are neighbours.
   Tokens go through all layers in blocks that stay in the processor's cache; rows are shared out among threads. What a
   token gets does not depend on the rows beside its own, nor on whether it came with others of its row or alone, bit for
   bit. */

#include "arithmetic.h"
#include "threads.h"

enum { BLOCK = 48 };

typedef struct {
    const float *qkv, *out, *gate_up, *down;
    float *keys, *values; /* (slots, shared, length, width) */
} Layer;

typedef struct {
    int64_t layers, hidden, heads, shared, width, inner, vocabulary, length; /* length: positions of a row in the cache */
    float epsilon;
    const Layer *layer;
    const float *embedding, *head, *turns; /* turns: (length, width), of each position */
} Llama;

/* One thread's, `llama_room` numbers in all: for each token of a block x, x normed, queries keys and values, what
   attention makes of them, the gates of the MLP, and logits; the weights of one head's attention; and those of a row's. */
typedef struct {
    int64_t hidden, inner, qkv, mixed, vocabulary; /* of rows, padded */
    float *x, *normed, *every, *attended, *gates, *logits, *weights, *chances;
} Room;

static Room arrange(const Llama *m, float *space) {
    Room room = {padded(m->hidden), padded(2 * m->inner), padded((m->heads + 2 * m->shared) * m->width),
                 padded(m->heads * m->width), padded(m->vocabulary), 0, 0, 0, 0, 0, 0, 0, 0};
    room.x = space;
    room.normed = room.x + BLOCK * room.hidden;
    room.every = room.normed + BLOCK * room.hidden;
    room.attended = room.every + BLOCK * room.qkv;
    room.gates = room.attended + BLOCK * room.mixed;
    room.logits = room.gates + BLOCK * room.inner;
    room.weights = room.logits + BLOCK * room.vocabulary;
    room.chances = room.weights + padded(m->length);
    return room;
}

/* The room that one thread needs, in numbers. */
int64_t llama_room(const Llama *m) { return arrange(m, NULL).chances - (float *)NULL + padded(m->vocabulary); }

/* Up to BLOCK tokens, each with its position and its row's slot, into the cache; with `speak`, logits in the room.
   Positions of one row come in order, so that each finds what it attends to. */
static void pass(
    const Llama *m, const Room *room, int64_t count, const int64_t *tokens, const int64_t *positions,
    const int64_t *slots, int speak) {
    int64_t width = m->width, per = m->heads / m->shared, apart = m->length * width;
    for (int64_t r = 0; r < count; r++) {
        float *x = room->x + r * room->hidden;
        memcpy(x, m->embedding + tokens[r] * m->hidden, sizeof(float) * m->hidden);
        memset(x + m->hidden, 0, sizeof(float) * (room->hidden - m->hidden));
    }
    for (const Layer *layer = m->layer; layer < m->layer + m->layers; layer++) {
        normalise(count, room->x, room->normed, room->hidden, m->epsilon);
        multiply(count, room->normed, room->hidden, m->hidden, layer->qkv, room->every, room->qkv, room->qkv, 0);
        for (int64_t r = 0; r < count; r++) {
            float *queries = room->every + r * room->qkv, *keys = queries + m->heads * width;
            rotate(queries, m->heads + m->shared, width, m->turns + positions[r] * width);
            for (int64_t h = 0; h < m->shared; h++) {
                int64_t place = (slots[r] * m->shared + h) * apart + positions[r] * width;
                memcpy(layer->keys + place, keys + h * width, sizeof(float) * width);
                memcpy(layer->values + place, keys + (m->shared + h) * width, sizeof(float) * width);
            }
        }
        if (!speak && layer + 1 == m->layer + m->layers) return; /* of the last layer nothing else is remembered */
        for (int64_t r = 0; r < count; r++)
            for (int64_t h = 0; h < m->heads; h++) {
                int64_t place = (slots[r] * m->shared + h / per) * apart;
                attend(room->every + r * room->qkv + h * width, layer->keys + place, layer->values + place,
                       positions[r] + 1, width, room->weights, room->attended + r * room->mixed + h * width);
            }
        multiply(count, room->attended, room->mixed, m->heads * width, layer->out, room->x, room->hidden, room->hidden, 1);
        normalise(count, room->x, room->normed, room->hidden, m->epsilon);
        multiply(count, room->normed, room->hidden, m->hidden, layer->gate_up, room->gates, room->inner, room->inner, 0);
        gate(count, room->gates, m->inner, room->inner, room->gates, room->inner);
        multiply(count, room->gates, room->inner, m->inner, layer->down, room->x, room->hidden, room->hidden, 1);
    }
    normalise(count, room->x, room->normed, room->hidden, m->epsilon);
    multiply(count, room->normed, room->hidden, m->hidden, m->head, room->logits, room->vocabulary, room->vocabulary, 0);
}

/* What many rows ask for; (rows, each) lie row by row. */
typedef struct {
    const Llama *llama;
    const int64_t *tokens, *positions, *slots; /* (rows, each), (rows, each), (rows,) */
    int64_t each;                              /* tokens of a row */
    float *logits;                             /* (rows, vocabulary) where each row has one token, or NULL */
} Reading;

typedef struct {
    const Llama *llama;
    const int64_t *slots, *positions, *budgets; /* (rows,): where the first token goes; how many to draw, at least 1 */
    int64_t *tokens, *drawn;                    /* (rows, most + 1), of which the first is given; (rows,) */
    float *log_probs;                           /* (rows, most) */
    const float *uniform;                       /* (rows, most), in [0, 1), or NULL for the likeliest tokens */
    const uint8_t *never;                       /* (vocabulary,) */
    int64_t most, end;                          /* after the token `end` a row is done */
    float temperature;
} Writing;

static void read_share(const void *asked, int64_t first, int64_t last, float *space) {
    const Reading *reading = asked;
    const Llama *m = reading->llama;
    Room room = arrange(m, space);
    int64_t each = reading->each, slots[BLOCK];
    for (int64_t from = first * each; from < last * each; from += BLOCK) {
        int64_t count = last * each - from < BLOCK ? last * each - from : BLOCK;
        for (int64_t k = 0; k < count; k++) slots[k] = reading->slots[(from + k) / each];
        pass(m, &room, count, reading->tokens + from, reading->positions + from, slots, reading->logits != NULL);
        for (int64_t k = 0; reading->logits && k < count; k++)
            memcpy(reading->logits + (from + k) * m->vocabulary, room.logits + k * room.vocabulary,
                   sizeof(float) * m->vocabulary);
    }
}

/* Read tokens of some rows. */
void llama_read(const Reading *reading, int64_t rows, float *space, int64_t threads) {
    share_out((Share){read_share, reading, rows, space}, llama_room(reading->llama), threads);
}

/* Draw a token from logits: the first whose cumulative probability is above `uniform`, or the likeliest if that is NULL. */
static int64_t draw(
    const float *logits, int64_t vocabulary, const uint8_t *never, float temperature, const float *uniform,
    float *chances, float *log_prob) {
    int64_t best = -1, token;
    for (int64_t v = 0; v < vocabulary; v++) {
        chances[v] = never[v] ? -INFINITY : logits[v] / temperature;
        if (!never[v] && (best < 0 || chances[v] > chances[best])) best = v;
    }
    float greatest = chances[best], chosen;
    exponentials(chances, vocabulary);
    double sum = 0, seen = 0;
    for (int64_t v = 0; v < vocabulary; v++) sum += chances[v];
    token = best;
    if (uniform)
        for (int64_t v = 0; v < vocabulary; v++)
            if ((seen += chances[v]) > *uniform * sum) {
                token = v;
                break;
            }
    chosen = logits[token] / temperature;
    *log_prob = (float)((double)(chosen - greatest) - log(sum));
    return token;
}

static void write_share(const void *asked, int64_t first, int64_t last, float *space) {
    const Writing *w = asked;
    const Llama *m = w->llama;
    Room room = arrange(m, space);
    int64_t rows[BLOCK], tokens[BLOCK], positions[BLOCK], slots[BLOCK], going = 0;
    for (;;) {
        for (; going < BLOCK && first < last; first++) { /* as some are done others take their places */
            w->drawn[first] = 0;
            rows[going++] = first;
        }
        if (!going) return;
        for (int64_t k = 0; k < going; k++) {
            int64_t row = rows[k], drawn = w->drawn[row];
            tokens[k] = w->tokens[row * (w->most + 1) + drawn];
            positions[k] = w->positions[row] + drawn;
            slots[k] = w->slots[row];
        }
        pass(m, &room, going, tokens, positions, slots, 1);
        int64_t kept = 0;
        for (int64_t k = 0; k < going; k++) {
            int64_t row = rows[k], at = row * w->most + w->drawn[row];
            int64_t token = draw(room.logits + k * room.vocabulary, m->vocabulary, w->never, w->temperature,
                                 w->uniform ? w->uniform + at : NULL, room.chances, w->log_probs + at);
            w->tokens[row * (w->most + 1) + ++w->drawn[row]] = token;
            if (token != w->end && w->drawn[row] < w->budgets[row]) rows[kept++] = row;
        }
        going = kept;
    }
}

/* Let some rows write on. */
void llama_write(const Writing *writing, int64_t rows, float *space, int64_t threads) {
    share_out((Share){write_share, writing, rows, space}, llama_room(writing->llama), threads);
}
