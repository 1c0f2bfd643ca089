/* How do case metrics run: with which data, and what happens when one fails, cancels, or calls back into the engine? */
#include "events.h"

#define METRIC_PLAN                                                                                                    \
    "{\"version\": 1, \"measures\": [{\"measure\": \"overview\"}, {\"measure\": \"cases\"}, "                         \
    "{\"measure\": \"metrics\", \"percentiles\": [50]}], "                                                             \
    "\"case_metrics\": [{\"name\": \"m\", \"activities\": [\"b\", \"zzz\"]}]}"

struct seen {
    cjm_context *context;
    cjm_log *log;
    atomic_int calls;
};

/* How many events of a case are the first declared activity ("b"); no value for a case without events before 1970. */
static int32_t count_b(void *user, int64_t n_cases, const int64_t *offsets, const int32_t *activities,
                       const int64_t *times, const int64_t *start_times, double *out)
{
    struct seen *seen = user;
    atomic_fetch_add(&seen->calls, 1);
    CHECK(offsets[0] == 0 && start_times == NULL);
    for (int64_t i = 0; i < n_cases; i++) {
        CHECK(out[i] != out[i]); /* NaN before the call */
        out[i] = 0;
        for (int64_t event = offsets[i]; event < offsets[i + 1]; event++) {
            CHECK(activities[event] == 0 || activities[event] == -1);
            CHECK(event == offsets[i] || times[event] >= times[event - 1]);
            out[i] += activities[event] == 0;
        }
    }
    return 1;
}

static int32_t fail(void *user, int64_t n_cases, const int64_t *offsets, const int32_t *activities,
                    const int64_t *times, const int64_t *start_times, double *out)
{
    (void)user, (void)n_cases, (void)offsets, (void)activities, (void)times, (void)start_times, (void)out;
    return 0;
}

static int32_t cancel(void *user, int64_t n_cases, const int64_t *offsets, const int32_t *activities,
                      const int64_t *times, const int64_t *start_times, double *out)
{
    struct seen *seen = user;
    (void)n_cases, (void)offsets, (void)activities, (void)times, (void)start_times, (void)out;
    CHECK(cjm_cancel(seen->context) == CJM_OK);
    return 1;
}

/* A run beside a run of the same context is refused; progress can be asked for. */
static int32_t nest(void *user, int64_t n_cases, const int64_t *offsets, const int32_t *activities,
                    const int64_t *times, const int64_t *start_times, double *out)
{
    struct seen *seen = user;
    cjm_result *result = NULL;
    cjm_progress_t progress;
    cjm_progress_detail_t detail;
    (void)n_cases, (void)offsets, (void)activities, (void)times, (void)start_times, (void)out;
    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(seen->log, PLAN("overview"), seen->context, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_add_case_metric(seen->context, "late", fail, NULL, &error));
    CHECK(cjm_progress(seen->context, &progress) == CJM_OK);
    CHECK(memchr(progress.phase, '\0', sizeof progress.phase) != NULL && strcmp(progress.phase, "idle") != 0);
    CHECK(cjm_progress_detail(seen->context, &detail) == CJM_OK && detail.look == 1);
    CHECK(detail.parts_done <= detail.parts_total);
    return 1;
}

static cjm_status run(cjm_case_metric_fn function, struct seen *seen, cjm_result **result, const char **details)
{
    static char kept[256];
    struct events events = {0};
    cjm_error *error = NULL;
    seen->context = new_context();
    seen->log = log_of(&events);
    EXPECT(CJM_OK, cjm_context_add_case_metric(seen->context, "m", function, seen, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_add_case_metric(seen->context, "m", function, seen, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_add_case_metric(seen->context, "", function, seen, &error));
    cjm_status status = cjm_mine(seen->log, METRIC_PLAN, seen->context, result, &error);
    snprintf(kept, sizeof kept, "%s", cjm_error_details(error));
    *details = kept;
    cjm_error_free(error);
    cjm_log_free(seen->log);
    cjm_context_free(seen->context);
    CHECK(events.live == 0);
    return status;
}

static void values_become_a_column_and_a_distribution(void)
{
    struct seen seen = {0};
    cjm_result *result = NULL;
    const char *details;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    const struct ArrowArray *column = NULL;
    CHECK(run(count_b, &seen, &result, &details) == CJM_OK && seen.calls > 0);
    EXPECT(CJM_OK, cjm_result_table(result, "cases", &stream, &error));
    CHECK(read_all(&stream, "m", &batch, &column) == 2);
    CHECK(f64_at(column, 0) == 2 && f64_at(column, 1) == 2);
    batch.release(&batch);
    stream.release(&stream);
    EXPECT(CJM_OK, cjm_result_table(result, "metrics", &stream, &error));
    CHECK(read_all(&stream, "p50", &batch, &column) == 1 && f64_at(column, 0) == 2);
    batch.release(&batch);
    stream.release(&stream);
    cjm_result_free(result);
}

int main(void)
{
    struct seen seen = {0};
    cjm_result *result = NULL;
    const char *details;
    cjm_context *context = new_context();
    struct events events = {0};
    cjm_log *log = log_of(&events);

    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(log, METRIC_PLAN, context, &result, &error)); /* "m" is not registered */
    cjm_log_free(log);
    cjm_context_free(context);

    values_become_a_column_and_a_distribution();
    CHECK(run(fail, &seen, &result, &details) == CJM_CALLBACK && strstr(details, "\"metric\":\"m\"") != NULL);
    CHECK(run(cancel, &seen, &result, &details) == CJM_CANCELLED);
    result = NULL;
    CHECK(run(nest, &seen, &result, &details) == CJM_OK);
    cjm_result_free(result);
    puts("ok");
    return 0;
}
