/* What becomes of a foreign stream? It is consumed in every case, all of it is released, and what breaks the Arrow
 * format is INVALID_DATA, not a crash. */
#include <errno.h>
#include <limits.h>

#include "events.h"

/* Mines the events; the status has to be this one, and nothing of the stream may be left. */
#define MINED(expected, events_, details_part)                                                                         \
    do {                                                                                                               \
        cjm_context *context = new_context();                                                                          \
        struct ArrowArrayStream stream = open_events(events_);                                                         \
        cjm_log *log = NULL;                                                                                           \
        cjm_result *result = NULL;                                                                                     \
        cjm_error *error = NULL;                                                                                       \
        cjm_status status = cjm_log_from_stream(&stream, SPEC, &log, &error);                                          \
        CHECK(stream.release == NULL);                                                                                 \
        if (status == CJM_OK)                                                                                          \
            status = cjm_mine(log, PLAN("overview"), context, &result, &error);                                        \
        if (status != (expected) || strstr(cjm_error_message(error), details_part) == NULL) {                          \
            fprintf(stderr, "%s:%d: status %d: %s\n", __FILE__, __LINE__, (int)status, cjm_error_message(error));      \
            exit(1);                                                                                                   \
        }                                                                                                              \
        cjm_error_free(error);                                                                                         \
        cjm_result_free(result);                                                                                       \
        cjm_log_free(log);                                                                                             \
        cjm_context_free(context);                                                                                     \
        CHECK((events_)->live == 0);                                                                                   \
    } while (0)

/* ---- consumed in every case ---- */

static void a_failure_consumes_the_stream(void)
{
    static const char *const specs[] = {NULL, "", "{}", "{\"version\": 1, \"nonsense\": 1}",
                                        "{\"version\": 1, \"case\": [\"no_such_column\"], \"activity\": [\"activity\"], "
                                        "\"timestamp\": [\"timestamp\"]}"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct events events = {0};
        struct ArrowArrayStream stream = open_events(&events);
        cjm_log *log = NULL;
        EXPECT(CJM_INVALID_ARGUMENT, cjm_log_from_stream(&stream, specs[i], &log, &error));
        CHECK(stream.release == NULL && log == NULL && events.live == 0);
    }
    struct events events = {0};
    struct ArrowArrayStream stream = open_events(&events);
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_from_stream(&stream, SPEC, NULL, &error));
    CHECK(stream.release == NULL && events.live == 0);
}

static void a_consumed_stream_is_refused(void)
{
    struct ArrowArrayStream released = {.release = NULL};
    cjm_log *log = NULL;
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_from_stream(&released, SPEC, &log, &error));
}

static void a_log_that_is_never_read_releases_its_stream(void)
{
    struct events events = {0};
    cjm_log_free(log_of(&events));
    CHECK(events.live == 0 && events.given == 0);
}

