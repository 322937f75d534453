/* Inference of a Llama: tokens of many rows go through it into a key-value cache, and it samples on by itself.

   The weights are those of LlamaForward (llama.py): norms and scales are folded in, and rotated entries are neighbours.
   Blocks of tokens go through all layers while their activations stay in the processor's cache; rows are divided among
   threads. The result for a token does not depend, bit for bit, on the rows beside its own, on the number of threads,
   or on whether it came alone or with other tokens of its row. See docs/kernel.md. */

#include "arithmetic.h"
#include "threads.h"

/* Tokens of a block: a multiple of GROUP, whose activations stay in the second cache of the processor. */
enum { BLOCK = 48 };

typedef struct {
    const float *qkv, *out, *gate_up, *down; /* packed, see arithmetic.h */
    float *keys, *values;                    /* (slots, num_kv_heads, length, head_dim) */
} Layer;

typedef struct {
    int64_t num_layers, hidden_size, num_heads, num_kv_heads, head_dim, intermediate_size, vocab_size;
    int64_t length; /* positions of a row in the cache */
    float epsilon;  /* added to |x|² */
    const Layer *layers;
    const float *embedding; /* (vocab_size, hidden_size) */
    const float *head;      /* packed */
    const float *cos_sin;   /* (length, head_dim / 2, 2) */
} Llama;

/* The workspace of one thread: activations of a block of tokens, row strides padded to whole panels. */
typedef struct {
    int64_t hidden_stride, qkv_stride, attended_stride, gate_stride, vocab_stride;
    int64_t normed, qkv, attended, gates, logits, scores, weights, size; /* offsets, in numbers; x is at 0 */
} Layout;

static Layout layout_of(const Llama *m) {
    Layout w;
    w.hidden_stride = padded(m->hidden_size);
    w.qkv_stride = padded((m->num_heads + 2 * m->num_kv_heads) * m->head_dim);
    w.attended_stride = padded(m->num_heads * m->head_dim);
    w.gate_stride = padded(2 * m->intermediate_size);
    w.vocab_stride = padded(m->vocab_size);
    w.normed = BLOCK * w.hidden_stride;
    w.qkv = w.normed + BLOCK * w.hidden_stride;
    w.attended = w.qkv + BLOCK * w.qkv_stride;
    w.gates = w.attended + BLOCK * w.attended_stride;
    w.logits = w.gates + BLOCK * w.gate_stride;
    w.scores = w.logits + BLOCK * w.vocab_stride; /* attention scores of one head of one token */
    w.weights = w.scores + padded(m->length);     /* unnormalised probabilities of one token */
    w.size = w.weights + w.vocab_stride;
    return w;
}

/* Numbers in the workspace of one thread. */
int64_t llama_workspace_size(const Llama *m) { return layout_of(m).size; }

/* Up to BLOCK tokens, each with its position and its row's slot, into the cache; with `want_logits`, logits into the
   workspace. Positions of one row come in order, so that each token finds those it attends to. */
