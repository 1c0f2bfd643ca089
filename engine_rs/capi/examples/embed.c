/*
 * How does a C program use the engine? It mines a Parquet file and an Arrow stream of its own, walks the result
 * streams, cancels a run and handles an error.
 *
 *     cc embed.c -I "$(python -c 'import pycjm; print(pycjm.get_include())')" LIBRARY -o embed
 *     ./embed log.parquet CASE_COLUMN ACTIVITY_COLUMN TIMESTAMP_COLUMN
 *
 * LIBRARY is libcjm.so of `cargo build --release -p cjm-capi`, or lib_native.so in the folder of pycjm._native.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pycjm.h"

#define PLAN "{\"version\": 1, \"measures\": [{\"measure\": \"dfg\", \"percentiles\": [50, 95]}]}"

/* Prints what went wrong, frees the error, and answers the status. (`error` is a pointer to where the call puts it,
 * because C may evaluate the arguments of this function in any order.) */
static cjm_status report(const char *doing, cjm_status status, cjm_error **error)
{
    if (status != CJM_OK) {
        printf("%s: status %d: %s\n  details: %s\n", doing, (int)status, cjm_error_message(*error),
               cjm_error_details(*error));
        cjm_error_free(*error);
        *error = NULL;
    }
    return status;
}

/* ---- reading a table: columns by name, values by row ---- */

struct table {
    struct ArrowSchema schema;
    struct ArrowArray batch;
};

/* The column of this name and format, or NULL. */
static const struct ArrowArray *column(const struct table *table, const char *name, const char *format)
{
    for (int64_t i = 0; i < table->schema.n_children; i++) {
        const struct ArrowSchema *child = table->schema.children[i];
        if (strcmp(child->name, name) == 0 && strcmp(child->format, format) == 0)
            return table->batch.children[i];
    }
    return NULL;
}

static void print_text(const struct ArrowArray *texts, int64_t row)
{
    const int32_t *offsets = (const int32_t *)texts->buffers[1] + texts->offset + row;
    printf("%.*s", (int)(offsets[1] - offsets[0]), (const char *)texts->buffers[2] + offsets[0]);
}

/* Prints the first rows of a dfg table. Answers 0 when the stream was read to its end. */
static int print_dfg(struct ArrowArrayStream *stream, int64_t limit)
{
    struct table table;
    int64_t seen = 0;
    int code = stream->get_schema(stream, &table.schema);
    if (code != 0) {
        printf("the stream failed: %s\n", stream->get_last_error(stream));
        return code;
    }
    for (;;) {
        code = stream->get_next(stream, &table.batch);
        if (code != 0) {
            printf("the stream failed: %s\n", stream->get_last_error(stream));
            break;
        }
        if (table.batch.release == NULL) /* the end of the stream */
            break;
        const struct ArrowArray *source = column(&table, "source", "u"), *target = column(&table, "target", "u");
        const struct ArrowArray *count = column(&table, "count", "L"), *mean = column(&table, "mean_s", "g");
        if (source == NULL || target == NULL || count == NULL || mean == NULL) {
            printf("not a dfg table\n");
            code = -1;
        }
        for (int64_t row = 0; code == 0 && row < table.batch.length && seen < limit; row++, seen++) {
            printf("  ");
            print_text(source, row);
            printf(" -> ");
            print_text(target, row);
            printf(": %" PRIu64 " times, %.1f s on average\n", ((const uint64_t *)count->buffers[1])[count->offset + row],
                   ((const double *)mean->buffers[1])[mean->offset + row]);
        }
        table.batch.release(&table.batch);
    }
    table.schema.release(&table.schema);
    return code;
}

/* Mines a log and prints its edges. */
static cjm_status mine_and_print(cjm_log *log, cjm_context *context)
{
    cjm_error *error = NULL;
    cjm_result *result = NULL;
    struct ArrowArrayStream stream;
    cjm_status status = report("mining", cjm_mine(log, PLAN, context, &result, &error), &error);
    if (status != CJM_OK)
        return status;
    status = report("fetching the table", cjm_result_table(result, "dfg", &stream, &error), &error);
    cjm_result_free(result); /* the stream does not need it */
    if (status != CJM_OK)
        return status;
    int code = print_dfg(&stream, 5);
    stream.release(&stream);
    return code == 0 ? CJM_OK : CJM_INTERNAL;
}

/* ---- a Parquet file ---- */

/* Writes a text as a JSON string. */
static void json_string(char *out, size_t size, const char *text)
{
    size_t n = 0;
    out[n++] = '"';
    for (; *text != '\0' && n + 8 < size; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\' || byte < 0x20)
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", byte);
        else
            out[n++] = (char)byte;
    }
    out[n++] = '"';
    out[n] = '\0';
}

