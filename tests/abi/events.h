/* What does a foreign Arrow stream look like? Two batches of four events, built by hand and spoilt on demand.
 *
 * Columns: case (utf8), activity (dictionary of utf8), timestamp (microseconds, UTC). Every struct that is handed over
 * is counted in `live` until it is released, so a test sees a leak, and a second release, which is a CHECK.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdatomic.h>

#include "check.h"

struct events {
    int batches;                              /* how many to give; 2 unless the test says otherwise */
    void (*spoil_schema)(struct ArrowSchema *); /* may change the schema before it is handed over */
    void (*spoil)(struct ArrowArray *);       /* may change the second batch before it is handed over */
    int failing_code;                         /* what get_next returns instead of the second batch, if not 0 */
    int given;
    atomic_int live;
};

/* One batch with its children and pointers, freed when it is released. */
struct batch {
    struct events *events;
    struct ArrowArray columns[3], dictionary;
    struct ArrowArray *children[3];
    const void *row_buffers[1], *buffers[3][3], *dictionary_buffers[3];
};

static const int32_t case_offsets[] = {0, 2, 4, 6, 8};
static const char case_bytes[] = "c1c1c2c2";
static const int32_t activity_keys[] = {0, 1, 0, 1};
static const int32_t label_offsets[] = {0, 1, 2};
static const char label_bytes[] = "ab";
static const int64_t times[] = {0, 60000000, 0, 120000000};

static inline void release_child_array(struct ArrowArray *array) { array->release = NULL; }
static inline void release_child_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static inline void release_batch(struct ArrowArray *array)
{
    struct batch *batch = array->private_data;
    CHECK(array->release == release_batch);
    atomic_fetch_sub(&batch->events->live, 1);
    array->release = NULL;
    free(batch);
}

struct schema {
    struct events *events;
    struct ArrowSchema columns[3], dictionary;
    struct ArrowSchema *children[3];
};

static inline void release_schema(struct ArrowSchema *schema)
{
    struct schema *held = schema->private_data;
    CHECK(schema->release == release_schema);
    atomic_fetch_sub(&held->events->live, 1);
    schema->release = NULL;
    free(held);
}

static inline int events_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    static const char *const names[] = {"case", "activity", "timestamp"}, *const formats[] = {"u", "i", "tsu:UTC"};
    struct events *events = stream->private_data;
    struct schema *held = calloc(1, sizeof *held);
    held->events = events;
    for (int i = 0; i < 3; i++) {
        held->columns[i] = (struct ArrowSchema){
            .format = formats[i], .name = names[i], .flags = 2, .release = release_child_schema};
        held->children[i] = &held->columns[i];
    }
    held->dictionary = (struct ArrowSchema){.format = "u", .name = "", .flags = 2, .release = release_child_schema};
    held->columns[1].dictionary = &held->dictionary;
    *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = 3, .children = held->children,
                                .release = release_schema, .private_data = held};
    atomic_fetch_add(&events->live, 1);
    if (events->spoil_schema != NULL)
        events->spoil_schema(out);
    return 0;
}

static inline void fill(struct ArrowArray *array, int64_t length, int64_t n_buffers, const void **buffers)
{
    *array = (struct ArrowArray){
        .length = length, .n_buffers = n_buffers, .buffers = buffers, .release = release_child_array};
}

static inline int events_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct events *events = stream->private_data;
    if (events->given == events->batches) {
        out->release = NULL;
        return 0;
    }
    if (events->given == 1 && events->failing_code != 0)
        return events->failing_code;
    struct batch *batch = calloc(1, sizeof *batch);
    batch->events = events;
    batch->buffers[0][1] = case_offsets;
    batch->buffers[0][2] = case_bytes;
    batch->buffers[1][1] = activity_keys;
    batch->buffers[2][1] = times;
    batch->dictionary_buffers[1] = label_offsets;
    batch->dictionary_buffers[2] = label_bytes;
    fill(&batch->columns[0], 4, 3, batch->buffers[0]);
    fill(&batch->columns[1], 4, 2, batch->buffers[1]);
    fill(&batch->columns[2], 4, 2, batch->buffers[2]);
    fill(&batch->dictionary, 2, 3, batch->dictionary_buffers);
    batch->columns[1].dictionary = &batch->dictionary;
    for (int i = 0; i < 3; i++)
        batch->children[i] = &batch->columns[i];
    fill(out, 4, 1, batch->row_buffers);
    out->n_children = 3;
    out->children = batch->children;
    out->release = release_batch;
    out->private_data = batch;
    atomic_fetch_add(&events->live, 1);
    if (events->given == 1 && events->spoil != NULL)
        events->spoil(out);
    events->given++;
    return 0;
}

static inline const char *events_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "the tape tore";
}

static inline void release_events(struct ArrowArrayStream *stream)
{
    struct events *events = stream->private_data;
    CHECK(stream->release == release_events);
    atomic_fetch_sub(&events->live, 1);
    stream->release = NULL;
}

/* A stream over the events, to be given away. */
static inline struct ArrowArrayStream open_events(struct events *events)
{
    if (events->batches == 0)
        events->batches = 2;
    atomic_fetch_add(&events->live, 1);
    return (struct ArrowArrayStream){events_schema, events_next, events_error, release_events, events};
}

/* A log over the events. */
static inline cjm_log *log_of(struct events *events)
{
    struct ArrowArrayStream stream = open_events(events);
    cjm_log *log = NULL;
    EXPECT(CJM_OK, cjm_log_from_stream(&stream, SPEC, &log, &error));
    CHECK(stream.release == NULL);
    return log;
}

#endif
