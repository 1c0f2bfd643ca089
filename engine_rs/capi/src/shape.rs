//! Can a foreign schema or array be taken over without reading what is not there?
//!
//! The Arrow library trusts the numbers in these structs: a negative length becomes a huge one, a missing child a
//! panic. All numbers that tell how much is read are therefore checked first. What the C data interface does not carry,
//! the sizes of the buffers, nobody can check: that is the producer's promise.

use std::ffi::{CStr, c_char, c_void};
use std::mem::size_of;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_data::{BufferSpec, layout};
use arrow_schema::DataType;
use cjm_core::error::{Error, Result};

/// Types nested deeper than this are refused: they would cost stack for nothing.
const MAX_DEPTH: usize = 64;

/// `struct ArrowSchema` of the C data interface, whose fields the Arrow library keeps private.
#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *const *const Schema,
    dictionary: *const Schema,
    release: *const c_void,
    private_data: *const c_void,
}

/// `struct ArrowArray` of the C data interface.
#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *const *const c_void,
    children: *const *const Array,
    dictionary: *const Array,
    release: *const c_void,
    private_data: *const c_void,
}

const _: () = assert!(size_of::<Schema>() == size_of::<FFI_ArrowSchema>());
const _: () = assert!(size_of::<Array>() == size_of::<FFI_ArrowArray>());

/// Checks what is read when a schema is turned into a type.
pub(crate) fn check_schema(schema: &FFI_ArrowSchema) -> Result<()> {
    // SAFETY: both are the same struct of the C data interface.
    let schema = unsafe { &*(&raw const *schema).cast::<Schema>() };
    walk_schema(schema, 0)
}

fn walk_schema(schema: &Schema, depth: usize) -> Result<()> {
    let name = text(schema.name, "a column name")?.unwrap_or("");
    if depth > MAX_DEPTH {
        return Err(malformed(name, &format!("its type is nested deeper than {MAX_DEPTH}")));
    }
    let format = text(schema.format, "a format")?.ok_or_else(|| malformed(name, "it has no format"))?;
    // SAFETY: a schema keeps `n_children` pointers to schemas of its own.
    for child in unsafe { pointers(schema.children, schema.n_children) }.map_err(|why| malformed(name, why))? {
        // SAFETY: each is NULL or a schema that lives as long as its parent.
        walk_schema(unsafe { child.as_ref() }.ok_or_else(|| malformed(name, "a child is NULL"))?, depth + 1)?;
    }
    let children = match format {
        "+l" | "+L" | "+vl" | "+vL" | "+m" => 1,
        "+r" => 2,
        _ if format.starts_with("+w:") => 1,
        _ if format.starts_with('+') => schema.n_children,
        _ => 0,
    };
    if schema.n_children != children {
        return Err(malformed(name, &format!("format {format:?} with {} children", schema.n_children)));
    }
    // SAFETY: NULL or a schema that lives as long as its parent.
    unsafe { schema.dictionary.as_ref() }.map_or(Ok(()), |values| walk_schema(values, depth + 1))
}

/// Checks that no number inside a type breaks the arithmetic that follows.
pub(crate) fn check_type(name: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) if *size < 0 => {
            Err(malformed(name, "its fixed size is negative"))
        }
        DataType::Dictionary(keys, values) => {
            if !keys.is_dictionary_key_type() {
                return Err(malformed(name, &format!("{keys} cannot be the key of a dictionary")));
            }
            check_type(name, values)
        }
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => check_type(name, field.data_type()),
        DataType::RunEndEncoded(ends, values) => {
            check_type(name, ends.data_type())?;
            check_type(name, values.data_type())
        }
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_type(name, field.data_type())),
        DataType::Union(fields, _) => fields.iter().try_for_each(|(_, field)| check_type(name, field.data_type())),
        _ => Ok(()),
    }
}

