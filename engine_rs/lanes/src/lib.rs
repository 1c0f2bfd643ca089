//! Which loops take many numbers at once, and on which processors? The few in which the engine spends its time, each in a
//! plain form for every processor and in wider ones that are chosen when the program runs.
//!
//! A program that is shipped once for all processors of a kind may only use what the oldest of them has. Here a loop is
//! compiled several times over, and the processor is asked which of them it can run. All forms of a loop give the same;
//! the plain one is public as its twin, so that tests compare them and benchmarks show what the others buy.
//!
//! This is the engine's only unsafe code outside its C ABI: calls of functions whose processor features were just
//! detected, and loads and stores whose bounds stand beside them.

pub mod bits;
pub mod pairs;
pub mod runs;
pub mod sift;
pub mod sums;

/// Picks the widest form of a loop that the processor runs. What the forms are compiled for is at most what is asked here.
macro_rules! widest {
    ($plain:ident, $avx2:ident, $avx512:ident, $($argument:expr),*) => {{
        #[cfg(target_arch = "x86_64")]
        {
            if crate::has_avx512() {
                // SAFETY: the processor has what the function is compiled for.
                return unsafe { $avx512($($argument),*) };
            }
            if crate::has_avx2() {
                // SAFETY: as above.
                return unsafe { $avx2($($argument),*) };
            }
        }
        $plain($($argument),*)
    }};
}
use widest;

/// Whether everything is there that a form called `avx512` may be compiled for: `avx512f,avx512vl,avx512dq,avx512bw,popcnt`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("popcnt")
}

/// Whether everything is there that a form called `avx2` may be compiled for: `avx2,popcnt`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
}