static void a_stream_is_read_once(void)
{
    struct events events = {0};
    cjm_log *log = log_of(&events);
    cjm_context *context = new_context();
    cjm_result *result = NULL;
    struct ArrowArrayStream stream;
    EXPECT(CJM_OK, cjm_mine(log, PLAN("overview"), context, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_mine(log, PLAN("overview"), context, &result, &error));
    EXPECT(CJM_INVALID_ARGUMENT, cjm_log_events(log, context, &stream, &error));
    CHECK(overview(result, "cases") == 2 && overview(result, "events") == 8);
    cjm_result_free(result);
    cjm_log_free(log);
    cjm_context_free(context);
    CHECK(events.live == 0);
}

/* ---- a producer that fails ---- */

static void the_producers_own_failure_is_told_in_its_words(void)
{
    struct events events = {.failing_code = EINVAL};
    MINED(CJM_INVALID_DATA, &events, "the tape tore");
    events = (struct events){.failing_code = EIO};
    MINED(CJM_IO, &events, "the tape tore");
}

/* ---- schemas that break the format ---- */

static void negative_children(struct ArrowSchema *schema) { schema->n_children = -1; }
static void missing_children(struct ArrowSchema *schema) { schema->children = NULL; }
static void missing_child(struct ArrowSchema *schema) { schema->children[1] = NULL; }
static void missing_format(struct ArrowSchema *schema) { schema->children[0]->format = NULL; }
static void format_not_utf8(struct ArrowSchema *schema) { schema->children[0]->format = "\xff"; }
static void name_not_utf8(struct ArrowSchema *schema) { schema->children[0]->name = "\xff"; }
static void not_a_struct(struct ArrowSchema *schema) { schema->format = "l", schema->n_children = 0; }
static void list_without_child(struct ArrowSchema *schema) { schema->children[0]->format = "+l"; }
static void negative_width(struct ArrowSchema *schema) { schema->children[0]->format = "w:-8"; }
static void keys_of_text(struct ArrowSchema *schema) { schema->children[1]->format = "u"; }
static void endless(struct ArrowSchema *schema) { schema->children[1]->dictionary = schema->children[1]; }
static void unknown_type(struct ArrowSchema *schema) { schema->children[0]->format = "?!"; }

static void schemas_that_break_the_format(void)
{
    static void (*const spoils[])(struct ArrowSchema *) = {negative_children, missing_children, missing_child,
                                                           missing_format,    format_not_utf8,  name_not_utf8,
                                                           not_a_struct,      list_without_child, negative_width,
                                                           keys_of_text,      endless};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct events events = {.spoil_schema = spoils[i]};
        MINED(CJM_INVALID_DATA, &events, "");
    }
    struct events events = {.spoil_schema = unknown_type};
    MINED(CJM_UNSUPPORTED, &events, "?!");
}

/* ---- arrays that break the format ---- */

static void negative_length(struct ArrowArray *batch) { batch->length = -1; }
static void negative_column(struct ArrowArray *batch) { batch->children[2]->length = -4; }
static void negative_offset(struct ArrowArray *batch) { batch->children[2]->offset = -1; }
static void huge_length(struct ArrowArray *batch) { batch->children[0]->length = INT64_MAX; }
static void huge_offset(struct ArrowArray *batch) { batch->children[0]->offset = INT64_MAX - 2; }
static void short_column(struct ArrowArray *batch) { batch->children[2]->length = 3; }
static void fewer_columns(struct ArrowArray *batch) { batch->n_children = 2; }
static void no_columns(struct ArrowArray *batch) { batch->children = NULL; }
static void no_column(struct ArrowArray *batch) { batch->children[1] = NULL; }
static void released_column(struct ArrowArray *batch) { batch->children[1]->release = NULL; }
static void fewer_buffers(struct ArrowArray *batch) { batch->children[0]->n_buffers = 2; }
static void more_buffers(struct ArrowArray *batch) { batch->children[0]->n_buffers = INT64_MAX; }
static void negative_buffers(struct ArrowArray *batch) { batch->children[0]->n_buffers = -3; }
static void no_buffers(struct ArrowArray *batch) { batch->children[0]->buffers = NULL; }
static void no_offsets(struct ArrowArray *batch) { batch->children[0]->buffers[1] = NULL; }
static void no_values(struct ArrowArray *batch) { batch->children[2]->buffers[1] = NULL; }
static void too_many_nulls(struct ArrowArray *batch) { batch->children[2]->null_count = 5; }
static void nulls_without_bitmap(struct ArrowArray *batch) { batch->children[2]->null_count = 1; }
static void no_dictionary(struct ArrowArray *batch) { batch->children[1]->dictionary = NULL; }
static void stray_dictionary(struct ArrowArray *batch) { batch->children[2]->dictionary = batch->children[1]; }

static void falling_offsets(struct ArrowArray *batch)
{
    static const int32_t offsets[] = {0, 6, 4, 6, 8};
    batch->children[0]->buffers[1] = offsets;
}

