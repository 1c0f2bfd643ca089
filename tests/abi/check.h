/* How does a C test say what it expects? CHECK stops the program and names the line; the rest reads what came back. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pycjm.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A call, whose last argument is `&error`, ends in this status; a failure has a text, and its error is freed. */
#define EXPECT(expected, call)                                                                                         \
    do {                                                                                                               \
        cjm_error *error = NULL;                                                                                       \
        cjm_status status = (call);                                                                                    \
        if (status != (expected)) {                                                                                    \
            fprintf(stderr, "%s:%d: status %d, not %d (%s): %s\n", __FILE__, __LINE__, (int)status, (int)(expected),   \
                    #call, cjm_error_message(error));                                                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
        CHECK((status == CJM_OK) == (error == NULL));                                                                  \
        CHECK(cjm_error_code(error) == status);                                                                        \
        CHECK(status == CJM_OK || strlen(cjm_error_message(error)) > 0);                                               \
        CHECK(cjm_error_details(error)[0] == '{');                                                                     \
        cjm_error_free(error);                                                                                         \
    } while (0)

#define SPEC                                                                                                           \
    "{\"version\": 1, \"case\": [\"case\"], \"activity\": [\"activity\"], \"timestamp\": [\"timestamp\"]}"
#define PLAN(measure) "{\"version\": 1, \"measures\": [{\"measure\": \"" measure "\"}]}"

static inline cjm_context *new_context(void)
{
    cjm_context *context = NULL;
    EXPECT(CJM_OK, cjm_context_new("{\"version\": 1, \"threads\": 2}", &context, &error));
    return context;
}

/* Reads a stream to its end and gives its last batch's column of this name; the batch is released by the caller. */
static inline int64_t read_all(struct ArrowArrayStream *stream, const char *name, struct ArrowArray *batch,
                               const struct ArrowArray **column)
{
    struct ArrowSchema schema;
    struct ArrowArray next;
    int64_t rows = 0, at = -1;
    CHECK(stream->get_schema(stream, &schema) == 0);
    for (int64_t i = 0; i < schema.n_children; i++)
        if (strcmp(schema.children[i]->name, name) == 0)
            at = i;
    CHECK(at >= 0);
    schema.release(&schema);
    batch->release = NULL;
    for (;;) {
        CHECK(stream->get_next(stream, &next) == 0);
        if (next.release == NULL)
            break;
        if (batch->release != NULL)
            batch->release(batch);
        *batch = next;
        rows += batch->length;
        *column = batch->children[at];
    }
    return rows;
}

static inline uint64_t u64_at(const struct ArrowArray *column, int64_t row)
{
    return ((const uint64_t *)column->buffers[1])[column->offset + row];
}

static inline double f64_at(const struct ArrowArray *column, int64_t row)
{
    return ((const double *)column->buffers[1])[column->offset + row];
}

/* The one value of a one-row table. */
static inline uint64_t overview(cjm_result *result, const char *column_name)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    const struct ArrowArray *column = NULL;
    EXPECT(CJM_OK, cjm_result_table(result, "overview", &stream, &error));
    CHECK(read_all(&stream, column_name, &batch, &column) == 1);
    uint64_t value = u64_at(column, 0);
    batch.release(&batch);
    stream.release(&stream);
    return value;
}

#endif
