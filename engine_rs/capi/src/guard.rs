//! What holds for every exported function, whatever happens inside it?
//!
//! A status comes back; outputs are written last and only on success; a panic stays inside, prints nothing and becomes
//! INTERNAL; and after INTERNAL the handles that took part are broken, because nobody knows what they hold.

use std::ffi::c_char;
use std::panic;
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cjm_core::error::{Error, ErrorKind, Result, guarded, is_quiet, quietly};

use crate::error::{CJM_INTERNAL, CJM_OK, cjm_error, cjm_status};
use crate::text;

/// A handle that remembers that the engine failed while using it.
pub(crate) trait Handle {
    /// What messages call it.
    const NAME: &'static str;

    /// Set for good once a call with this handle ended in INTERNAL.
    fn broken(&self) -> &AtomicBool;
}

/// The arguments of one exported function, taken one by one with their checks.
pub(crate) struct Call<'a> {
    in_use: Vec<&'a AtomicBool>,
}

impl<'a> Call<'a> {
    /// A handle: not NULL, and not broken.
    ///
    /// # Safety
    /// `pointer` is NULL or a live handle of this library.
    pub(crate) unsafe fn handle<H: Handle>(&mut self, pointer: *const H, argument: &str) -> Result<&'a H> {
        // SAFETY: NULL or live, says the caller.
        let handle = unsafe { pointer.as_ref() }.ok_or_else(|| null(argument))?;
        if handle.broken().load(Ordering::Acquire) {
            self.in_use.clear(); // the other handles of this call have done nothing
            let text =
                format!("this {0} took part in a call that failed inside the engine; free it, make a new {0}", H::NAME);
            return Err(Error::internal(text).with("argument", argument));
        }
        self.in_use.push(handle.broken());
        Ok(handle)
    }

    /// A handle that may be in use by another call, or be broken: not NULL.
    ///
    /// # Safety
    /// `pointer` is NULL or a live handle of this library.
    pub(crate) unsafe fn peek<H: Handle>(&self, pointer: *const H, argument: &str) -> Result<&'a H> {
        // SAFETY: NULL or live, says the caller.
        unsafe { pointer.as_ref() }.ok_or_else(|| null(argument))
    }

    /// A text: not NULL, and UTF-8.
    ///
    /// # Safety
    /// `pointer` is NULL or points to a NUL-terminated text that stays unchanged during the call.
    pub(crate) unsafe fn text(&self, pointer: *const c_char, argument: &str) -> Result<&'a str> {
        // SAFETY: passed on.
        unsafe { text::read(pointer, argument) }
    }

    /// A place for an output: not NULL.
    ///
    /// # Safety
    /// `pointer` is NULL or valid for writing a `T` during the call; what it holds need not be initialised.
    pub(crate) unsafe fn out<T>(&self, pointer: *mut T, argument: &str) -> Result<Out<T>> {
        NonNull::new(pointer).map(Out).ok_or_else(|| null(argument))
    }
}

/// A place of the caller's that an output goes to, once it is complete.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Writes the output over whatever is there, without dropping that.
    pub(crate) fn write(self, value: T) {
        // SAFETY: `Call::out` was promised a place valid for writing.
        unsafe { self.0.write(value) }
    }
}

impl<T> Out<*mut T> {
    /// Gives the caller an owning pointer.
    pub(crate) fn give(self, value: T) {
        self.write(Box::into_raw(Box::new(value)));
    }
}

fn null(argument: &str) -> Error {
    Error::argument(format!("{argument} is NULL")).with("argument", argument)
}

/// Runs the body of an exported function and reports how it ended.
///
/// # Safety
/// `err` is NULL or valid for writing.
pub(crate) unsafe fn guard<'a>(err: *mut *mut cjm_error, body: impl FnOnce(&mut Call<'a>) -> Result<()>) -> cjm_status {
    silence_caught_panics();
    let mut call = Call { in_use: Vec::new() };
    let Err(error) = guarded(|| body(&mut call)) else { return CJM_OK };
    if error.kind() == ErrorKind::Internal {
        for broken in call.in_use {
            broken.store(true, Ordering::Release);
        }
    }
    if !err.is_null() {
        let told = quietly(|| Box::into_raw(Box::new(cjm_error::new(&error)))).unwrap_or(std::ptr::null_mut());
        // SAFETY: not NULL, so valid for writing, says the caller.
        unsafe { err.write(told) };
    }
    error.kind().code()
}

/// Runs the body of an exported function that cannot fail; `fallback` is for the panic that should not be.
pub(crate) fn value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    silence_caught_panics();
    quietly(body).unwrap_or(fallback)
}