static void forward(
    const Llama *m, float *workspace, int64_t count, const int64_t *tokens, const int64_t *positions,
    const int64_t *slots, int want_logits) {
    const Layout w = layout_of(m);
    float *hidden = workspace, *normed = workspace + w.normed, *qkv = workspace + w.qkv;
    float *attended = workspace + w.attended, *gates = workspace + w.gates;
    int64_t head_dim = m->head_dim, heads_per_kv = m->num_heads / m->num_kv_heads, kv_stride = m->length * head_dim;
    for (int64_t r = 0; r < count; r++) {
        float *x = hidden + r * w.hidden_stride;
        memcpy(x, m->embedding + tokens[r] * m->hidden_size, sizeof(float) * m->hidden_size);
        memset(x + m->hidden_size, 0, sizeof(float) * (w.hidden_stride - m->hidden_size));
    }
    for (const Layer *layer = m->layers; layer < m->layers + m->num_layers; layer++) {
        normalise(count, hidden, normed, w.hidden_stride, m->epsilon);
        matmul(count, normed, w.hidden_stride, m->hidden_size, layer->qkv, qkv, w.qkv_stride, w.qkv_stride, 0);
        for (int64_t r = 0; r < count; r++) {
            float *queries = qkv + r * w.qkv_stride, *keys = queries + m->num_heads * head_dim;
            apply_rope(queries, m->num_heads + m->num_kv_heads, head_dim, m->cos_sin + positions[r] * head_dim);
            for (int64_t h = 0; h < m->num_kv_heads; h++) {
                int64_t at = (slots[r] * m->num_kv_heads + h) * kv_stride + positions[r] * head_dim;
                memcpy(layer->keys + at, keys + h * head_dim, sizeof(float) * head_dim);
                memcpy(layer->values + at, keys + (m->num_kv_heads + h) * head_dim, sizeof(float) * head_dim);
            }
        }
        /* Keys and values are all that is kept of the last layer. */
        if (!want_logits && layer + 1 == m->layers + m->num_layers) return;
        for (int64_t r = 0; r < count; r++)
            for (int64_t h = 0; h < m->num_heads; h++) {
                int64_t at = (slots[r] * m->num_kv_heads + h / heads_per_kv) * kv_stride;
                attend(qkv + r * w.qkv_stride + h * head_dim, layer->keys + at, layer->values + at, positions[r] + 1,
                       head_dim, workspace + w.scores, attended + r * w.attended_stride + h * head_dim);
            }
        matmul(count, attended, w.attended_stride, m->num_heads * head_dim, layer->out, hidden, w.hidden_stride,
               w.hidden_stride, 1);
        normalise(count, hidden, normed, w.hidden_stride, m->epsilon);
        matmul(count, normed, w.hidden_stride, m->hidden_size, layer->gate_up, gates, w.gate_stride, w.gate_stride, 0);
        swiglu(count, gates, m->intermediate_size, w.gate_stride);
        matmul(count, gates, w.gate_stride, m->intermediate_size, layer->down, hidden, w.hidden_stride,
               w.hidden_stride, 1);
    }
    normalise(count, hidden, normed, w.hidden_stride, m->epsilon);
    matmul(count, normed, w.hidden_stride, m->hidden_size, m->head, workspace + w.logits, w.vocab_stride,
           w.vocab_stride, 0);
}

/* Tokens of many rows, (rows, tokens_per_row), row by row. */
typedef struct {
    const Llama *llama;
    const int64_t *tokens, *positions; /* (rows, tokens_per_row) */
    const int64_t *slots;              /* (rows,) */
    int64_t tokens_per_row;
    float *logits; /* (rows, vocab_size), with one token for each row; or NULL */
} ForwardArguments;

typedef struct {
    const Llama *llama;
    const int64_t *slots, *positions; /* (rows,), of the first token */
    const int64_t *budgets;           /* (rows,), the most tokens to sample, from 1 to max_tokens */
    int64_t *tokens;                  /* (rows, max_tokens + 1), of which the first is given */
    int64_t *lengths;                 /* (rows,), sampled tokens */
    float *log_probs;                 /* (rows, max_tokens) */
    const float *uniform;             /* (rows, max_tokens), in [0, 1); or NULL for the most likely tokens */
    const uint8_t *forbidden;         /* (vocab_size,), tokens of probability 0; not all */
    int64_t max_tokens, end;          /* a row stops after the token `end` */
    float temperature;
} GenerateArguments;

/* Sizes of the structures, and columns of a panel, to be compared with those of compiled.py. */
const int64_t llama_sizes[] = {
    sizeof(Layer), sizeof(Llama), sizeof(ForwardArguments), sizeof(GenerateArguments), PANEL};

