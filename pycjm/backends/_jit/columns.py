"""How do Arrow columns become the arrays of the kernels? Without a copy wherever the types allow it.

Case ids become keys: integers stand for themselves, dictionary codes too, and of text a hash is taken that the grouping
verifies. Activities become positions in the sorted list of labels, as small as they fit.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pycjm.backends._jit import Workers, kernel
from pycjm.backends._jit.grouping import Rows
from pycjm.backends._jit.text import hash_text, key_of_short, same_text

HASH_MASK = -1  # all bits; tests narrow it until ids collide
_EXACT = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)  # no witness, no text
_MAX_OFFSET = 2**31 - 1


def ticks_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a timestamp column as 64-bit ticks of its own unit."""
    return _numbers(column.cast(pa.int64()))


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    chunks = [chunk.to_numpy(zero_copy_only=True) for chunk in column.chunks if len(chunk)]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(chunks) if chunks else np.empty(0, column.type.to_pandas_dtype())


def _storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column without an extension type, and views as plain text."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_utf8())
    return column.cast(pa.large_binary()) if pa.types.is_binary_view(column.type) else column


def text_of(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets and bytes of a text, bytes or fixed-size bytes column."""
    column = _storage(column)
    small = pa.types.is_string(column.type) or pa.types.is_binary(column.type)
    if small and column.num_chunks > 1 and column.nbytes > _MAX_OFFSET:
        column = column.cast(pa.large_binary())
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    n, buffers = len(array), array.buffers()
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        data = np.frombuffer(buffers[1], np.uint8)
        return np.arange(array.offset, array.offset + n + 1) * width, data
    offset_type = np.int64 if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type) else np.int32
    if n == 0:
        return np.zeros(1, offset_type), np.empty(0, np.uint8)
    offsets = np.frombuffer(buffers[1], offset_type)[array.offset : array.offset + n + 1]
    return offsets, np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.empty(0, np.uint8)


@kernel
def _hash_rows(offsets, data, lo, hi, mask, keys):
    base = np.int64(data.ctypes.data)
    for row in range(lo, hi):
        at = np.int64(offsets[row])
        keys[row] = hash_text(base + at, np.int64(offsets[row + 1]) - at) & mask


@kernel
def _key_short_rows(offsets, data, lo, hi, one_length, keys, witnesses):
    base = np.int64(data.ctypes.data)
    for row in range(lo, hi):
        at = np.int64(offsets[row])
        keys[row], witnesses[row] = key_of_short(base + at, np.int64(offsets[row + 1]) - at, one_length)


@kernel
def _lengths(offsets, lo, hi):
    """Return the length of the shortest and the longest text."""
    shortest, longest = np.int64(offsets[lo + 1]) - offsets[lo], np.int64(0)
    for row in range(lo, hi):
        length = np.int64(offsets[row + 1]) - offsets[row]
        shortest, longest = min(shortest, length), max(longest, length)
    return shortest, longest


@kernel
def _encode_some(offsets, data, row, hi, table, hashes, firsts, n, codes):
    """Encode rows until the table is half full; return how far that came, and how many texts are known."""
    mask, base = table.size - 1, np.int64(data.ctypes.data)
    while row < hi and 2 * n < table.size:
        at = np.int64(offsets[row])
        length = np.int64(offsets[row + 1]) - at
        h = hash_text(base + at, length)
        slot = h & mask
        while table[slot] >= 0:
            j = table[slot]
            if hashes[j] == h:
                other = np.int64(offsets[firsts[j]])
                if same_text(base + at, length, base + other, np.int64(offsets[firsts[j] + 1]) - other):
                    break
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot], hashes[n], firsts[n] = n, h, row
            n += 1
        codes[row] = table[slot]
        row += 1
    return row, n


@kernel
def _encode_text(offsets, data, lo, hi, codes):
    """Write a code for each row, numbered as distinct texts come; return the first row of each."""
    table, hashes, firsts = np.full(1024, -1, np.int32), np.empty(512, np.int64), np.empty(512, np.int64)
    row, n = np.int64(lo), np.int64(0)
    while row < hi:
        row, n = _encode_some(offsets, data, row, hi, table, hashes, firsts, n, codes)
        if 2 * n >= table.size:
            table = np.full(4 * table.size, -1, np.int32)
            hashes, firsts = np.append(hashes, np.empty(3 * n, np.int64)), np.append(firsts, np.empty(3 * n, np.int64))
            for j in range(n):
                slot = hashes[j] & (table.size - 1)
                while table[slot] >= 0:
                    slot = (slot + 1) & (table.size - 1)
                table[slot] = j
    return firsts[:n].copy()


@kernel
def _recode(codes, lo, hi, lookup, out):
    for row in range(lo, hi):
        out[row] = lookup[codes[row]]


@kernel
def _mark_used(codes, lo, hi, used):
    for row in range(lo, hi):
        used[codes[row]] = True


def _dictionary_of(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return codes and values of a dictionary column whose chunks may have different dictionaries."""
    if column.num_chunks > 1:
        column = column.unify_dictionaries()
    if column.num_chunks == 0:
        return np.empty(0, np.int32), pa.array([], column.type.value_type)
    codes = _numbers(pa.chunked_array([chunk.indices for chunk in column.chunks], column.type.index_type))
    return codes.astype(np.int32, copy=False), column.chunk(0).dictionary


def _activities(workers: Workers, column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Return for each row the position of its label, and the labels in use, sorted by their bytes."""
    ranges = workers.ranges(len(column))
    if pa.types.is_dictionary(column.type):
        codes, dictionary = _dictionary_of(column)
        used = [np.zeros(len(dictionary), bool) for _ in ranges]
        workers.run(_mark_used, [(codes, *task, own) for task, own in zip(ranges, used, strict=True)])
        values = dictionary.to_pylist()
        names = [[values[code] for code in np.flatnonzero(np.any(used, axis=0))]]
        spelled = [values] * len(ranges)
    else:
        codes = np.empty(len(column), np.int32)
        offsets, data = text_of(column)
        firsts = workers.run(_encode_text, [(offsets, data, *task, codes) for task in ranges])
        storage = _storage(column)
        names = spelled = [storage.take(pa.array(rows)).to_pylist() for rows in firsts]
    labels = sorted(set().union(*names))  # code points sort as UTF-8 bytes do
    out = np.empty(len(codes), np.uint8 if len(labels) <= 256 else np.int32)
    rank = {label: i for i, label in enumerate(labels)}
    lookups = [np.array([rank.get(label, 0) for label in own], out.dtype) for own in spelled]
    tasks = zip(ranges, lookups, strict=True)
    workers.run(_recode, [(codes, *task, lookup, out) for task, lookup in tasks])
    return out, labels


def _keys(workers: Workers, column: pa.ChunkedArray, exact: bool) -> tuple[np.ndarray, ...]:
    """Return keys for the case ids, and where a key alone is no identity, witnesses or the text with its offsets."""
    column = _storage(column)
    if pa.types.is_integer(column.type):
        keys = _numbers(column)
        if keys.dtype.itemsize < 4:
            keys = keys.astype(np.int32)
        return keys.view(np.int32 if keys.dtype.itemsize == 4 else np.int64), *_EXACT
    if pa.types.is_dictionary(column.type):
        codes, values = _dictionary_of(column)
        distinct = values.dictionary_encode() if not pa.types.is_dictionary(values.type) else values
        if len(distinct.dictionary) < len(values):  # a dictionary may hold a value twice
            codes = distinct.indices.to_numpy(zero_copy_only=False).astype(np.int32)[codes]
        return codes, *_EXACT
    if exact:
        return _dictionary_of(column.dictionary_encode())[0], *_EXACT
    return _keys_of_text(workers, *text_of(column)) if len(column) else (np.empty(0, np.int64), *_EXACT)


def _keys_of_text(workers: Workers, offsets: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, ...]:
    n = len(offsets) - 1
    keys, ranges = np.empty(n, np.int64), workers.ranges(n)
    lengths = workers.run(_lengths, [(offsets, *task) for task in ranges])
    shortest, longest = min(low for low, _ in lengths), max(high for _, high in lengths)
    one_length = shortest == longest and 8 <= longest <= 16
    if one_length or longest <= 15:
        witnesses = np.empty(n, np.int64)
        tasks = [(offsets, data, *task, one_length, keys, witnesses) for task in ranges]
        workers.run(_key_short_rows, tasks)
        return keys, witnesses, *_EXACT[1:]
    workers.run(_hash_rows, [(offsets, data, *task, HASH_MASK, keys) for task in ranges])
    return keys, _EXACT[0], offsets, data


def rows_of(workers: Workers, events: pa.Table, *, exact: bool) -> tuple[Rows, list[str]]:
    """Return a log's rows as arrays, and its labels. With `exact` keys no text needs to be compared."""
    identity = _keys(workers, events["case"], exact)
    codes, labels = _activities(workers, events["activity"])
    has_starts = "start_timestamp" in events.column_names
    starts = ticks_of(events["start_timestamp"]) if has_starts else np.empty(0, np.int64)
    return Rows(*identity, ticks_of(events["timestamp"]), starts, codes), labels
