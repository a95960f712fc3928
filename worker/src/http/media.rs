//! Media types in Accept and Content-Type. Knows nothing of which ones the server speaks.

/// True when an Accept value lets a reply be of `media` (`type/subtype`, lower case). No Accept accepts everything, and so does an
/// unreadable one: nothing that can be answered in another form is refused for its Accept (RFC 9110 section 12.4.1 leaves that to the
/// server). Among matching ranges the most specific decides; `q=0` excludes (section 12.5.1).
pub fn accepts(accept: Option<&str>, media: &str) -> bool {
    let Some(accept) = accept else {
        return true;
    };
    let wanted = media.split_once('/').map_or(media, |(kind, _)| kind);
    let mut best = None;
    let mut readable = false;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let Some((kind, subtype)) = name.split_once('/') else {
            continue;
        };
        readable = true;
        let precision = if name.eq_ignore_ascii_case(media) {
            2
        } else if subtype == "*" && kind.eq_ignore_ascii_case(wanted) {
            1
        } else if name == "*/*" {
            0
        } else {
            continue;
        };
        let accepted = !parts.any(is_zero_weight);
        best = match best {
            Some((known, _)) if known > precision => best,
            Some((known, before)) if known == precision => Some((known, before || accepted)),
            _ => Some((precision, accepted)),
        };
    }
    match best {
        Some((_, accepted)) => accepted,
        None => !readable,
    }
}

fn is_zero_weight(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q")
            && value
                .trim()
                .parse::<f32>()
                .is_ok_and(|weight| weight == 0.0)
    })
}

/// True when a Content-Type value is `media` (`type/subtype`, lower case), whatever its parameters.
pub fn is_media_type(content_type: &str, media: &str) -> bool {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_chooses_by_the_most_specific_range() {
        let table: &[(Option<&str>, bool, bool)] = &[
            // Accept, accepts application/json, accepts text/event-stream
            (None, true, true),
            (Some(""), true, true),
            (Some("*/*"), true, true),
            (Some("application/json"), true, false),
            (Some("application/json, text/event-stream"), true, true),
            (
                Some("TEXT/Event-Stream;q=0.5 , Application/JSON; q=1"),
                true,
                true,
            ),
            (Some("text/event-stream"), false, true),
            (Some("application/*"), true, false),
            (Some("*/*, application/json;q=0"), false, true),
            (Some("application/json;q=0.0, text/*"), false, true),
            (Some("text/html"), false, false),
            (Some("json"), true, true),
        ];
        for (accept, json, stream) in table {
            assert_eq!(accepts(*accept, "application/json"), *json, "{accept:?}");
            assert_eq!(accepts(*accept, "text/event-stream"), *stream, "{accept:?}");
        }
    }

    #[test]
    fn content_types() {
        for value in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json ;x",
        ] {
            assert!(is_media_type(value, "application/json"), "{value}");
        }
        for value in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json, text/plain",
            "application/x-json",
        ] {
            assert!(!is_media_type(value, "application/json"), "{value}");
        }
    }
}