static void forward_rows(const void *arguments, int64_t first, int64_t last, float *workspace) {
    const ForwardArguments *a = arguments;
    const Llama *m = a->llama;
    const Layout w = layout_of(m);
    int64_t slots[BLOCK];
    for (int64_t from = first * a->tokens_per_row; from < last * a->tokens_per_row; from += BLOCK) {
        int64_t left = last * a->tokens_per_row - from, count = left < BLOCK ? left : BLOCK;
        for (int64_t k = 0; k < count; k++) slots[k] = a->slots[(from + k) / a->tokens_per_row];
        forward(m, workspace, count, a->tokens + from, a->positions + from, slots, a->logits != NULL);
        for (int64_t k = 0; a->logits && k < count; k++)
            memcpy(a->logits + (from + k) * m->vocab_size, workspace + w.logits + k * w.vocab_stride,
                   sizeof(float) * m->vocab_size);
    }
}

/* Add tokens of some rows to the cache; logits after them, if wanted. */
void llama_forward(const ForwardArguments *arguments, int64_t rows, float *workspace, int64_t threads) {
    run_in_threads((Job){forward_rows, arguments, rows, workspace}, llama_workspace_size(arguments->llama), threads);
}

/* Sample a token: the first whose cumulative probability is above `uniform`, or the most likely one if that is NULL. */
static int64_t sample(
    const float *logits, int64_t vocab_size, const uint8_t *forbidden, float temperature, const float *uniform,
    float *weights, float *log_prob) {
    int64_t best = -1, token;
    for (int64_t v = 0; v < vocab_size; v++) {
        weights[v] = forbidden[v] ? -INFINITY : logits[v] / temperature;
        if (!forbidden[v] && (best < 0 || weights[v] > weights[best])) best = v;
    }
    float greatest = weights[best];
    exponentials(weights, vocab_size);
    double sum = 0, cumulative = 0;
    for (int64_t v = 0; v < vocab_size; v++) sum += weights[v];
    token = best;
    if (uniform)
        for (int64_t v = 0; v < vocab_size; v++)
            if ((cumulative += weights[v]) > *uniform * sum) {
                token = v;
                break;
            }
    *log_prob = (float)((double)(logits[token] / temperature - greatest) - log(sum));
    return token;
}

static void generate_rows(const void *arguments, int64_t first, int64_t last, float *workspace) {
    const GenerateArguments *a = arguments;
    const Llama *m = a->llama;
    const Layout w = layout_of(m);
    int64_t rows[BLOCK], tokens[BLOCK], positions[BLOCK], slots[BLOCK], running = 0;
    for (;;) {
        for (; running < BLOCK && first < last; first++) { /* new rows take the places of those that stopped */
            a->lengths[first] = 0;
            rows[running++] = first;
        }
        if (!running) return;
        for (int64_t k = 0; k < running; k++) {
            int64_t row = rows[k], length = a->lengths[row];
            tokens[k] = a->tokens[row * (a->max_tokens + 1) + length];
            positions[k] = a->positions[row] + length;
            slots[k] = a->slots[row];
        }
        forward(m, workspace, running, tokens, positions, slots, 1);
        int64_t kept = 0;
        for (int64_t k = 0; k < running; k++) {
            int64_t row = rows[k], at = row * a->max_tokens + a->lengths[row];
            int64_t token = sample(
                workspace + w.logits + k * w.vocab_stride, m->vocab_size, a->forbidden, a->temperature,
                a->uniform ? a->uniform + at : NULL, workspace + w.weights, a->log_probs + at);
            a->tokens[row * (a->max_tokens + 1) + ++a->lengths[row]] = token;
            if (token != a->end && a->lengths[row] < a->budgets[row]) rows[kept++] = row;
        }
        running = kept;
    }
}

/* Add one token of each row to the cache, and sample the tokens that follow. */
void llama_generate(const GenerateArguments *arguments, int64_t rows, float *workspace, int64_t threads) {
    run_in_threads((Job){generate_rows, arguments, rows, workspace}, llama_workspace_size(arguments->llama), threads);
}
