//! How is a very long list sorted so that it can be stopped? In runs, which are merged, with a look in between.

use std::cmp::Ordering;

/// What is sorted or merged between two looks: some ten milliseconds, also where what is compared lies anywhere.
const RUN: usize = 1 << 16;

/// Sorts `values` stably by `compare`; `check` is called again and again and stops it. Then they are in no order.
///
/// # Errors
/// Those of `check`.
pub fn sort_by<T: Copy, E>(
    values: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    for run in values.chunks_mut(RUN) {
        check()?;
        run.sort_by(&compare);
    }
    let mut width = RUN;
    let mut spare = Vec::new();
    while width < values.len() {
        for pair in values.chunks_mut(2 * width).filter(|pair| pair.len() > width) {
            merge(pair, width, &mut spare, &compare, &check)?;
        }
        width *= 2;
    }
    Ok(())
}

/// Merges what is sorted before `middle` and from there on.
fn merge<T: Copy, E>(
    values: &mut [T],
    middle: usize,
    spare: &mut Vec<T>,
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    if compare(&values[middle - 1], &values[middle]) != Ordering::Greater {
        return check();
    }
    spare.clear();
    spare.extend_from_slice(&values[..middle]);
    let (mut left, mut right) = (0, middle);
    // What is written never overtakes what is still to be read on the right.
    for to in 0..values.len() {
        if to % RUN == 0 {
            check()?;
        }
        if left == spare.len() {
            break;
        }
        let takes_right = right < values.len() && compare(&spare[left], &values[right]) == Ordering::Greater;
        values[to] = if takes_right { values[right] } else { spare[left] };
        right += usize::from(takes_right);
        left += usize::from(!takes_right);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn long_lists_are_sorted_stably_and_can_be_stopped() {
        let random = |n: u32| -> Vec<(u32, u32)> { (0..n).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 18, i)).collect() };
        for n in [0, 1, 1000, RUN as u32, 3 * RUN as u32 + 7] {
            for reversed in [false, true] {
                let mut values = random(n);
                if reversed {
                    values.sort_by(|a, b| b.cmp(a));
                }
                let mut expected = values.clone();
                expected.sort_by_key(|pair| pair.0);
                let looks = Cell::new(0);
                let check = || {
                    looks.set(looks.get() + 1);
                    Ok::<(), ()>(())
                };
                sort_by(&mut values, |a, b| a.0.cmp(&b.0), check).unwrap();
                assert_eq!(values, expected);
                assert!(looks.get() >= n as usize / RUN);
                // Wherever it is stopped, it ends with that look.
                for stop in [0, looks.get() / 2, looks.get().max(1) - 1] {
                    let seen = Cell::new(0);
                    let check = || {
                        seen.set(seen.get() + 1);
                        if seen.get() > stop { Err(()) } else { Ok(()) }
                    };
                    let stopped = sort_by(&mut random(n), |a, b| a.0.cmp(&b.0), check);
                    assert!(n == 0 || stopped.is_err() == (seen.get() > stop));
                }
            }
        }
    }
}
