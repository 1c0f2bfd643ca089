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
