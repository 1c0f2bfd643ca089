/*
 * pycjm.h: the C ABI of pycjm's journey mining engine.
 *
 * A program opens a log, mines it with a plan, and takes each answer as an Arrow table:
 *
 *     cjm_context *context; cjm_log *log; cjm_result *result; cjm_error *error;
 *     cjm_context_new("{\"version\": 1}", &context, &error)
 *     cjm_log_open("{\"version\": 1, \"paths\": [\"log.parquet\"], \"case\": [\"case\"], "
 *                  "\"activity\": [\"activity\"], \"timestamp\": [\"timestamp\"]}", &log, &error)
 *     cjm_mine(log, "{\"version\": 1, \"measures\": [{\"measure\": \"dfg\"}]}", context, &result, &error)
 *     cjm_result_table(result, "dfg", &stream, &error)
 *
 * This header is the specification. The JSON documents (log spec, plan, options) and their schemas are in the README.md
 * and the folder schema of the source directory engine_rs/capi; examples/embed.c there is a complete program.
 *
 * Status.   Functions that can fail return a cjm_status, CJM_OK (0) on success.
 * Errors.   The last parameter, cjm_error **err, may be NULL. It is written on failure only: *err is then an error to
 *           be freed with cjm_error_free, and whatever it was before is overwritten, not freed.
 * Outputs.  Written last, and on success only. After a failure they are what they were.
 * Pointers. Only `err`, `user` and the argument of a _free may be NULL; elsewhere NULL is CJM_INVALID_ARGUMENT. Any
 *           other pointer has to be what its type says, live, and for outputs writable.
 * Handles.  cjm_context, cjm_log, cjm_result and cjm_error are opaque. Each is freed once, by its own _free, in any
 *           order; _free(NULL) does nothing. None refers to another.
 * Texts.    UTF-8, NUL-terminated. Inputs are copied. A const char * that comes back belongs to its handle; a char **
 *           output is the caller's and goes to cjm_string_free.
 * Arrow.    Streams cross by the Arrow C stream interface. One that is given away is consumed, also when the call fails
 *           (its release is NULL). One that is received outlives every handle, is used by one thread at a time, and is
 *           released by its consumer.
 * Threads.  Every function may be called from any thread, and several may use one handle at once, but a handle is freed
 *           only when no call uses it. A context serves one run at a time: a second one beside it is refused.
 *           cjm_cancel, cjm_progress and cjm_progress_detail are the calls meant to be made beside a running one.
 * Effects.  Nothing is printed, no environment variable is read, no signal handler is installed, no thread outlives a
 *           call. Callbacks of the caller must not throw or unwind. A bug in the library (a Rust panic) is caught and
 *           becomes CJM_INTERNAL.
 * Forking.  No state is shared between calls, so a forked child may use the library; handles in use by another thread
 *           at the time of the fork are lost to the child.
 *
 * @since names the first version of pycjm with the item.
 */

#ifndef PYCJM_H
#define PYCJM_H

#include <stdint.h>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#ifdef __cplusplus
extern "C" {
#endif

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#ifdef __cplusplus
}
#endif

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

#ifdef __cplusplus
extern "C" {
#endif

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#ifdef __cplusplus
}
#endif

#endif  // ARROW_C_STREAM_INTERFACE


/**
 * The version of the ABI that this header describes. It grows when a program built against an older header would
 * break; functions, constants and JSON members may be added without it growing.
 * @since 0.1
 */
#define CJM_ABI_VERSION 1

/**
 * The surroundings of a run: threads, memory limit, case metrics, the cancel flag, the progress.
 *
 * Thread-safe but for `cjm_context_free`. One run at a time: a second `cjm_mine` or `cjm_log_events` beside a running
 * one in the same context is refused with `CJM_INVALID_ARGUMENT`. Cancelling is for good, so a program that goes on
 * after it makes a new context; making one is cheap.
 * @since 0.1
 */
typedef struct cjm_context cjm_context;

