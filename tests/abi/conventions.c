/* Does every function keep the conventions: NULL named, nothing written on failure, free(NULL) harmless, err optional? */
#include "check.h"
#include "events.h"

/* A value no function would give: an output that still has it was not written. */
static int untouched;
#define UNTOUCHED ((void *)&untouched)

static void freeing_null_does_nothing(void)
{
    cjm_error_free(NULL);
    cjm_string_free(NULL);
    cjm_context_free(NULL);
    cjm_log_free(NULL);
    cjm_result_free(NULL);
}

static void the_library_says_what_it_is(void)
{
    CHECK(cjm_abi_version() == CJM_ABI_VERSION);
    CHECK(strstr(cjm_versions(), "\"engine\":") != NULL && strstr(cjm_versions(), "\"abi\":1") != NULL);
    CHECK(cjm_versions() == cjm_versions());
}

static void an_error_that_is_not_there_reads_as_none(void)
{
    CHECK(cjm_error_code(NULL) == CJM_OK);
    CHECK(strcmp(cjm_error_message(NULL), "") == 0);
    CHECK(strcmp(cjm_error_details(NULL), "{}") == 0);
}

/* Every argument of every function as NULL, one at a time. */
static void null_is_refused_and_nothing_is_written(void)
{
    cjm_context *context = new_context(), *new_one = UNTOUCHED;
    struct events events = {0};
    cjm_log *log = log_of(&events), *new_log = UNTOUCHED;
    cjm_result *result = UNTOUCHED;
    char *text = UNTOUCHED;
    struct ArrowArrayStream stream = {.private_data = UNTOUCHED};
    cjm_progress_t progress;
    cjm_progress_detail_t detail;
    uint64_t bytes;

    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_new(NULL, &new_one, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_new("{\"version\": 1}", NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_add_case_metric(NULL, "m", NULL, NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_add_case_metric(context, NULL, NULL, NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_context_add_case_metric(context, "m", NULL, NULL, &error));
    CHECK(cjm_context_memory_limit(NULL, &bytes) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_context_memory_limit(context, NULL) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_cancel(NULL) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_progress(NULL, &progress) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_progress(context, NULL) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_progress_detail(NULL, &detail) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_progress_detail(context, NULL) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_progress_detail(context, &detail) == CJM_OK && detail.look == 0 && detail.parts_total == 0);
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_open(NULL, &new_log, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_open(SPEC, NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_from_stream(NULL, SPEC, &new_log, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_describe(NULL, &text, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_describe(log, NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_events(NULL, context, &stream, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_events(log, NULL, &stream, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_events(log, context, NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(NULL, PLAN("dfg"), context, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(log, NULL, context, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(log, PLAN("dfg"), NULL, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(log, PLAN("dfg"), context, NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_result_table(NULL, "dfg", &stream, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_result_info(NULL, &text, &error));
    CHECK(new_one == UNTOUCHED && new_log == UNTOUCHED && result == UNTOUCHED && text == UNTOUCHED);
    CHECK(stream.private_data == UNTOUCHED);

    /* None of these read the stream, so it still can be. */
    EXPECT(CJM_OK, cjm_mine(log, PLAN("overview"), context, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_result_table(result, NULL, &stream, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_result_table(result, "dfg", &stream, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_result_table(result, "overview", NULL, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_result_info(result, NULL, &error));
    CHECK(stream.private_data == UNTOUCHED);
    CHECK(overview(result, "events") == 8);
    cjm_result_free(result);
    cjm_log_free(log);
    cjm_context_free(context);
    CHECK(events.live == 0);
}

static void documents_with_mistakes_are_refused(void)
{
    static const char *const options[] = {"", "{", "[]", "{}", "{\"version\": 2}", "{\"version\": 1, \"thread\": 2}",
                                          "{\"version\": 1, \"threads\": 0}", "{\"version\": 1, \"threads\": \"2\"}",
                                          "{\"version\": 1} x", "\xff"};
    static const char *const specs[] = {"", "{}", "{\"version\": 2}", "{\"version\": 1, \"cases\": [\"a\"]}",
                                        "{\"version\": 1, \"paths\": [\"x.parquet\"], \"on_null\": \"maybe\"}", "\xff"};
    static const char *const plans[] = {"", "{}", "{\"version\": 1}", "{\"version\": 1, \"measures\": []}", PLAN("dgf"),
                                        "{\"version\": 2, \"measures\": [{\"measure\": \"dfg\"}]}", "\xff"};
    cjm_context *context = new_context(), *new_one = UNTOUCHED;
    cjm_log *new_log = UNTOUCHED;
    cjm_result *result = UNTOUCHED;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        EXPECT(CJM_INVALID_ARGUMENT, cjm_context_new(options[i], &new_one, &error));
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        EXPECT(CJM_INVALID_ARGUMENT, cjm_log_open(specs[i], &new_log, &error));
    struct events events = {0};
    cjm_log *log = log_of(&events);
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(log, plans[i], context, &result, &error));
    CHECK(new_one == UNTOUCHED && new_log == UNTOUCHED && result == UNTOUCHED);
    cjm_log_free(log);
    cjm_context_free(context);
    CHECK(events.live == 0);
}

static void err_may_be_null_and_is_overwritten_only_on_failure(void)
{
    cjm_context *context = NULL;
    cjm_error *error = UNTOUCHED;
    CHECK(cjm_context_new("{", &context, NULL) == CJM_INVALID_ARGUMENT);
    CHECK(cjm_context_new("{\"version\": 1}", &context, &error) == CJM_OK && error == UNTOUCHED);
    cjm_context_free(context);
    CHECK(cjm_context_new("{", &context, &error) == CJM_INVALID_ARGUMENT && error != UNTOUCHED);
    cjm_error_free(error);
}

static void a_missing_file_is_io_with_its_path_and_errno(void)
{
    cjm_log *log = NULL;
    cjm_error *error = NULL;
    CHECK(cjm_log_open("{\"version\": 1, \"paths\": [\"no-such.parquet\"]}", &log, &error) == CJM_IO);
    CHECK(strstr(cjm_error_message(error), "no-such.parquet") != NULL);
    CHECK(strstr(cjm_error_details(error), "\"path\":\"no-such.parquet\"") != NULL);
    CHECK(strstr(cjm_error_details(error), "\"errno\":2") != NULL);
    cjm_error_free(error);
}

static void the_memory_limit_is_told(void)
{
    const struct {
        const char *options;
        int known;
        uint64_t bytes;
    } cases[] = {
        {"{\"version\": 1}", 1, UINT64_MAX},
        {"{\"version\": 1, \"memory_limit_bytes\": 0}", 1, 0},
        {"{\"version\": 1, \"memory_limit_bytes\": 123456789012}", 1, 123456789012},
        {"{\"version\": 1, \"memory_limit_bytes\": \"auto\"}", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cjm_context *context = NULL;
        uint64_t bytes = 7;
        CHECK(cjm_context_new(cases[i].options, &context, NULL) == CJM_OK);
        CHECK(cjm_context_memory_limit(context, &bytes) == CJM_OK);
        CHECK(cases[i].known ? bytes == cases[i].bytes : bytes > 1000000);
        cjm_context_free(context);
    }
}

int main(void)
{
    freeing_null_does_nothing();
    the_library_says_what_it_is();
    an_error_that_is_not_there_reads_as_none();
    null_is_refused_and_nothing_is_written();
    documents_with_mistakes_are_refused();
    the_memory_limit_is_told();
    err_may_be_null_and_is_overwritten_only_on_failure();
    a_missing_file_is_io_with_its_path_and_errno();
    puts("ok");
    return 0;
}
