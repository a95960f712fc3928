//! What the catalog does to JSON text without reading it into values: write a string, take out white space. All input
//! is valid JSON (PostgreSQL's or serde's).

use std::borrow::Cow;

/// Appends `text` as a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    // Writing a str to a Vec can't fail.
    let _ = serde_json::to_writer(out, text);
}

/// The same JSON without white space between tokens. PostgreSQL's `json_build_object` writes `{"a" : 1}`, and a
/// `json` column comes as it was stored, newlines included; a reader's context window pays for each.
pub(crate) fn compact(json: &[u8]) -> Cow<'_, [u8]> {
    let spaced = memchr::memchr2(b'\n', b'\r', json).is_some()
        || memchr::memmem::find(json, b"\": ").is_some()
        || memchr::memmem::find(json, b"\" :").is_some()
        || memchr::memmem::find(json, b", ").is_some();
    if !spaced {
        return Cow::Borrowed(json);
    }
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(byte) = rest.first() {
        if *byte == b'"' {
            let (string, after) = rest.split_at(string_length(rest));
            out.extend_from_slice(string);
            rest = after;
        } else {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                out.push(*byte);
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    Cow::Owned(out)
}

/// The bytes of the JSON string that `json` begins with, quotes included.
fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(offset) = json
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += offset;
        if json.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_goes_only_between_tokens() {
        let table = [
            (
                r#"{"a" : "b : c\" , \\", "d":[1, 2]}"#,
                r#"{"a":"b : c\" , \\","d":[1,2]}"#,
            ),
            ("{\n \"a\":\t1\r\n}", r#"{"a":1}"#),
            (r#"{"a":"x, y"}"#, r#"{"a":"x, y"}"#),
            ("\"x", "\"x"),
        ];
        for (json, expected) in table {
            assert_eq!(String::from_utf8_lossy(&compact(json.as_bytes())), expected);
        }
    }

    proptest! {
        #[test]
        fn compact_json_means_the_same(text in "[ a-z\"\\\\:,\n{}\\[\\]]{0,20}", pretty in any::<bool>()) {
            let value = serde_json::json!({ text.clone(): [text.clone(), {"b": [1, text]}, null], "x": {} });
            let json = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            prop_assert_eq!(compact(&json).into_owned(), serde_json::to_vec(&value).unwrap());
        }
    }
}
