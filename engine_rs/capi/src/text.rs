//! How do texts cross the ABI: borrowed from the caller on the way in, owned by the caller on the way out?

use std::ffi::{CStr, CString, c_char};

use cjm_core::error::{Error, Result};

use crate::guard;

/// The caller's text, which has to be there and to be UTF-8.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated text that outlives `'a` unchanged.
pub(crate) unsafe fn read<'a>(pointer: *const c_char, argument: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::argument(format!("{argument} is NULL")).with("argument", argument));
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes
        .to_str()
        .map_err(|error| Error::argument(format!("{argument} is not UTF-8: {error}")).with("argument", argument))
}

/// A C text. A NUL inside becomes U+FFFD, so that the reader sees the rest of it.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// Frees a text that a `char **` parameter gave. Does nothing for NULL.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cjm_string_free(text: *mut c_char) {
    guard::value((), || {
        if !text.is_null() {
            // SAFETY: the caller passes a text of this library, made by `CString::into_raw`, once.
            drop(unsafe { CString::from_raw(text) });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn null_and_other_encodings_are_named() {
        // SAFETY: NULL and a literal.
        let (null, latin) = unsafe { (read(ptr::null(), "plan_json"), read(c"caf\xe9".as_ptr(), "name")) };
        assert_eq!(null.unwrap_err().message(), "plan_json is NULL");
        assert!(latin.unwrap_err().message().starts_with("name is not UTF-8"));
    }
}