/// Checks what is read when an array of a checked type is taken over. `name` is the column's, for messages.
pub(crate) fn check_array(array: &FFI_ArrowArray, data_type: &DataType, name: &str) -> Result<()> {
    // SAFETY: both are the same struct of the C data interface.
    let array = unsafe { &*(&raw const *array).cast::<Array>() };
    walk_array(array, data_type, name)
}

fn walk_array(array: &Array, data_type: &DataType, name: &str) -> Result<()> {
    if array.release.is_null() {
        return Err(malformed(name, "its array was released"));
    }
    check_counts(array, name)?;
    check_buffers(array, data_type, name)?;
    let fields = children_of(data_type);
    // SAFETY: an array keeps `n_children` pointers to arrays of its own.
    let children = unsafe { pointers(array.children, array.n_children) }.map_err(|why| malformed(name, why))?;
    if children.len() != fields.len() {
        let text = format!("{data_type} has {} children, its array {}", fields.len(), children.len());
        return Err(malformed(name, &text));
    }
    for (child, (child_name, child_type)) in children.iter().zip(fields) {
        // SAFETY: each is NULL or an array that lives as long as its parent.
        let child = unsafe { child.as_ref() }.ok_or_else(|| malformed(name, "a child is NULL"))?;
        walk_array(child, child_type, if name.is_empty() { child_name } else { name })?;
    }
    // SAFETY: NULL or an array that lives as long as its parent.
    match (unsafe { array.dictionary.as_ref() }, data_type) {
        (Some(values), DataType::Dictionary(_, value_type)) => walk_array(values, value_type, name),
        (None, DataType::Dictionary(..)) => Err(malformed(name, "its dictionary is missing")),
        (Some(_), _) => Err(malformed(name, "it has a dictionary, its type has not")),
        (None, _) => Ok(()),
    }
}

/// Lengths that are not negative and leave room for the arithmetic on them.
fn check_counts(array: &Array, name: &str) -> Result<()> {
    let Array { length, offset, null_count, .. } = *array;
    let whole = length >= 0 && offset >= 0 && length.checked_add(offset).is_some_and(|end| end < i64::MAX / 64);
    if !whole {
        return Err(malformed(name, &format!("length {length} with offset {offset}")));
    }
    if null_count < -1 || null_count > length {
        return Err(malformed(name, &format!("{null_count} nulls in {length} values")));
    }
    Ok(())
}

/// As many buffers as the type has, each no larger than memory, and the last offset of a text not negative.
fn check_buffers(array: &Array, data_type: &DataType, name: &str) -> Result<()> {
    let spec = layout(data_type);
    let validity = usize::from(spec.can_contain_null_mask);
    let fixed = validity + spec.buffers.len();
    // SAFETY: an array keeps `n_buffers` pointers.
    let buffers = unsafe { pointers(array.buffers, array.n_buffers) }.map_err(|why| malformed(name, why))?;
    // Views carry any number of data buffers, and one with their sizes.
    let enough = if spec.variadic { buffers.len() > fixed } else { buffers.len() == fixed };
    if !enough {
        return Err(malformed(name, &format!("{data_type} with {} buffers", buffers.len())));
    }
    if validity == 1 && array.null_count > 0 && buffers[0].is_null() {
        return Err(malformed(name, "it has nulls, but no validity bitmap"));
    }
    let end = (array.length + array.offset) as usize;
    for buffer in &spec.buffers {
        if let BufferSpec::FixedWidth { byte_width, .. } = buffer
            && (end + 1).checked_mul(*byte_width).is_none_or(|bytes| bytes > isize::MAX as usize)
        {
            return Err(malformed(name, &format!("{end} values of {byte_width} bytes do not fit in memory")));
        }
    }
    if spec.variadic {
        check_view_sizes(&buffers[fixed..], name)
    } else {
        check_last_offset(buffers, data_type, end, name)
    }
}

