//! Gaps of very many edges, gathered over batches until there is something to sort.

/// Gaps with their edges and cases, in the order in which they were met.
#[derive(Default)]
pub struct Gathered {
    records: Vec<Record>,
    spare: Vec<Record>,
    gaps: Vec<i64>,
}

#[derive(Clone, Copy, Default)]
struct Record {
    /// Edge number, from 1.
    number: u32,
    /// The low half of the case's number: cases that follow each other in one edge differ in it.
    case: u32,
    gap: i64,
}

/// Records gathered before they are sorted: many per edge, within bounds.
const PER_EDGE: usize = 16;
const FEWEST: usize = 1 << 18;
const MOST: usize = 1 << 23;

/// Bits sorted by in one pass.
const DIGIT: u32 = 11;

impl Gathered {
    /// Adds the gaps of a batch; number 0 marks the first event of a case. `case` cases came before.
    pub fn add(&mut self, numbers: &[u32], gaps: &[i64], case: u64) {
        let mut case = case as u32;
        self.records.reserve(numbers.len());
        for (&number, &gap) in numbers.iter().zip(gaps) {
            if number == 0 {
                case = case.wrapping_add(1);
            } else {
                self.records.push(Record { number, case, gap });
            }
        }
    }

    /// Whether it is time to drain, with so many edges.
    pub fn is_full(&self, edges: usize) -> bool {
        self.records.len() >= (edges * PER_EDGE).clamp(FEWEST, MOST)
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        (self.records.capacity() + self.spare.capacity()) * size_of::<Record>()
    }

    /// Hands out all gaps edge by edge, with the number of cases they lie in, and forgets them.
    pub fn drain(&mut self, mut take: impl FnMut(u32, &[i64], u64)) {
        if self.records.is_empty() {
            return;
        }
        self.sort();
        let mut rest = self.records.as_slice();
        while let Some(first) = rest.first() {
            let length = rest.iter().take_while(|record| record.number == first.number).count();
            let (run, after) = rest.split_at(length);
            // Records of one edge are still in the order of cases.
            let changes = run.windows(2).filter(|pair| pair[0].case != pair[1].case).count();
            self.gaps.clear();
            self.gaps.extend(run.iter().map(|record| record.gap));
            take(first.number, &self.gaps, changes as u64 + 1);
            rest = after;
        }
        self.records.clear();
    }

    /// Sorts by edge, stably: counting sorts from the lowest digit of the number to the highest.
    fn sort(&mut self) {
        let highest = self.records.iter().map(|record| record.number).max().unwrap_or(0);
        self.spare.resize(self.records.len(), Record::default());
        for shift in (0..u32::BITS - highest.leading_zeros()).step_by(DIGIT as usize) {
            let digit = |record: &Record| (record.number >> shift) as usize % (1 << DIGIT);
            let mut next = vec![0usize; 1 << DIGIT];
            self.records.iter().for_each(|record| next[digit(record)] += 1);
            let mut at = 0;
            for count in &mut next {
                at += *count;
                *count = at - *count;
            }
            for record in &self.records {
                let to = &mut next[digit(record)];
                self.spare[*to] = *record;
                *to += 1;
            }
            std::mem::swap(&mut self.records, &mut self.spare);
        }
        self.spare.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn gaps_come_out_by_edge_in_order_with_their_cases(
            cases in prop::collection::vec(prop::collection::vec((1u32..5_000_000, any::<i64>()), 0..6), 0..60)
        ) {
            let mut gathered = Gathered::default();
            let mut expected: BTreeMap<u32, (Vec<i64>, u64)> = BTreeMap::new();
            for (i, case) in cases.iter().enumerate() {
                let case: Vec<(u32, i64)> = case.iter().map(|&(number, gap)| (number % 7 * 700_000 + 1, gap)).collect();
                let numbers: Vec<u32> = std::iter::once(0).chain(case.iter().map(|pair| pair.0)).collect();
                let gaps: Vec<i64> = std::iter::once(0).chain(case.iter().map(|pair| pair.1)).collect();
                gathered.add(&numbers, &gaps, i as u64);
                let mut seen = Vec::new();
                for (number, gap) in case {
                    let edge = expected.entry(number).or_default();
                    edge.0.push(gap);
                    edge.1 += u64::from(!seen.contains(&number));
                    seen.push(number);
                }
            }
            let mut found = BTreeMap::new();
            gathered.drain(|number, gaps, cases| assert!(found.insert(number, (gaps.to_vec(), cases)).is_none()));
            prop_assert_eq!(found, expected);
            gathered.drain(|_, _, _| panic!("drained twice"));
        }
    }
}