static void negative_last_offset(struct ArrowArray *batch)
{
    static const int32_t offsets[] = {0, 2, 4, 6, -8};
    batch->children[0]->buffers[1] = offsets;
}

static void unaligned_offsets(struct ArrowArray *batch)
{
    static const char bytes[32] = {0};
    batch->children[0]->buffers[1] = bytes + 1;
}

static void not_utf8(struct ArrowArray *batch)
{
    static const char bytes[] = "c1\xff\xff\xff\xff\xff\xff";
    batch->children[0]->buffers[2] = bytes;
}

static void cut_character(struct ArrowArray *batch)
{
    static const char bytes[] = "c\xc3\xa9"
                                "c2c2c";
    batch->children[0]->buffers[2] = bytes;
}

static void key_too_large(struct ArrowArray *batch)
{
    static const int32_t keys[] = {0, 1, 2, 1};
    batch->children[1]->buffers[1] = keys;
}

static void key_negative(struct ArrowArray *batch)
{
    static const int32_t keys[] = {0, 1, INT_MIN, 1};
    batch->children[1]->buffers[1] = keys;
}

static void dictionary_not_utf8(struct ArrowArray *batch) { batch->children[1]->dictionary->buffers[2] = "\xff\xff"; }

static void null_rows(struct ArrowArray *batch)
{
    static const unsigned char bits[] = {0x0d};
    batch->buffers[0] = bits;
    batch->null_count = -1;
}

static void arrays_that_break_the_format(void)
{
    static void (*const spoils[])(struct ArrowArray *) = {
        negative_length, negative_column, negative_offset, huge_length, huge_offset, short_column, fewer_columns,
        no_columns, no_column, released_column, fewer_buffers, more_buffers, negative_buffers, no_buffers, no_offsets,
        no_values, too_many_nulls, nulls_without_bitmap, no_dictionary, stray_dictionary, falling_offsets,
        negative_last_offset, unaligned_offsets, not_utf8, cut_character, key_too_large, key_negative,
        dictionary_not_utf8, null_rows};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct events events = {.spoil = spoils[i]};
        MINED(CJM_INVALID_DATA, &events, "");
    }
    struct events events = {.spoil = key_too_large};
    MINED(CJM_INVALID_DATA, &events, "\"activity\"");
}

/* ---- arrays that only look odd ---- */

static void slice(struct ArrowArray *batch)
{
    for (int i = 0; i < 3; i++)
        batch->children[i]->offset = 2, batch->children[i]->length = 2;
    batch->length = 2;
}

static void slice_of_rows(struct ArrowArray *batch) { batch->offset = 1, batch->length = 3; }
static void empty(struct ArrowArray *batch) { batch->length = 0; }
static void unknown_null_count(struct ArrowArray *batch) { batch->children[2]->null_count = -1; }

static void arrays_that_only_look_odd(void)
{
    static void (*const spoils[])(struct ArrowArray *) = {slice, slice_of_rows, empty, unknown_null_count};
    static const uint64_t rows[] = {6, 7, 4, 8};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct events events = {.spoil = spoils[i]};
        cjm_log *log = log_of(&events);
        cjm_context *context = new_context();
        cjm_result *result = NULL;
        EXPECT(CJM_OK, cjm_mine(log, PLAN("overview"), context, &result, &error));
        CHECK(overview(result, "events") == rows[i]);
        cjm_result_free(result);
        cjm_log_free(log);
        cjm_context_free(context);
        CHECK(events.live == 0);
    }
}

int main(void)
{
    a_failure_consumes_the_stream();
    a_consumed_stream_is_refused();
    a_log_that_is_never_read_releases_its_stream();
    a_stream_is_read_once();
    the_producers_own_failure_is_told_in_its_words();
    schemas_that_break_the_format();
    arrays_that_break_the_format();
    arrays_that_only_look_odd();
    puts("ok");
    return 0;
}