/// The sizes of view buffers, which are in the last one: `i64` each, not negative, and not for a buffer that is NULL.
fn check_view_sizes(buffers: &[*const c_void], name: &str) -> Result<()> {
    let Some((sizes, data)) = buffers.split_last() else { return Ok(()) };
    let sizes = sizes.cast::<i64>();
    if data.is_empty() {
        return Ok(());
    }
    if sizes.is_null() || !sizes.is_aligned() {
        return Err(malformed(name, "the sizes of its view buffers are missing or not aligned"));
    }
    for (at, buffer) in data.iter().enumerate() {
        // SAFETY: a view array keeps one size per data buffer.
        let size = unsafe { sizes.add(at).read() };
        if size < 0 || (size > 0 && buffer.is_null()) {
            return Err(malformed(name, &format!("view buffer {at} of {size} bytes")));
        }
    }
    Ok(())
}

/// The last offset of a text or binary array, which tells how long its data is.
fn check_last_offset(buffers: &[*const c_void], data_type: &DataType, end: usize, name: &str) -> Result<()> {
    let wide = match data_type {
        DataType::Utf8 | DataType::Binary => false,
        DataType::LargeUtf8 | DataType::LargeBinary => true,
        _ => return Ok(()),
    };
    let offsets = buffers[1];
    let aligned = if wide { offsets.cast::<i64>().is_aligned() } else { offsets.cast::<i32>().is_aligned() };
    if offsets.is_null() || !aligned {
        return Err(malformed(name, "its offsets are missing or not aligned"));
    }
    if end == 0 {
        return Ok(()); // an empty array's single offset is never read
    }
    // SAFETY: not NULL, aligned, and an array of `end` values keeps `end + 1` offsets.
    let last = unsafe {
        if wide { offsets.cast::<i64>().add(end).read() } else { i64::from(offsets.cast::<i32>().add(end).read()) }
    };
    if last < 0 { Err(malformed(name, &format!("its last offset is {last}"))) } else { Ok(()) }
}

/// The nested types of a type, with the names that messages may use.
fn children_of(data_type: &DataType) -> Vec<(&str, &DataType)> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![(field.name(), field.data_type())],
        DataType::RunEndEncoded(ends, values) => {
            vec![(ends.name(), ends.data_type()), (values.name(), values.data_type())]
        }
        DataType::Struct(fields) => fields.iter().map(|field| (field.name().as_str(), field.data_type())).collect(),
        DataType::Union(fields, _) => {
            fields.iter().map(|(_, field)| (field.name().as_str(), field.data_type())).collect()
        }
        _ => Vec::new(),
    }
}

/// The `count` pointers at `first`.
///
/// # Safety
/// If `count` is positive and `first` not NULL, `first` points to as many, which live for `'a`.
unsafe fn pointers<'a, T>(first: *const *const T, count: i64) -> std::result::Result<&'a [*const T], &'static str> {
    match usize::try_from(count) {
        Err(_) => Err("it has a negative number of children or buffers"),
        Ok(0) => Ok(&[]),
        Ok(_) if first.is_null() || !first.is_aligned() => Err("its children or buffers are missing"),
        Ok(n) if n > isize::MAX as usize / size_of::<*const T>() => Err("it has more children or buffers than fit"),
        // SAFETY: not NULL, aligned, and the caller vouches for the number.
        Ok(n) => Ok(unsafe { std::slice::from_raw_parts(first, n) }),
    }
}

/// A text of a schema, None for NULL.
fn text<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and a schema's texts are NUL-terminated and live as long as it.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Error::data(format!("the stream's schema has {what} that is not UTF-8")))
}

/// The producer broke the C data interface at a column.
pub(crate) fn malformed(name: &str, why: &str) -> Error {
    let error = Error::data(format!("the stream's producer broke the Arrow format at column {name:?}: {why}"));
    if name.is_empty() { error } else { error.with("column", name) }
}