/**
 * What went wrong in one call. Made by the engine only, freed with `cjm_error_free`.
 *
 * It refers to nothing else, so it may outlive every other handle. Reading one from several threads is safe.
 * @since 0.1
 */
typedef struct cjm_error cjm_error;

/**
 * An event log: where its rows are and which columns play which part. It holds no events of its own.
 *
 * Thread-safe but for `cjm_log_free`. A log of files, and one of a stream with `"resident": true`, can be read any
 * number of times, also at once. A log of any other stream can be read once, by whichever of `cjm_mine` and
 * `cjm_log_events` comes first; the next reader gets `CJM_INVALID_ARGUMENT`.
 * @since 0.1
 */
typedef struct cjm_log cjm_log;

/**
 * The answers of one run: a table per measure of the plan. Never changes. Thread-safe but for `cjm_result_free`.
 *
 * @since 0.1
 */
typedef struct cjm_result cjm_result;

/**
 * What a function returns: `CJM_OK`, or what kind of failure it met.
 *
 * The numbers are part of the ABI; a later version may add some, none changes its meaning.
 * @since 0.1
 */
typedef int32_t cjm_status;

/**
 * A number per case, computed by the embedder over a batch of whole cases.
 *
 * Case `i` holds the events from `offsets[i]` up to, not including, `offsets[i + 1]`, in the order of the case.
 *
 * - `user`: what was given to `cjm_context_add_case_metric`.
 * - `offsets`: `n_cases + 1` positions, the first one 0; `offsets[n_cases]` is the number of events.
 * - `activities`: one code per event. Where the plan declares `activities` for this metric: the position in that list,
 *   -1 for all others. Where it does not: a number that is equal for equal activities and means nothing else.
 * - `times`: one timestamp (the end) per event, in the ticks of the log's unit since 1970-01-01 UTC.
 * - `start_times`: the same for the starts, or NULL for a log without them.
 * - `out`: `n_cases` places for the answers, all NaN before the call; NaN means "no value" (null in the table).
 *
 * Returns non-zero for success; 0 makes the run fail with `CJM_CALLBACK`. (Compiled Python functions return 0 when
 * they raise.) The arrays are lent for the call. It is called from threads of the engine, several at once, and must
 * not throw, unwind or jump out. It may call `cjm_cancel`, `cjm_progress` and
 * `cjm_progress_detail`, and nothing else on its own context.
 * @since 0.1
 */
typedef int32_t (*cjm_case_metric_fn)(void *user,
                                      int64_t n_cases,
                                      const int64_t *offsets,
                                      const int32_t *activities,
                                      const int64_t *times,
                                      const int64_t *start_times,
                                      double *out);

/**
 * How far a run is. Filled by `cjm_progress`.
 *
 * @since 0.1
 */
typedef struct cjm_progress_t {
    /**
     * "idle", "reading", "checking", "partitioning", "mining" or "finishing", NUL-terminated. A later version may add
     * names.
     */
    char phase[32];
    /**
     * Rows dealt with in this phase.
     */
    uint64_t rows_done;
    /**
     * Rows this phase has to deal with; 0 while that is not known.
     */
    uint64_t rows_total;
} cjm_progress_t;

/**
 * More on how far a run is. Filled by `cjm_progress_detail`.
 *
 * @since 0.1
 */
typedef struct cjm_progress_detail_t {
    /**
     * Which look at the rows this is, from 1; 0 while nothing runs. A second look finds percentiles that the first has
     * missed.
     */
    uint64_t look;
    /**
     * Parts that are done: partitions while "mining", parts of the present step while "checking" or "finishing".
     */
    uint64_t parts_done;
    /**
     * How many there are; 0 in phases that have none.
     */
    uint64_t parts_total;
    /**
     * Bytes reserved now under the memory limit.
     */
    uint64_t reserved_bytes;
    /**
     * Bytes written to `spill_dir` so far.
     */
    uint64_t spilled_bytes;
} cjm_progress_detail_t;

/**
 * The call did what it says.
 * @since 0.1
 */
#define CJM_OK 0

/**
 * The caller's mistake: a NULL, a text that is not UTF-8 or not JSON, an unknown name or option.
 * @since 0.1
 */
