/* What may outlive what, and what may run beside what? Streams outlive every handle; a log serves several threads. */
#include <pthread.h>

#include "events.h"

#define FILE_PLAN "{\"version\": 1, \"measures\": [{\"measure\": \"overview\"}, {\"measure\": \"dfg\"}]}"

static void streams_outlive_their_handles(void)
{
    struct events events = {0};
    cjm_log *log = log_of(&events);
    cjm_context *context = new_context();
    cjm_result *result = NULL;
    struct ArrowArrayStream first, second;
    struct ArrowArray batch;
    const struct ArrowArray *column = NULL;
    char *info = NULL, *description = NULL;
    EXPECT(CJM_OK, cjm_log_describe(log, &description, &error));
    CHECK(strstr(description, "\"name\":\"activity\"") != NULL);
    EXPECT(CJM_OK, cjm_mine(log, PLAN("dfg"), context, &result, &error));
    EXPECT(CJM_OK, cjm_result_info(result, &info, &error));
    CHECK(strstr(info, "\"rows\":8") != NULL);
    EXPECT(CJM_OK, cjm_result_table(result, "dfg", &first, &error));
    EXPECT(CJM_OK, cjm_result_table(result, "dfg", &second, &error));
    cjm_result_free(result);
    cjm_log_free(log);
    cjm_context_free(context);
    CHECK(events.live == 0);
    CHECK(read_all(&first, "count", &batch, &column) == 3);
    CHECK(u64_at(column, 0) + u64_at(column, 1) + u64_at(column, 2) == 6);
    batch.release(&batch);
    first.release(&first);
    CHECK(read_all(&second, "count", &batch, &column) == 3);
    second.release(&second);
    batch.release(&batch); /* a batch outlives its stream */
    cjm_string_free(info);
    cjm_string_free(description);
}

static void events_outlive_the_log(void)
{
    struct events events = {0};
    cjm_log *log = log_of(&events);
    cjm_context *context = new_context();
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    const struct ArrowArray *column = NULL;
    EXPECT(CJM_OK, cjm_log_events(log, context, &stream, &error));
    cjm_log_free(log);
    cjm_context_free(context);
    CHECK(read_all(&stream, "timestamp", &batch, &column) == 8);
    batch.release(&batch);
    stream.release(&stream);
    CHECK(events.live == 0);
}

/* A stream that fails says so by errno and text, for as long as it is asked. */
static void spoil(struct ArrowArray *batch) { batch->children[2]->length = 1; }

static void a_failing_stream_lasts(void)
{
    struct events events = {.spoil = spoil};
    cjm_log *log = log_of(&events);
    cjm_context *context = new_context();
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    int code = 0;
    EXPECT(CJM_OK, cjm_log_events(log, context, &stream, &error));
    for (int i = 0; i < 3 && code == 0; i++) {
        code = stream.get_next(&stream, &batch);
        if (code == 0 && batch.release != NULL)
            batch.release(&batch);
    }
    CHECK(code != 0);
    CHECK(strncmp(stream.get_last_error(&stream), "INVALID_DATA: ", 14) == 0);
    CHECK(stream.get_next(&stream, &batch) == code);
    stream.release(&stream);
    CHECK(stream.release == NULL);
    cjm_log_free(log);
    cjm_context_free(context);
    CHECK(events.live == 0);
}

struct run {
    cjm_log *log;
    cjm_context *context;
    cjm_status status;
    uint64_t events;
};

static void *mine(void *argument)
{
    struct run *run = argument;
    cjm_result *result = NULL;
    run->status = cjm_mine(run->log, FILE_PLAN, run->context, &result, NULL);
    if (run->status == CJM_OK) {
        run->events = overview(result, "events");
        cjm_result_free(result);
    }
    return NULL;
}

/* One log in two threads, each with a context of its own. */
static void a_log_serves_two_threads(cjm_log *log)
{
    struct run runs[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        runs[i] = (struct run){.log = log, .context = new_context()};
        CHECK(pthread_create(&threads[i], NULL, mine, &runs[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(runs[i].status == CJM_OK);
        cjm_context_free(runs[i].context);
    }
    CHECK(runs[0].events == runs[1].events && runs[0].events > 0);
}

/* One context in two threads: each run is made or refused, none is wrong. */
static void a_context_serves_one_run_at_a_time(cjm_log *log)
{
    struct run runs[2];
    pthread_t threads[2];
    cjm_context *context = new_context();
    for (int i = 0; i < 2; i++) {
        runs[i] = (struct run){.log = log, .context = context};
        CHECK(pthread_create(&threads[i], NULL, mine, &runs[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(runs[i].status == CJM_OK || runs[i].status == CJM_INVALID_ARGUMENT);
    }
    CHECK(runs[0].status == CJM_OK || runs[1].status == CJM_OK);
    cjm_context_free(context);
}

/* Cancelled from another thread, whenever that comes: the run is cancelled or was done before. */
static void a_run_is_cancelled_from_another_thread(cjm_log *log)
{
    struct run run = {.log = log, .context = new_context()};
    pthread_t thread;
    cjm_progress_t progress;
    CHECK(pthread_create(&thread, NULL, mine, &run) == 0);
    CHECK(cjm_progress(run.context, &progress) == CJM_OK);
    CHECK(cjm_cancel(run.context) == CJM_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(run.status == CJM_CANCELLED || run.status == CJM_OK);
    mine(&run);
    CHECK(run.status == CJM_CANCELLED); /* cancelling is for good */
    cjm_context_free(run.context);
}

int main(int argc, char **argv)
{
    char spec[4096];
    cjm_log *log = NULL;
    CHECK(argc == 5);
    snprintf(spec, sizeof spec,
             "{\"version\": 1, \"paths\": [\"%s\"], \"case\": [\"%s\"], \"activity\": [\"%s\"], "
             "\"timestamp\": [\"%s\"]}",
             argv[1], argv[2], argv[3], argv[4]);
    EXPECT(CJM_OK, cjm_log_open(spec, &log, &error));

    streams_outlive_their_handles();
    events_outlive_the_log();
    a_failing_stream_lasts();
    a_log_serves_two_threads(log);
    a_context_serves_one_run_at_a_time(log);
    a_run_is_cancelled_from_another_thread(log);
    cjm_log_free(log);
    puts("ok");
    return 0;
}