static cjm_status open_parquet(char **names, cjm_log **log)
{
    char quoted[4][1024], spec[5000];
    cjm_error *error = NULL;
    for (int i = 0; i < 4; i++)
        json_string(quoted[i], sizeof quoted[i], names[i]);
    snprintf(spec, sizeof spec,
             "{\"version\": 1, \"paths\": [%s], \"case\": [%s], \"activity\": [%s], \"timestamp\": [%s]}", quoted[0],
             quoted[1], quoted[2], quoted[3]);
    return report("opening", cjm_log_open(spec, log, &error), &error);
}

/* ---- an Arrow stream built by hand: four events of two cases ---- */

static const int64_t case_ids[] = {7, 7, 8, 8};
static const char activity_bytes[] = "visitbuyvisitbuy";
static const int32_t activity_offsets[] = {0, 5, 8, 13, 16};
static const int64_t seconds[] = {0, 60, 10, 130};

/* Everything here is static, so releasing marks the struct and frees nothing. */
static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }
static void release_array(struct ArrowArray *array) { array->release = NULL; }
static void release_stream(struct ArrowArrayStream *stream) { stream->release = NULL; }

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    static struct ArrowSchema columns[3];
    static struct ArrowSchema *children[3] = {&columns[0], &columns[1], &columns[2]};
    static const char *const names[] = {"case", "activity", "timestamp"}, *const formats[] = {"l", "u", "tss:UTC"};
    (void)stream;
    for (int i = 0; i < 3; i++)
        columns[i] = (struct ArrowSchema){.format = formats[i], .name = names[i], .release = release_schema};
    *out = (struct ArrowSchema){
        .format = "+s", .name = "", .n_children = 3, .children = children, .release = release_schema};
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    static struct ArrowArray columns[3];
    static struct ArrowArray *children[3] = {&columns[0], &columns[1], &columns[2]};
    static const void *cases[] = {NULL, case_ids}, *times[] = {NULL, seconds}, *rows[] = {NULL};
    static const void *activities[] = {NULL, activity_offsets, activity_bytes};
    int *batches_left = stream->private_data;
    if ((*batches_left)-- == 0) {
        *out = (struct ArrowArray){.release = NULL}; /* the end of the stream */
        return 0;
    }
    columns[0] = (struct ArrowArray){.length = 4, .n_buffers = 2, .buffers = cases, .release = release_array};
    columns[1] = (struct ArrowArray){.length = 4, .n_buffers = 3, .buffers = activities, .release = release_array};
    columns[2] = (struct ArrowArray){.length = 4, .n_buffers = 2, .buffers = times, .release = release_array};
    *out = (struct ArrowArray){.length = 4, .n_buffers = 1, .buffers = rows, .n_children = 3, .children = children,
                               .release = release_array};
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return NULL;
}

static cjm_status open_stream(int *batches_left, cjm_log **log)
{
    struct ArrowArrayStream stream = {get_schema, get_next, get_last_error, release_stream, batches_left};
    cjm_error *error = NULL;
    *batches_left = 1;
    /* The stream is given away here, also if this fails. */
    return report("taking the stream",
                  cjm_log_from_stream(&stream,
                                      "{\"version\": 1, \"case\": [\"case\"], \"activity\": [\"activity\"], "
                                      "\"timestamp\": [\"timestamp\"]}",
                                      log, &error),
                  &error);
}

int main(int argc, char **argv)
{
    int batches_left;
    cjm_context *context = NULL, *cancelled = NULL;
    cjm_log *file = NULL, *stream = NULL, *missing = NULL;
    cjm_error *error = NULL;
    char *nowhere[4] = {"no-such-file.parquet", "case", "activity", "timestamp"};

    if (argc != 5) {
        fprintf(stderr, "usage: %s LOG.parquet CASE ACTIVITY TIMESTAMP\n", argv[0]);
        return 2;
    }
    if (cjm_abi_version() != CJM_ABI_VERSION) {
        fprintf(stderr, "built for ABI %d, the library speaks %d\n", CJM_ABI_VERSION, (int)cjm_abi_version());
        return 1;
    }
    if (report("making a context", cjm_context_new("{\"version\": 1, \"threads\": 2}", &context, &error), &error))
        return 1;

    printf("the file:\n");
    if (open_parquet(argv + 1, &file) != CJM_OK || mine_and_print(file, context) != CJM_OK)
        return 1;

    printf("the stream:\n");
    if (open_stream(&batches_left, &stream) != CJM_OK || mine_and_print(stream, context) != CJM_OK)
        return 1;

    /* Any thread may cancel, at any time; here it comes before the run, which then stops at once. */
    printf("a cancelled run:\n");
    if (report("making a context", cjm_context_new("{\"version\": 1}", &cancelled, &error), &error))
        return 1;
    cjm_cancel(cancelled);
    if (mine_and_print(file, cancelled) != CJM_CANCELLED)
        return 1;

    printf("an error:\n");
    if (open_parquet(nowhere, &missing) != CJM_IO)
        return 1;

    cjm_log_free(file);
    cjm_log_free(stream);
    cjm_context_free(context);
    cjm_context_free(cancelled);
    printf("done\n");
    return 0;
}
