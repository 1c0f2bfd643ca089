//! How are many sequences with many values each kept and joined? In flat columns, in the order of the sequences.

use crate::context::{Account, Context, Step};
use crate::error::{Error, Result};
use crate::stats::piles::joined;
use crate::stats::sorting;

/// Sequences of activity codes, each with values (ticks) and how often each value is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// The codes of all sequences, one after the other.
    pub codes: Vec<u32>,
    /// Where the codes of each sequence end.
    code_ends: Vec<usize>,
    /// The values of all sequences.
    pub ticks: Vec<i64>,
    /// How often each of them is there.
    pub counts: Vec<u64>,
    /// Where the values of each sequence end.
    value_ends: Vec<usize>,
}

/// Sequences between two looks at the cancel flag.
const MANY: usize = 4096;

impl Paths {
    /// How many sequences there are.
    pub fn len(&self) -> usize {
        self.code_ends.len()
    }

    /// The codes of sequence `i`.
    pub fn path(&self, i: usize) -> &[u32] {
        &self.codes[start(&self.code_ends, i)..self.code_ends[i]]
    }

    /// The values of sequence `i`, ascending.
    pub fn ticks(&self, i: usize) -> &[i64] {
        &self.ticks[start(&self.value_ends, i)..self.value_ends[i]]
    }

    /// How often each of them is there.
    pub fn counts(&self, i: usize) -> &[u64] {
        &self.counts[start(&self.value_ends, i)..self.value_ends[i]]
    }

    /// How many values sequence `i` has, each as often as it is there.
    pub fn n(&self, i: usize) -> u64 {
        self.counts(i).iter().sum()
    }

    /// Adds a sequence at the end.
    pub fn push(&mut self, path: impl Iterator<Item = u32>, values: impl Iterator<Item = (i64, u64)>) {
        self.codes.extend(path);
        self.code_ends.push(self.codes.len());
        for (ticks, count) in values {
            self.ticks.push(ticks);
            self.counts.push(count);
        }
        self.value_ends.push(self.ticks.len());
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> u64 {
        (self.codes.capacity() * 4
            + (self.ticks.capacity() + self.counts.capacity()) * 8
            + (self.code_ends.capacity() + self.value_ends.capacity()) * size_of::<usize>()) as u64
    }

    /// Several sets in any order as one: sequences ascending, each once, and so the values of each.
    ///
    /// # Errors
    /// CANCELLED; MEMORY_LIMIT.
    pub fn joined(parts: Vec<Paths>, context: &Context) -> Result<Paths> {
        let sequences: usize = parts.iter().map(Paths::len).sum();
        let mut account = Account::new(context, Step::State);
        let own = (sequences * size_of::<(usize, usize)>()) as u64;
        account.set(own)?;
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(sequences);
        for (number, part) in parts.iter().enumerate() {
            order.extend((0..part.len()).map(|i| (number, i)));
        }
        let check = || context.check_cancelled();
        sorting::sort_by(&mut order, |&(a, i), &(b, k)| parts[a].path(i).cmp(parts[b].path(k)), check)?;
        let mut whole = Paths::default();
        for (number, same) in order.chunk_by(|&(a, i), &(b, k)| parts[a].path(i) == parts[b].path(k)).enumerate() {
            if number % MANY == 0 {
                context.check_cancelled()?;
                account.set(own + whole.size_bytes())?;
            }
            let values = |&(part, i): &(usize, usize)| {
                let part: &Paths = &parts[part];
                part.ticks(i).iter().copied().zip(part.counts(i).iter().copied())
            };
            let (first, i) = same[0];
            let path = parts[first].path(i).iter().copied();
            match same {
                [one] => whole.push(path, values(one)),
                all => {
                    let lists = all.iter().map(|one| values(one).collect()).collect();
                    whole.push(path, joined(lists, check)?.into_iter());
                }
            }
        }
        account.set(own + whole.size_bytes())?;
        Ok(whole)
    }

    /// Puts other codes in place of the present ones, in the same order.
    pub fn recode(&mut self, codes: &[u32]) {
        self.codes.iter_mut().for_each(|code| *code = codes[*code as usize]);
    }

    /// Makes each tick `factor` ticks.
    ///
    /// # Errors
    /// INVALID_DATA where a value does not fit then.
    pub fn scale(&mut self, factor: i64) -> Result<()> {
        for ticks in &mut self.ticks {
            *ticks = scaled(*ticks, factor)?;
        }
        Ok(())
    }
}

/// As many ticks of a unit of which `factor` are one of the present one.
///
/// # Errors
/// INVALID_DATA where they do not fit.
pub fn scaled(ticks: i64, factor: i64) -> Result<i64> {
    ticks
        .checked_mul(factor)
        .ok_or_else(|| Error::data(format!("{ticks} ticks cannot be counted in a unit that is {factor} times as fine")))
}

fn start(ends: &[usize], i: usize) -> usize {
    i.checked_sub(1).map_or(0, |before| ends[before])
}

#[cfg(test)]
mod tests {
    use super::*;

    type Path<'a> = (&'a [u32], &'a [(i64, u64)]);

    fn paths(list: &[Path<'_>]) -> Paths {
        let mut paths = Paths::default();
        list.iter().for_each(|(path, values)| paths.push(path.iter().copied(), values.iter().copied()));
        paths
    }

    #[test]
    fn sets_in_any_order_join_to_one_in_order() {
        let one = paths(&[(&[1, 2], &[(5, 1), (9, 2)]), (&[0], &[(0, 3)]), (&[1, 2], &[(5, 4)])]);
        let two = paths(&[(&[1], &[]), (&[1, 2], &[(-1, 1), (9, 1)])]);
        let expected = paths(&[(&[0], &[(0, 3)]), (&[1], &[]), (&[1, 2], &[(-1, 1), (5, 5), (9, 3)])]);
        let context = Context::new();
        for parts in [vec![one.clone(), two.clone()], vec![two, Paths::default(), one]] {
            assert_eq!(Paths::joined(parts, &context).unwrap(), expected);
        }
        assert_eq!(Paths::joined(vec![expected.clone()], &context).unwrap(), expected);
        assert_eq!(context.memory().used_bytes(), 0);
    }

    #[test]
    fn units_that_do_not_fit_are_refused_and_memory_is_asked_for() {
        let mut one = paths(&[(&[3], &[(-7, 1)])]);
        one.scale(1000).unwrap();
        one.recode(&[0, 0, 0, 9]);
        assert_eq!(one, paths(&[(&[9], &[(-7000, 1)])]));
        assert!(one.scale(i64::MAX).is_err());
        let context = Context::from_json(r#"{"version":1,"memory_limit_bytes":10}"#).unwrap();
        let error = Paths::joined(vec![one], &context).unwrap_err();
        assert!(error.message().contains("the state"), "{error}");
    }
}
