//! How does a failure reach the caller: which code, which texts, and who owns them?

use std::ffi::{CString, c_char};
use std::ptr;

use cjm_core::error::Error;

use crate::guard;
use crate::text;

/// What a function returns: `CJM_OK`, or what kind of failure it met.
///
/// The numbers are part of the ABI; a later version may add some, none changes its meaning.
/// @since 0.1
pub type cjm_status = i32;

/// The call did what it says.
/// @since 0.1
pub const CJM_OK: cjm_status = 0;
/// The caller's mistake: a NULL, a text that is not UTF-8 or not JSON, an unknown name or option.
/// @since 0.1
pub const CJM_INVALID_ARGUMENT: cjm_status = 1;
/// The log breaks a rule. The details name `column`, and `row` and `count` where they are known.
/// @since 0.1
pub const CJM_INVALID_DATA: cjm_status = 2;
/// `memory_limit_bytes` is too small. The details name `step`, `limit_bytes` and `needed_bytes`.
/// @since 0.1
pub const CJM_MEMORY_LIMIT: cjm_status = 3;
/// The operating system refused. The details name `path` and `errno` where they are known.
/// @since 0.1
pub const CJM_IO: cjm_status = 4;
/// Somebody called `cjm_cancel`. Nothing was produced.
/// @since 0.1
pub const CJM_CANCELLED: cjm_status = 5;
/// A case metric returned 0. The details name `metric`.
/// @since 0.1
pub const CJM_CALLBACK: cjm_status = 6;
/// Understood, but not built. The message names the type or the feature.
/// @since 0.1
pub const CJM_UNSUPPORTED: cjm_status = 7;
/// A bug in the engine: please report it. Every context, log and result that took part in the call is broken from now
/// on: it answers `CJM_INTERNAL` to every call but `_free`.
/// @since 0.1
pub const CJM_INTERNAL: cjm_status = 8;

/// What went wrong in one call. Made by the engine only, freed with `cjm_error_free`.
///
/// It refers to nothing else, so it may outlive every other handle. Reading one from several threads is safe.
/// @since 0.1
pub struct cjm_error {
    code: cjm_status,
    message: CString,
    details: CString,
}

impl cjm_error {
    pub(crate) fn new(error: &Error) -> cjm_error {
        cjm_error {
            code: error.kind().code(),
            message: text::c_text(error.message()),
            details: text::c_text(&error.details_json()),
        }
    }
}

/// The code of an error: the status that the failed call returned. `CJM_OK` for NULL.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_error_code(error: *const cjm_error) -> cjm_status {
    guard::value(CJM_INTERNAL, || {
        // SAFETY: the caller passes NULL or a live error.
        unsafe { error.as_ref() }.map_or(CJM_OK, |error| error.code)
    })
}

/// The error in words: what is wrong, where, what to do. UTF-8, without a line end. An empty text for NULL.
///
/// The text belongs to the error and lives as long as it.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_error_message(error: *const cjm_error) -> *const c_char {
    guard::value(ptr::null(), || {
        // SAFETY: the caller passes NULL or a live error.
        unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
    })
}

/// The facts of the error for a program: a JSON object in UTF-8, `{}` when there are none and for NULL.
///
/// Its usual members are `column`, `row`, `count`, `path`, `errno`, `step`, `limit_bytes`, `needed_bytes`, `argument`,
/// `metric`; any of them may be missing. The text belongs to the error and lives as long as it.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_error_details(error: *const cjm_error) -> *const c_char {
    guard::value(ptr::null(), || {
        // SAFETY: the caller passes NULL or a live error.
        unsafe { error.as_ref() }.map_or(c"{}".as_ptr(), |error| error.details.as_ptr())
    })
}

/// Frees an error. Does nothing for NULL.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_error_free(error: *mut cjm_error) {
    // SAFETY: the caller passes NULL or an error of this library that nobody uses any more.
    unsafe { guard::free(error) }
}

#[cfg(test)]
mod tests {
    use cjm_core::error::ErrorKind;

    use super::*;

    #[test]
    fn the_constants_are_the_codes_of_the_core() {
        let here = [
            CJM_INVALID_ARGUMENT,
            CJM_INVALID_DATA,
            CJM_MEMORY_LIMIT,
            CJM_IO,
            CJM_CANCELLED,
            CJM_CALLBACK,
            CJM_UNSUPPORTED,
            CJM_INTERNAL,
        ];
        assert_eq!(here, ErrorKind::ALL.map(ErrorKind::code));
    }

    #[test]
    fn a_nul_in_a_message_does_not_cut_it() {
        let error = cjm_error::new(&Error::data("a\0b").with("column", "c\0d"));
        assert_eq!(error.message.to_str().unwrap(), "a\u{fffd}b");
        assert_eq!(error.details.to_str().unwrap(), r#"{"column":"c\u0000d"}"#);
    }
}
