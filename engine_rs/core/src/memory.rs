//! How much memory a run may hold: whatever grows with the input is reserved here before it is allocated.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// An account of bytes with an optional ceiling, shared by all threads of a run.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    peak_bytes: AtomicU64,
}

impl Budget {
    /// An account with a ceiling, or without one.
    pub fn new(limit_bytes: Option<u64>) -> Budget {
        Budget {
            limit_bytes: limit_bytes.unwrap_or(u64::MAX),
            used_bytes: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
        }
    }

    /// Takes `bytes` for `step`.
    ///
    /// # Errors
    /// MEMORY_LIMIT, naming the step, and as a limit what `whole` makes of the bytes that are needed up to now.
    pub fn reserve(&self, step: &'static str, bytes: u64, whole: impl FnOnce(u64) -> u64) -> Result<()> {
        // At once, or what is refused here might make others fail meanwhile.
        let take = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.limit_bytes);
        let before = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        let used = before.unwrap_or_else(|used| used).saturating_add(bytes);
        if before.is_err() {
            return Err(self.too_small(step, whole(used)));
        }
        self.peak_bytes.fetch_max(used, Ordering::Relaxed);
        Ok(())
    }

    /// MEMORY_LIMIT for `step`, where `needed` bytes would do.
    pub fn too_small(&self, step: &'static str, needed: u64) -> Error {
        let text = format!(
            "the memory limit of {} bytes is too small for {step}: about {needed} bytes are needed; raise memory_limit",
            self.limit_bytes
        );
        Error::new(ErrorKind::MemoryLimit, text)
            .with("step", step)
            .with("limit_bytes", self.limit_bytes)
            .with("needed_bytes", needed)
    }

    /// Whether `bytes` more would fit now.
    pub fn fits(&self, bytes: u64) -> bool {
        self.used_bytes().saturating_add(bytes) <= self.limit_bytes
    }

    /// The ceiling, if there is one.
    pub fn limit_bytes(&self) -> Option<u64> {
        (self.limit_bytes < u64::MAX).then_some(self.limit_bytes)
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes reserved now.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that were reserved at once.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_over_the_limit_names_step_and_need_and_takes_nothing() {
        let budget = Budget::new(Some(100));
        budget.reserve("first", 60, |_| 0).unwrap();
        let error = budget.reserve("second", 60, |used| used + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MemoryLimit);
        assert!(error.message().contains("second") && error.message().contains("121"));
        assert_eq!((budget.used_bytes(), budget.peak_bytes()), (60, 60));
        budget.release(60);
        assert_eq!(budget.used_bytes(), 0);
    }
}
