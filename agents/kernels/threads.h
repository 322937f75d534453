/* Work shared out among threads: those of OpenMP, which are torch's, too. Others would have to wait for these, which stay
   busy for a while after each of its operations. Without OpenMP one thread does it all. */

#include <stdint.h>

typedef struct {
    void (*share)(const void *asked, int64_t first, int64_t last, float *space);
    const void *asked;
    int64_t rows;
    float *space;
} Share;

/* Rows shared out among threads, each with its part of the space, (threads, room). */
static void share_out(Share whole, int64_t room, int64_t threads) {
#pragma omp parallel for num_threads((int)threads) schedule(static, 1)
    for (int64_t t = 0; t < threads; t++)
        whole.share(whole.asked, whole.rows * t / threads, whole.rows * (t + 1) / threads, whole.space + t * room);
}
