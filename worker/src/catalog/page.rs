//! Keyset pages as a tool file declares them: the key columns and the sizes. A key names an output column of the
//! statement; the author's own ORDER BY and row comparison do the work, so that an index can.

use std::ops::Range;

use super::fault::Faults;
use super::table::Table;

/// One column of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub column: String,
    pub descending: bool,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<Key>,
    /// Rows of a page where the caller doesn't say.
    pub size: u32,
    /// The most rows that a caller can ask for.
    pub max: u32,
    pub span: Range<usize>,
}

const DEFAULT_SIZE: u32 = 20;
const DEFAULT_MAX: u32 = 100;

pub(crate) fn read(mut table: Table<'_, '_>, faults: &mut Faults) -> Option<Page> {
    let span = table.span.clone();
    let max = table.count("max", 1, faults).map(|at| at.value);
    let size = table.count("size", 1, faults).map(|at| at.value);
    let size_value = size.unwrap_or_else(|| DEFAULT_SIZE.min(max.unwrap_or(DEFAULT_SIZE)));
    let max = max.unwrap_or_else(|| DEFAULT_MAX.max(size_value));
    if size_value > max {
        faults.error(
            table.place_of("size"),
            format!("size {size_value} is above max {max}"),
        );
    }
    let declared = table.strings("key", faults);
    table.finish(faults);
    let mut keys: Vec<Key> = Vec::new();
    for item in declared.into_iter().flat_map(|list| list.value) {
        let mut words = item.value.split_whitespace();
        let (column, direction) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or("asc"),
        );
        let descending = direction.eq_ignore_ascii_case("desc");
        let plain = column
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if column.is_empty()
            || !plain
            || words.next().is_some()
            || !(descending || direction.eq_ignore_ascii_case("asc"))
        {
            faults.error_with(
                item.span,
                format!("`{}` is not a page key", item.value),
                "write the name of an output column and asc or desc: \"created_at desc\"",
            );
            continue;
        }
        if keys.iter().any(|key| key.column == column) {
            faults.error(
                item.span,
                format!("the column `{column}` is in the key twice"),
            );
            continue;
        }
        keys.push(Key {
            column: column.to_owned(),
            descending,
            span: item.span,
        });
    }
    if keys.is_empty() {
        faults.error_with(
            span,
            "a page needs a key",
            "name the columns that put the rows into one order: key = [\"id\"]",
        );
        return None;
    }
    Some(Page {
        keys,
        size: size_value,
        max,
        span,
    })
}
