//! From a state to rows.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, ListArray, PrimitiveArray, RecordBatch, StringArray, UInt64Array, new_null_array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::context::{Account, Context, Step};
use crate::error::{Error, Result};
use crate::state::State;
use crate::state::answer::pair_of;
use crate::state::checksum::Checksum;
use crate::state::format::{ACTIVITIES, CASES, CHECKSUM, Document, EDGE, FACTS, Rows, VARIANT, fields};
use crate::state::ids::Ids;
use crate::state::paths::Paths;

/// Values and rows of a batch, about.
const BATCH_VALUES: usize = 1 << 18;
const BATCH_ROWS: usize = 1 << 16;
/// Bytes of ids in a row, about.
const ROW_BYTES: usize = 1 << 22;

/// A state, written down.
#[derive(Clone)]
pub struct Written {
    /// The columns, and the facts.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl State {
    /// Writes the state down.
    ///
    /// # Errors
    /// CANCELLED; MEMORY_LIMIT.
    pub fn write(&self, context: &Context) -> Result<Written> {
        let kind = self.ids.as_ref().map(Ids::kind);
        let plain: SchemaRef = Arc::new(Schema::new(fields(kind)));
        let mut writer =
            Writer { schema: Arc::clone(&plain), batches: Vec::new(), account: Account::new(context, Step::State) };
        let texts: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        let stretches = stretches(texts.len(), |i| texts[i].len());
        let lists = stretches.iter().map(|&(from, to)| to - from);
        writer.add(
            ACTIVITIES,
            stretches.len(),
            [("labels", list("labels", lists, Arc::new(StringArray::from_iter_values(&texts)), &plain)?)],
        )?;
        writer.paths(VARIANT, &self.variants, |_| None)?;
        let negatives =
            |i: usize| pair_of(self.edges.path(i)).ok().map(|pair| self.negatives.get(&pair).copied().unwrap_or(0));
        writer.paths(EDGE, &self.edges, negatives)?;
        if let Some(ids) = &self.ids {
            for &(from, to) in &self::stretches(ids.len(), |i| ids.width(i)) {
                let ids = list("ids", std::iter::once(to - from), ids.column(from, to), &plain)?;
                writer.add(CASES, 1, [("ids", ids)])?;
            }
        }
        let facts = serde_json::to_string(&Document::new(&self.facts, self.ids.as_ref()))
            .map_err(|error| Error::internal(error.to_string()))?;
        let mut checksum = Checksum::new(&facts);
        for batch in &writer.batches {
            context.check_cancelled()?;
            checksum.add(&Rows::of(batch)?);
        }
        let metadata = [(FACTS.to_owned(), facts), (CHECKSUM.to_owned(), checksum.text())];
        let schema: SchemaRef = Arc::new(Schema::new(fields(kind)).with_metadata(metadata));
        let dressed = |batch: RecordBatch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
        let batches: std::result::Result<Vec<_>, ArrowError> = writer.batches.into_iter().map(dressed).collect();
        Ok(Written { batches: batches.map_err(internal)?, schema })
    }
}

fn internal(error: ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// The ranges of `n` things that are together about as large as a row should be.
fn stretches(n: usize, width: impl Fn(usize) -> usize) -> Vec<(usize, usize)> {
    let (mut ranges, mut from, mut bytes) = (Vec::new(), 0, 0);
    for i in 0..n {
        bytes += width(i);
        if bytes >= ROW_BYTES || i + 1 - from >= BATCH_VALUES || i + 1 == n {
            ranges.push((from, i + 1));
            (from, bytes) = (i + 1, 0);
        }
    }
    ranges
}

/// A column of lists with these lengths, one after the other in `values`.
fn list(name: &str, lengths: impl Iterator<Item = usize>, values: ArrayRef, schema: &Schema) -> Result<ArrayRef> {
    let field = match schema.field_with_name(name).map(Field::data_type) {
        Ok(DataType::List(field)) => Arc::clone(field),
        _ => return Err(Error::internal(format!("{name} is no list"))),
    };
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None).map_err(internal)?;
    Ok(Arc::new(list))
}

fn numbers<T: ArrowPrimitiveType>(values: &[T::Native]) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values.to_vec()), None))
}

struct Writer<'a> {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    account: Account<'a>,
}

impl Writer<'_> {
    /// Adds rows of one kind, with these columns and nulls in all others.
    fn add<const N: usize>(&mut self, part: &str, rows: usize, columns: [(&str, ArrayRef); N]) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let parts: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(part, rows)));
        let column = |field: &Arc<Field>| match columns.iter().find(|(name, _)| name == field.name()) {
            Some((_, column)) => Arc::clone(column),
            None if field.name() == "part" => Arc::clone(&parts),
            None => new_null_array(field.data_type(), rows),
        };
        let all = self.schema.fields().iter().map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), all).map_err(internal)?;
        self.account.set(self.account.bytes() + batch.get_array_memory_size() as u64)?;
        self.batches.push(batch);
        Ok(())
    }

    /// Adds sequences, those with many values in several rows. Where `negatives` has something, the first row tells it.
    fn paths(&mut self, part: &str, paths: &Paths, negatives: impl Fn(usize) -> Option<u64>) -> Result<()> {
        let mut rows = Block::default();
        for i in 0..paths.len() {
            let (path, mut ticks, mut counts) = (paths.path(i), paths.ticks(i), paths.counts(i));
            let mut below = negatives(i);
            loop {
                let many = ticks.len().min(BATCH_VALUES);
                rows.add(path, &ticks[..many], &counts[..many], below);
                if rows.is_full() {
                    self.block(part, &mut rows)?;
                }
                (ticks, counts) = (&ticks[many..], &counts[many..]);
                below = below.map(|_| 0);
                if ticks.is_empty() {
                    break;
                }
            }
        }
        self.block(part, &mut rows)
    }

    fn block(&mut self, part: &str, block: &mut Block) -> Result<()> {
        let Block { path_lengths, codes, value_lengths, ticks, counts, negatives } = std::mem::take(block);
        let schema = Arc::clone(&self.schema);
        let rows = path_lengths.len();
        let values = || value_lengths.iter().copied();
        let columns = [
            ("path", list("path", path_lengths.iter().copied(), numbers::<UInt32Type>(&codes), &schema)?),
            ("ticks", list("ticks", values(), numbers::<Int64Type>(&ticks), &schema)?),
            ("counts", list("counts", values(), numbers::<UInt64Type>(&counts), &schema)?),
            ("negatives", Arc::new(negatives.into_iter().collect::<UInt64Array>()) as ArrayRef),
        ];
        self.add(part, rows, columns)
    }
}

/// Rows of sequences on their way into a batch.
#[derive(Default)]
struct Block {
    path_lengths: Vec<usize>,
    codes: Vec<u32>,
    value_lengths: Vec<usize>,
    ticks: Vec<i64>,
    counts: Vec<u64>,
    negatives: Vec<Option<u64>>,
}

impl Block {
    fn add(&mut self, path: &[u32], ticks: &[i64], counts: &[u64], negatives: Option<u64>) {
        self.path_lengths.push(path.len());
        self.codes.extend_from_slice(path);
        self.value_lengths.push(ticks.len());
        self.ticks.extend_from_slice(ticks);
        self.counts.extend_from_slice(counts);
        self.negatives.push(negatives);
    }

    fn is_full(&self) -> bool {
        self.path_lengths.len() >= BATCH_ROWS || self.codes.len().max(self.ticks.len()) >= BATCH_VALUES
    }
}
