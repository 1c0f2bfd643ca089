//! How are the bytes of a text (or binary) column reached, whatever its Arrow layout?

use arrow_array::cast::AsArray;
use arrow_array::types::{GenericBinaryType, GenericStringType};
use arrow_array::{Array, ArrayRef, BinaryViewArray, FixedSizeBinaryArray, GenericByteArray, StringViewArray};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_schema::DataType;

/// A column of byte strings in one of Arrow's layouts.
#[derive(Clone)]
pub enum TextColumn {
    /// utf8
    Utf8(GenericByteArray<GenericStringType<i32>>),
    /// large utf8
    LargeUtf8(GenericByteArray<GenericStringType<i64>>),
    /// utf8 view
    Utf8View(StringViewArray),
    /// binary
    Binary(GenericByteArray<GenericBinaryType<i32>>),
    /// large binary
    LargeBinary(GenericByteArray<GenericBinaryType<i64>>),
    /// binary view
    BinaryView(BinaryViewArray),
    /// fixed-size binary
    Fixed(FixedSizeBinaryArray),
    /// a dictionary of one of these
    Coded {
        /// Index into `values` per row.
        keys: ScalarBuffer<u32>,
        /// The distinct values.
        values: Box<TextColumn>,
        /// The values' own array, by which a dictionary is recognised again.
        dictionary: ArrayRef,
    },
}

impl TextColumn {
    /// The column behind `array`; none where it holds no byte strings. Rows that are null must not be asked for.
    pub fn new(array: &ArrayRef) -> Option<TextColumn> {
        match array.data_type() {
            DataType::Utf8 => Some(TextColumn::Utf8(array.as_string::<i32>().clone())),
            DataType::LargeUtf8 => Some(TextColumn::LargeUtf8(array.as_string::<i64>().clone())),
            DataType::Utf8View => Some(TextColumn::Utf8View(array.as_string_view().clone())),
            DataType::Binary => Some(TextColumn::Binary(array.as_binary::<i32>().clone())),
            DataType::LargeBinary => Some(TextColumn::LargeBinary(array.as_binary::<i64>().clone())),
            DataType::BinaryView => Some(TextColumn::BinaryView(array.as_binary_view().clone())),
            DataType::FixedSizeBinary(_) => Some(TextColumn::Fixed(array.as_fixed_size_binary().clone())),
            DataType::Dictionary(_, _) => coded(array),
            _ => None,
        }
    }

    /// The bytes at `row`.
    #[inline]
    pub fn value(&self, row: usize) -> &[u8] {
        match self {
            TextColumn::Utf8(array) => array.value(row).as_bytes(),
            TextColumn::LargeUtf8(array) => array.value(row).as_bytes(),
            TextColumn::Utf8View(array) => array.value(row).as_bytes(),
            TextColumn::Binary(array) => array.value(row),
            TextColumn::LargeBinary(array) => array.value(row),
            TextColumn::BinaryView(array) => array.value(row),
            TextColumn::Fixed(array) => array.value(row),
            TextColumn::Coded { keys, values, .. } => values.value(keys[row] as usize),
        }
    }

    /// Rows in the column.
    pub fn len(&self) -> usize {
        match self {
            TextColumn::Utf8(array) => array.len(),
            TextColumn::LargeUtf8(array) => array.len(),
            TextColumn::Utf8View(array) => array.len(),
            TextColumn::Binary(array) => array.len(),
            TextColumn::LargeBinary(array) => array.len(),
            TextColumn::BinaryView(array) => array.len(),
            TextColumn::Fixed(array) => array.len(),
            TextColumn::Coded { keys, .. } => keys.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn coded(array: &ArrayRef) -> Option<TextColumn> {
    let any = array.as_any_dictionary_opt()?;
    let dictionary = any.values();
    let values = TextColumn::new(dictionary)?;
    if dictionary.is_empty() {
        // Only nulls: no key points anywhere, and no row will be asked for.
        return Some(TextColumn::Coded {
            keys: vec![0; array.len()].into(),
            values: Box::new(values),
            dictionary: dictionary.clone(),
        });
    }
    let keys = match any.keys().data_type() {
        // Keys that are null may be anything, but such rows are not asked for; all others are not negative.
        DataType::Int32 => as_u32(any.keys().as_primitive::<arrow_array::types::Int32Type>().values().inner()),
        _ => {
            cast(any.keys(), &DataType::UInt32).ok()?.as_primitive::<arrow_array::types::UInt32Type>().values().clone()
        }
    };
    Some(TextColumn::Coded { keys, values: Box::new(values), dictionary: dictionary.clone() })
}

fn as_u32(buffer: &Buffer) -> ScalarBuffer<u32> {
    ScalarBuffer::new(buffer.clone(), 0, buffer.len() / size_of::<u32>())
}
