/* Rows divided among threads. They are OpenMP's, which torch uses as well: torch's threads stay busy for a while after
   each operation, and other threads would have to wait for a core. Without OpenMP one thread does all. */

#include <stdint.h>

typedef struct {
    void (*run)(const void *arguments, int64_t first, int64_t last, float *workspace); /* rows first..last - 1 */
    const void *arguments;
    int64_t rows;
    float *workspace; /* (threads, workspace_size) */
} Job;

static void run_in_threads(Job job, int64_t workspace_size, int64_t threads) {
#pragma omp parallel for num_threads((int)threads) schedule(static, 1)
    for (int64_t t = 0; t < threads; t++)
        job.run(job.arguments, job.rows * t / threads, job.rows * (t + 1) / threads,
                job.workspace + t * workspace_size);
}