#define CJM_INVALID_ARGUMENT 1

/**
 * The log breaks a rule. The details name `column`, and `row` and `count` where they are known.
 * @since 0.1
 */
#define CJM_INVALID_DATA 2

/**
 * `memory_limit_bytes` is too small. The details name `step`, `limit_bytes` and `needed_bytes`.
 * @since 0.1
 */
#define CJM_MEMORY_LIMIT 3

/**
 * The operating system refused. The details name `path` and `errno` where they are known.
 * @since 0.1
 */
#define CJM_IO 4

/**
 * Somebody called `cjm_cancel`. Nothing was produced.
 * @since 0.1
 */
#define CJM_CANCELLED 5

/**
 * A case metric returned 0. The details name `metric`.
 * @since 0.1
 */
#define CJM_CALLBACK 6

/**
 * Understood, but not built. The message names the type or the feature.
 * @since 0.1
 */
#define CJM_UNSUPPORTED 7

/**
 * A bug in the engine: please report it. Every context, log and result that took part in the call is broken from now
 * on: it answers `CJM_INTERNAL` to every call but `_free`.
 * @since 0.1
 */
#define CJM_INTERNAL 8

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the ABI that the loaded library speaks. A program compares it with `CJM_ABI_VERSION` before any other
 * call, and stops when they differ.
 *
 * @since 0.1
 */
uint32_t cjm_abi_version(void);

/**
 * What the loaded library is, as a JSON object with the members `engine`, `abi`, `arrow`, `profile` ("release" or
 * "debug") and `target`.
 *
 * The text is static: never freed, valid as long as the library is loaded.
 * @since 0.1
 */
const char *cjm_versions(void);

/**
 * The code of an error: the status that the failed call returned. `CJM_OK` for NULL.
 *
 * @since 0.1
 */
cjm_status cjm_error_code(const struct cjm_error *error);

/**
 * The error in words: what is wrong, where, what to do. UTF-8, without a line end. An empty text for NULL.
 *
 * The text belongs to the error and lives as long as it.
 * @since 0.1
 */
const char *cjm_error_message(const struct cjm_error *error);

/**
 * The facts of the error for a program: a JSON object in UTF-8, `{}` when there are none and for NULL.
 *
 * Its usual members are `column`, `row`, `count`, `path`, `errno`, `step`, `limit_bytes`, `needed_bytes`, `argument`,
 * `metric`; any of them may be missing. The text belongs to the error and lives as long as it.
 * @since 0.1
 */
const char *cjm_error_details(const struct cjm_error *error);

/**
 * Frees an error. Does nothing for NULL.
 *
 * @since 0.1
 */
void cjm_error_free(struct cjm_error *error);

/**
 * Frees a text that a `char **` parameter gave. Does nothing for NULL.
 *
 * @since 0.1
 */
void cjm_string_free(char *text);

/**
 * Makes a context.
 *
 * `options_json` is a JSON object: `{"version": 1, "threads": null, "memory_limit_bytes": null, "batch_rows": null,
 * "spill_dir": null, "spill_limit_bytes": null}`, where all but `version` may be left out and null means the engine's
 * choice (as many threads as the process may use, no limit). What does not fit under the memory limit is put aside in
 * nameless files in `spill_dir`; without one, that is an error. The limit may be `"auto"`: half of what the machine has,
 * or a control group of the process allows. Only then the engine looks at the machine, and it writes nowhere but to
 * `spill_dir`: no environment variable is read, and no directory for temporary files is guessed. Results do not depend
 * on these options.
 *
 * @param[in] options_json The options.
 * @param[out] out The context, to be freed with `cjm_context_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_context_new(const char *options_json,
                           struct cjm_context **out,
                           struct cjm_error **err);

/**
 * Tells the memory limit that holds in this context: the one that was given, or what `"auto"` has come to.
 *
 * @param[in] context The context.
 * @param[out] bytes_out The limit in bytes; `UINT64_MAX` where there is none.
 * @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for a NULL.
 * @since 0.1
 */
