/* What a training pass is asked, and where everything lies in its memory (training.c). */

#include "gradients.h"

enum { BLOCK = 96 };

/* The weights of a layer, as torch has them: (out, in), and norms' scales, (1, in). */
enum { NORM, QUERY, KEY, VALUE, OUT, MLP_NORM, GATE, UP, DOWN, PARTS };

typedef struct {
    int64_t begin, count;    /* its tokens */
    int64_t opening, shared; /* and those before it that it attends to, too */
} Segment;

typedef struct {
    int64_t layers, hidden, heads, shared, width, inner;
    float epsilon;
    const float **weights;    /* PARTS of each layer, and the scale of the last norm */
    const float *turns;       /* (positions, width): cosines, then sines */
    int64_t tokens;           /* N */
    const int64_t *positions; /* (N,) */
    const Segment *segments;
    const int64_t *rows;   /* where the segments of each row begin, and the last ends */
    const int64_t *shares; /* where the rows of each thread begin, and the last ends */
    int64_t largest, longest; /* tokens of a row; tokens that one attends to */
    float *packed;         /* see `pack` */
    float *tape;           /* for the way back, or NULL */
    const float *x;        /* (N, hidden), what goes in */
    float *y;              /* (N, hidden), what comes out, normed */
    const float *dy;       /* (N, hidden) */
    float *dx;             /* (N, hidden) */
    float *gradients;      /* (threads, …): of each weight, (out, in padded) */
} Training;

/* The most tokens that go through the layers together: fewer than a block, and a row. */
static int64_t most_of(const Training *m) { return BLOCK + m->largest; }

typedef struct {
    int64_t out, in;
} Shape;

static Shape shape_of(const Training *m, int part) {
    switch (part) {
        case QUERY: return (Shape){m->heads * m->width, m->hidden};
        case KEY: case VALUE: return (Shape){m->shared * m->width, m->hidden};
        case OUT: return (Shape){m->hidden, m->heads * m->width};
        case GATE: case UP: return (Shape){m->inner, m->hidden};
        case DOWN: return (Shape){m->hidden, m->inner};
        default: return (Shape){1, m->hidden};
    }
}

/* Numbers of the parts before one, of each layer before and in its own; of gradients, or of matrices packed both ways. */
static int64_t before(const Training *m, int64_t layer, int part, int packed) {
    int64_t sum = 0, each = 0;
    for (int p = 0; p < PARTS; p++) {
        Shape shape = shape_of(m, p);
        if (p == part) sum = each;
        each += shape.out * padded(shape.in) + (packed ? padded(shape.out) * shape.in : 0);
    }
    return layer * each + sum;
}

int64_t training_gradients(const Training *m) { return before(m, m->layers, 0, 0) + padded(m->hidden); }

int64_t training_packed(const Training *m) { return before(m, m->layers, 0, 1) + padded(m->hidden); }

static float *gradient(const Training *m, int64_t thread, int64_t layer, int part) {
    return m->gradients + thread * training_gradients(m) + before(m, layer, part, 0);
}

/* Weights packed for the way back, as a matrix (out, in), which a scale is, too; those for the way there lie behind. */
static float *packed_back(const Training *m, int64_t layer, int part) { return m->packed + before(m, layer, part, 1); }

static float *packed_there(const Training *m, int64_t layer, int part) {
    Shape shape = shape_of(m, part);
    return packed_back(m, layer, part) + shape.out * padded(shape.in);
}

/* Of rows, in numbers, padded; where several matrices write side by side, with room for the padding of the last. */
typedef struct {
    int64_t x, qkv, mixed, gates, inner, tape;
} Sizes;

static Sizes sizes_of(const Training *m) {
    int64_t values = m->shared * m->width;
    Sizes s = {padded(m->hidden), padded(m->heads * m->width + values + padded(values)), padded(m->heads * m->width),
               padded(m->inner + padded(m->inner)), padded(m->inner), 0};
    s.tape = 2 * s.x + s.qkv + s.mixed + s.gates;
    return s;
}

/* The numbers of a tape. */
int64_t training_tape(const Training *m) { return m->tokens * (m->layers * sizes_of(m).tape + sizes_of(m).x); }

/* One thread's, for tokens that go through the layers together: x normed; the inside of the MLP; gradients of the residual
   stream, of x normed, of the inside, of the gates, of what attention made, of queries, keys and values. For a head's
   attention keys and values with their gradients, weights and theirs; for products of columns; and a layer's tape, where
   none is kept. */
typedef struct {
    float *normed, *inside, *dx, *dnormed, *dinside, *dgates, *dmixed, *dqkv;
    float *keys, *values, *dkeys, *dvalues, *weights, *slopes, *space, *tape, *end;
} Room;

static Room arrange(const Training *m, float *space) {
    Sizes s = sizes_of(m);
    int64_t most = most_of(m), head = m->longest * m->width, weights = padded(m->longest), widest = s.x;
    widest = s.gates > widest ? s.gates : widest;
    widest = s.qkv > widest ? s.qkv : widest;
    Room room;
    room.normed = space;
    room.inside = room.normed + most * s.x;
    room.dx = room.inside + most * s.inner;
    room.dnormed = room.dx + most * s.x;
    room.dinside = room.dnormed + most * s.x;
    room.dgates = room.dinside + most * s.inner;
    room.dmixed = room.dgates + most * s.gates;
    room.dqkv = room.dmixed + most * s.mixed;
    room.keys = room.dqkv + most * s.qkv;
    room.values = room.keys + head;
    room.dkeys = room.values + head;
    room.dvalues = room.dkeys + head;
    room.weights = room.dvalues + head;
    room.slopes = room.weights + weights;
    room.space = room.slopes + weights;
    room.tape = room.space + cross_room(BLOCK, widest);
    room.end = room.tape + (m->tape ? 0 : most * s.tape);
    return room;
}

/* The room that one thread needs, in numbers. */
int64_t training_room(const Training *m) { return arrange(m, NULL).end - (float *)NULL; }

/* What the tape keeps of tokens in a layer: what comes in; queries, keys and values, turned; what attention makes of them;
   the sum of it and what came in; and the gates of the MLP, (tokens, …) each. What comes out is the next layer's x. */
typedef struct {
    float *x, *qkv, *mixed, *between, *gates;
} Tape;

static Tape tape_of(const Training *m, const Room *room, int64_t layer, int64_t first) {
    Sizes s = sizes_of(m);
    int64_t rows = m->tape ? m->tokens : most_of(m);
    float *tape = m->tape ? m->tape + layer * rows * s.tape : room->tape;
    first = m->tape ? first : 0;
    return (Tape){tape + first * s.x, tape + rows * s.x + first * s.qkv, tape + rows * (s.x + s.qkv) + first * s.mixed,
                  tape + rows * (s.x + s.qkv + s.mixed) + first * s.x,
                  tape + rows * (2 * s.x + s.qkv + s.mixed) + first * s.gates};
}
