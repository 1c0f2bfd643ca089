//! How do threads share a short memory? Whoever wants much of it for a while waits for those who have some already.
//!
//! Several parts that each fit alone must not fail because two threads load one at once. So what is given back soon is
//! reserved in turn: in the order of asking, so that a large part is not put off for ever by small ones. What does not
//! fit while nobody else holds anything does not fit at all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::memory::Budget;

/// Who holds memory for a while, and who waits for it.
#[derive(Default)]
pub struct Turns {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Tickets handed out.
    drawn: u64,
    /// The ticket whose turn it is.
    next: u64,
    /// Those who hold memory now.
    holders: usize,
}

/// Bytes that are given back when this goes.
pub struct Turn<'a> {
    turns: &'a Turns,
    memory: &'a Budget,
    bytes: u64,
}

/// The part of the limit that is left to what grows meanwhile, while more than one holds memory.
const SLACK_SHARE: u64 = 8;

/// How often who waits looks at the cancel flag.
const LOOK: Duration = Duration::from_millis(20);

impl Turns {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the queue to others for a moment.
    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        self.changed.wait_timeout(queue, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Turns {
    /// Takes `bytes` of `memory` for a while, by `take`, when those who hold some leave enough of them. A thread must not
    /// take some while it holds some.
    ///
    /// # Errors
    /// Those of `take` where they are too many even for one alone; those of `check`, which is called again and again.
    pub fn reserve<'a>(
        &'a self,
        memory: &'a Budget,
        bytes: u64,
        take: impl Fn() -> Result<()>,
        check: impl Fn() -> Result<()>,
    ) -> Result<Turn<'a>> {
        let mut queue = self.queue();
        let ticket = queue.drawn;
        queue.drawn += 1;
        while queue.next != ticket {
            queue = self.wait(queue);
        }
        let slack = memory.limit_bytes().unwrap_or(0) / SLACK_SHARE;
        let hopeless = memory.limit_bytes().is_some_and(|limit| bytes > limit);
        let outcome = loop {
            // Whoever has a ticket has to pass the turn on, cancelled or not.
            if let Err(cancelled) = check() {
                break Err(cancelled);
            }
            let alone = queue.holders == 0 || hopeless;
            if alone || memory.fits(bytes.saturating_add(slack)) {
                match take() {
                    Err(_) if !alone => {}
                    outcome => break outcome,
                }
            }
            queue = self.wait(queue);
        };
        queue.next += 1;
        queue.holders += usize::from(outcome.is_ok());
        drop(queue);
        self.changed.notify_all();
        outcome.map(|()| Turn { turns: self, memory, bytes })
    }
}

impl Turn<'_> {
    /// Gives back what is over `bytes`.
    pub fn shrink(&mut self, bytes: u64) {
        let over = self.bytes.saturating_sub(bytes);
        self.bytes -= over;
        self.memory.release(over);
        self.turns.changed.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.memory.release(self.bytes);
        self.turns.queue().holders -= 1;
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn what_fits_alone_never_fails_and_what_does_not_fails_at_once() {
        let (turns, memory) = (Turns::default(), Budget::new(Some(1000)));
        let reserve = |bytes| turns.reserve(&memory, bytes, || memory.reserve("a test", bytes, |used| used), || Ok(()));
        let most = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let (reserve, most, memory) = (&reserve, &most, &memory);
                scope.spawn(move || {
                    for i in 0..100 {
                        let bytes = [900, 1000, 30, 300][(thread + i) % 4];
                        let mut turn = reserve(bytes).unwrap();
                        most.fetch_max(memory.used_bytes(), Ordering::Relaxed);
                        std::thread::yield_now();
                        turn.shrink(bytes / 2);
                        assert!(memory.used_bytes() <= 1000);
                    }
                });
            }
        });
        assert_eq!((most.load(Ordering::Relaxed), memory.used_bytes()), (1000, 0));
        let _held = reserve(10).unwrap();
        assert_eq!(reserve(1001).err().unwrap().kind(), ErrorKind::MemoryLimit);
        // Another one waits for what is held, unless it is told to stop.
        let stopped = turns.reserve(&memory, 995, || panic!("it does not fit"), || Err(Error::cancelled()));
        assert_eq!(stopped.err().unwrap().kind(), ErrorKind::Cancelled);
        drop(reserve(5).unwrap());
    }
}