cjm_status cjm_context_memory_limit(const struct cjm_context *context, uint64_t *bytes_out);

/**
 * Registers a case metric under the name by which plans refer to it.
 *
 * `function` and `user` have to stay valid until the context is freed. Refused while a run uses the context.
 *
 * @param[in] context The context.
 * @param[in] name A new name, not empty. It becomes a column of the table `cases`.
 * @param[in] function The function; see `cjm_case_metric_fn` for what it may do and where it runs.
 * @param[in] user Handed to every call of the function, never looked into. May be NULL.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_context_add_case_metric(struct cjm_context *context,
                                       const char *name,
                                       cjm_case_metric_fn function,
                                       void *user,
                                       struct cjm_error **err);

/**
 * Asks the run in this context to stop: it returns `CJM_CANCELLED` soon, and so does every later one.
 *
 * Allowed from any thread, beside a running call and inside a case metric. It takes no lock and never waits. When it
 * comes too late to stop anything it does no harm.
 *
 * @param[in] context The context.
 * @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for NULL.
 * @since 0.1
 */
cjm_status cjm_cancel(struct cjm_context *context);

/**
 * Tells how far the run in this context is.
 *
 * Allowed from any thread, beside a running call and inside a case metric. It takes no lock and never waits; the three
 * figures are read one after the other, so around a change of phase they may belong to different ones.
 *
 * @param[in] context The context.
 * @param[out] out The progress.
 * @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for a NULL.
 * @since 0.1
 */
cjm_status cjm_progress(const struct cjm_context *context, struct cjm_progress_t *out);

/**
 * Tells more on how far the run in this context is: parts, looks, memory and disk.
 *
 * Allowed whenever `cjm_progress` is, and like it not at a single moment.
 *
 * @param[in] context The context.
 * @param[out] out The details.
 * @return `CJM_OK`, or `CJM_INVALID_ARGUMENT` for a NULL.
 * @since 0.1
 */
cjm_status cjm_progress_detail(const struct cjm_context *context, struct cjm_progress_detail_t *out);

/**
 * Frees a context. Does nothing for NULL. No call may be using it; logs, results and streams do not need it.
 *
 * @since 0.1
 */
void cjm_context_free(struct cjm_context *context);

/**
 * Opens a log of files: Parquet or XES files, folders and patterns of them.
 *
 * Reads what tells the columns: the footers of Parquet files, and XES files once as a whole.
 *
 * @param[in] spec_json The log spec, version 1, with `paths`.
 * @param[out] out The log, to be freed with `cjm_log_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_log_open(const char *spec_json, struct cjm_log **out, struct cjm_error **err);

/**
 * Makes a log of an Arrow C stream of record batches.
 *
 * The stream is consumed, also when the call fails: `stream->release` is NULL afterwards, and the library releases the
 * stream once it is read or the log is freed. Only the schema is read here, and the first rows where timestamps are
 * texts. The columns that are read are validated in full, on the threads that read them, unless the spec says
 * `"trusted": true`; a batch that breaks the format makes that read fail with `CJM_INVALID_DATA`. The producer promises
 * that its buffers are as long as its lengths say: the interface carries no sizes. Its callbacks are called by one thread
 * at a time, not always the same one; its arrays are released by any thread.
 *
 * @param[in,out] stream The stream.
 * @param[in] spec_json The log spec, version 1, without `paths` and `format`.
 * @param[out] out The log, to be freed with `cjm_log_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_log_from_stream(struct ArrowArrayStream *stream,
                               const char *spec_json,
                               struct cjm_log **out,
                               struct cjm_error **err);

/**
 * Describes a log without reading its events: a JSON object with `format`, `columns` (each `name`, `type`,
 * `nullable`), `rows` and `row_groups` (null where not known beforehand), `files` (each `path`, `bytes`, `rows`).
 *
 * @param[in] log The log.
 * @param[out] json_out The text, to be freed with `cjm_string_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_log_describe(const struct cjm_log *log, char **json_out, struct cjm_error **err);

/**
 * Gives the events as the engine understands them: after roles, joined columns, nulls, life cycle, zones and units, in
 * input order. Columns: `case`, `activity`, `timestamp`, and `start_timestamp` where the spec names one.
 *
 * The events are read as the stream is. The stream stays valid after the log and the context are freed; it is used by
 * one thread at a time and released by its consumer.
 *
 * @param[in] log The log.
 * @param[in] context The surroundings.
 * @param[out] out A place for the stream; what it holds before is overwritten, not released.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_log_events(struct cjm_log *log,
                          struct cjm_context *context,
                          struct ArrowArrayStream *out,
                          struct cjm_error **err);

/**
 * Frees a log. Does nothing for NULL. No call may be using it; results and streams made from it do not need it.
 *
 * @since 0.1
 */