/// Runs the body of an exported function that reports only a status.
pub(crate) fn status<'a>(body: impl FnOnce(&mut Call<'a>) -> Result<()>) -> cjm_status {
    // SAFETY: NULL is allowed.
    value(CJM_INTERNAL, || unsafe { guard(std::ptr::null_mut(), body) })
}

/// Drops what an owning pointer of ours points to; nothing for NULL.
///
/// # Safety
/// `pointer` is NULL or came from [`Out::give`] or `Box::into_raw`, and is not used again.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    value((), || {
        if !pointer.is_null() {
            // SAFETY: ours, and not used again, says the caller.
            drop(unsafe { Box::from_raw(pointer) });
        }
    });
}

/// Keeps panics that are caught here from printing on the host's stderr.
///
/// A shared library has a standard library, and so a panic hook, of its own. A Rust program that links this crate
/// shares its hook instead: there, the hook it had is called for every panic outside the engine.
fn silence_caught_panics() {
    static HOOK: Once = Once::new();
    if thread::panicking() {
        return; // the hook cannot be changed now; the next call will do it
    }
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_quiet() {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;
    use std::ptr;

    use super::*;
    use crate::error::{CJM_INVALID_ARGUMENT, cjm_error_code, cjm_error_free, cjm_error_message};

    struct Probe(AtomicBool);

    impl Handle for Probe {
        const NAME: &'static str = "probe";
        fn broken(&self) -> &AtomicBool {
            &self.0
        }
    }

    fn probe_call(probe: *const Probe, err: *mut *mut cjm_error, body: impl FnOnce() -> Result<()>) -> cjm_status {
        // SAFETY: the tests pass NULL or live places.
        unsafe {
            guard(err, |call| {
                call.handle(probe, "probe")?;
                body()
            })
        }
    }

    fn message_of(error: *mut cjm_error) -> String {
        // SAFETY: the tests pass the error of a failed call, once.
        unsafe {
            let text = std::ffi::CStr::from_ptr(cjm_error_message(error)).to_str().unwrap().to_owned();
            cjm_error_free(error);
            text
        }
    }

    #[test]
    fn null_is_named_and_breaks_nothing() {
        let mut error = ptr::null_mut();
        assert_eq!(probe_call(ptr::null(), &raw mut error, || Ok(())), CJM_INVALID_ARGUMENT);
        // SAFETY: the error of a failed call.
        assert_eq!(unsafe { cjm_error_code(error) }, CJM_INVALID_ARGUMENT);
        assert_eq!(message_of(error), "probe is NULL");
        assert_eq!(probe_call(ptr::null(), ptr::null_mut(), || Ok(())), CJM_INVALID_ARGUMENT);
    }

    #[test]
    fn a_panic_is_internal_and_breaks_the_handle_for_good() {
        let probe = Probe(AtomicBool::new(false));
        let mut error = ptr::null_mut();
        assert_eq!(probe_call(&raw const probe, &raw mut error, || panic!("boom")), CJM_INTERNAL);
        assert!(message_of(error).contains("boom"));
        assert_eq!(probe_call(&raw const probe, &raw mut error, || Ok(())), CJM_INTERNAL);
        assert!(message_of(error).contains("free it, make a new probe"));
    }

    #[test]
    fn an_ordinary_failure_and_a_broken_companion_leave_a_handle_whole() {
        let (whole, broken) = (Probe(AtomicBool::new(false)), Probe(AtomicBool::new(true)));
        let refused = || Err(Error::argument("no"));
        assert_eq!(probe_call(&raw const whole, ptr::null_mut(), refused), CJM_INVALID_ARGUMENT);
        // SAFETY: both handles live.
        let both = unsafe {
            guard(ptr::null_mut(), |call| {
                call.handle(&raw const whole, "whole")?;
                call.handle(&raw const broken, "broken")?;
                Ok(())
            })
        };
        assert_eq!(both, CJM_INTERNAL);
        assert_eq!(probe_call(&raw const whole, ptr::null_mut(), || Ok(())), CJM_OK);
    }

    /// Run by the next test in a process of its own, whose stderr can be read.
    #[test]
    #[ignore = "the injection of the next test"]
    fn inject_panics() {
        let probe = Probe(AtomicBool::new(false));
        assert_eq!(probe_call(&raw const probe, ptr::null_mut(), || panic!("a caught one")), CJM_INTERNAL);
        let elsewhere = thread::spawn(|| panic!("one of the host"));
        assert!(elsewhere.join().is_err());
    }

    #[test]
    fn a_caught_panic_prints_nothing_and_one_of_the_host_still_does() {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "guard::tests::inject_panics", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        assert!(!printed.contains("a caught one") && printed.contains("one of the host"), "{printed}");
    }
}
