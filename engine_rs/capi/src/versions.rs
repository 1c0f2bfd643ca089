//! Which library is this: what ABI does it speak, and how was it built?

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::LazyLock;

use serde_json::json;

use crate::{guard, text};

/// The version of the ABI that this header describes. It grows when a program built against an older header would
/// break; functions, constants and JSON members may be added without it growing.
/// @since 0.1
pub const CJM_ABI_VERSION: u32 = 1;

static VERSIONS: LazyLock<CString> = LazyLock::new(|| {
    let versions = json!({
        "engine": cjm_core::VERSION,
        "abi": CJM_ABI_VERSION,
        "arrow": cjm_core::ARROW_VERSION,
        "profile": cjm_core::PROFILE,
        "target": env!("CJM_TARGET"),
    });
    text::c_text(&versions.to_string())
});

/// The version of the ABI that the loaded library speaks. A program compares it with `CJM_ABI_VERSION` before any other
/// call, and stops when they differ.
///
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn cjm_abi_version() -> u32 {
    CJM_ABI_VERSION
}

/// What the loaded library is, as a JSON object with the members `engine`, `abi`, `arrow`, `profile` ("release" or
/// "debug") and `target`.
///
/// The text is static: never freed, valid as long as the library is loaded.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn cjm_versions() -> *const c_char {
    guard::value(ptr::null(), || VERSIONS.as_ptr())
}