void cjm_log_free(struct cjm_log *log);

/**
 * Answers all measures of a plan in one pass over the log.
 *
 * Blocks until it is done, cancelled (`cjm_cancel`) or failed. The tables are the same to the byte for every number of
 * threads and every batch size.
 *
 * @param[in] log The log.
 * @param[in] plan_json The plan, version 1.
 * @param[in] context The surroundings; one run at a time.
 * @param[out] out The result, to be freed with `cjm_result_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_mine(struct cjm_log *log,
                    const char *plan_json,
                    struct cjm_context *context,
                    struct cjm_result **out,
                    struct cjm_error **err);

/**
 * Answers the measures of a plan from the states of several logs, as if those had been mined together.
 *
 * A state is the table "state" that `cjm_mine`, or this function, gives where the plan has `"state": {}`. The logs must
 * have no case in common: a case whose id is in two states fails the call; states without ids are taken at their word.
 * Measures of single cases (`cases`, `metrics`) cannot be asked for. The metadata `pycjm.state.name` of a stream's schema,
 * if it is there, is what errors call that state.
 *
 * All streams are consumed, also when the call fails: their `release` is NULL afterwards.
 *
 * @param[in,out] states `n_states` pointers to streams.
 * @param[in] n_states How many there are; at least one.
 * @param[in] plan_json The plan, version 1.
 * @param[in] context The surroundings; one run at a time.
 * @param[out] out The result, to be freed with `cjm_result_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_merge(struct ArrowArrayStream *const *states,
                     uint64_t n_states,
                     const char *plan_json,
                     struct cjm_context *context,
                     struct cjm_result **out,
                     struct cjm_error **err);

/**
 * Gives a table of a result as an Arrow C stream. May be called any number of times, for the same table, too.
 *
 * The stream stays valid after the result is freed; it is used by one thread at a time and released by its consumer.
 * A callback of it that fails returns an errno value, for good, and `get_last_error` gives a text that opens with the
 * name of the status, such as `INVALID_DATA: ...`.
 *
 * @param[in] result The result.
 * @param[in] name The name of a measure in the plan, such as "dfg", or "state" where the plan asks for one.
 * @param[out] out A place for the stream; what it holds before is overwritten, not released.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_result_table(struct cjm_result *result,
                            const char *name,
                            struct ArrowArrayStream *out,
                            struct cjm_error **err);

/**
 * Tells how the run went: a JSON object with `layout`, `rows`, `dropped_rows` (per role), `threads`, `grouping` (each
 * way of grouping that was tried), `partitions` (how many, or null), `looks` (how often the rows were gone through),
 * `naive_timestamps`, `phases` (each `name`, `seconds`), `peak_reserved_bytes`, `memory_limit_bytes`,
 * `memory_limit_from`, `spilled_bytes`; a later version may add members.
 *
 * @param[in] result The result.
 * @param[out] json_out The text, to be freed with `cjm_string_free`.
 * @param[out] err The error, if any. May be NULL.
 * @since 0.1
 */
cjm_status cjm_result_info(const struct cjm_result *result, char **json_out, struct cjm_error **err);

/**
 * Frees a result. Does nothing for NULL. No call may be using it; streams made from it do not need it.
 *
 * @since 0.1
 */
void cjm_result_free(struct cjm_result *result);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PYCJM_H */
