//! Which case has a row whose id is a value of a dictionary that all rows share? The one of the first equal value.
//!
//! Arrow lets a dictionary hold a value twice, so its indices are no ids. But once equal values are known, a number does
//! what a text would: nothing has to be hashed, carried along and compared row by row.

use arrow_array::{Array, ArrayRef};
use hashbrown::HashTable;

use crate::context::{Context, Step};
use crate::error::Result;
use crate::hash;
use crate::log::text::TextColumn;
use crate::workers;

/// The values of a dictionary, equal ones known.
pub struct Numbering {
    dictionary: ArrayRef,
    values: TextColumn,
    /// For each value the first one that is equal; none where all differ.
    firsts: Option<Vec<u32>>,
}

/// Bytes that it takes for a moment to find equal values, for each of them.
const FINDING: u64 = 32;

/// Values between two looks at the cancel flag.
const LOOK: usize = 1 << 16;

impl Numbering {
    /// Numbers for the values of `dictionary`; none if they are no texts, or where there is no memory for it.
    ///
    /// # Errors
    /// CANCELLED.
    pub fn new(dictionary: &ArrayRef, context: &Context) -> Result<Option<Numbering>> {
        let Some(values) = TextColumn::new(dictionary).filter(|values| u32::try_from(values.len()).is_ok()) else {
            return Ok(None);
        };
        let Ok(_reserved) = context.reserve_for_now(Step::Measures, values.len() as u64 * FINDING) else {
            return Ok(None);
        };
        let again = workers::on_all(context, |worker| equal_values(&values, worker, context))?;
        let firsts = again.iter().any(|again| !again.is_empty()).then(|| {
            let mut firsts: Vec<u32> = (0..values.len() as u32).collect();
            again.iter().flatten().for_each(|&(value, first)| firsts[value as usize] = first);
            firsts
        });
        Ok(Some(Numbering { dictionary: dictionary.clone(), values, firsts }))
    }

    /// Whether that is the dictionary.
    pub fn is_of(&self, dictionary: &ArrayRef) -> bool {
        self.dictionary.to_data().ptr_eq(&dictionary.to_data())
    }

    /// The number of the case whose id stands at each of the `indices`.
    pub fn numbers(&self, indices: &[u32]) -> Vec<u64> {
        match &self.firsts {
            None => indices.iter().map(|&index| u64::from(index)).collect(),
            Some(firsts) => indices.iter().map(|&index| u64::from(firsts[index as usize])).collect(),
        }
    }

    /// Bytes held besides the values.
    pub fn size_bytes(&self) -> usize {
        self.firsts.as_ref().map_or(0, |firsts| firsts.len() * size_of::<u32>())
    }

    /// The id of each number.
    pub fn values(&self) -> &TextColumn {
        &self.values
    }
}

/// The values that one before is equal to, with the first such: of those whose hash falls to `worker`.
fn equal_values(values: &TextColumn, worker: usize, context: &Context) -> Result<Vec<(u32, u32)>> {
    let threads = context.threads();
    let mut known: HashTable<(u64, u32)> = HashTable::with_capacity(values.len() / threads);
    let mut again = Vec::new();
    for at in 0..values.len() {
        if at % LOOK == 0 {
            context.check_cancelled()?;
        }
        let value = values.value(at);
        let hash = hash::of_bytes(value);
        // Not by the bits that the table goes by.
        if (hash >> 24) as usize % threads != worker {
            continue;
        }
        match known.find(hash, |&(other, first)| other == hash && values.value(first as usize) == value) {
            Some(&(_, first)) => again.push((at as u32, first)),
            None => {
                known.insert_unique(hash, (hash, at as u32), |&(hash, _)| hash);
            }
        }
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringArray;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dictionary_is_known_by_its_buffers() {
        let [one, other]: [ArrayRef; 2] = [(); 2].map(|()| Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef);
        let numbering = Numbering::new(&one, &Context::new()).unwrap().unwrap();
        assert!(numbering.is_of(&one.slice(0, 2)) && !numbering.is_of(&other) && !numbering.is_of(&one.slice(0, 1)));
    }

    proptest! {
        #[test]
        fn equal_values_have_one_number(values in prop::collection::vec("[ab]{0,3}", 1..60), threads in 1usize..4) {
            let dictionary: ArrayRef = Arc::new(StringArray::from(values.clone()));
            let context = Context::from_json(&format!("{{\"version\": 1, \"threads\": {threads}}}")).unwrap();
            let numbering = Numbering::new(&dictionary, &context).unwrap().unwrap();
            let indices: Vec<u32> = (0..values.len() as u32).collect();
            for (number, value) in numbering.numbers(&indices).into_iter().zip(&values) {
                prop_assert_eq!(number, values.iter().position(|other| other == value).unwrap() as u64);
                prop_assert_eq!(numbering.values().value(number as usize), value.as_bytes());
            }
        }
    }
}
