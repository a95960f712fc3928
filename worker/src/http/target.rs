//! The request target and the host: which forms are accepted, and what remains of them. Knows nothing of routes.

use std::net::Ipv6Addr;

use memchr::{memchr, memchr2};

use super::error::HttpError;
use super::text::{Arena, Span};

/// A checked request target.
pub(super) struct Target {
    /// Percent-decoded.
    pub(super) path: Span,
    /// As sent, without its `?`.
    pub(super) query: Option<Span>,
    /// The host of an absolute target.
    pub(super) authority: Option<Span>,
}

/// Reads a target in origin-form, or in absolute-form, which RFC 9112 section 3.2.2 tells servers to accept; its authority
/// then replaces the Host line. The authority-form of CONNECT and the asterisk-form of OPTIONS are refused: no path of
/// ours has a use for them.
pub(super) fn read(target: &str, text: &mut Arena) -> Result<Target, HttpError> {
    let bytes = target.as_bytes();
    let (authority, rest) = match scheme_length(bytes) {
        _ if bytes.first() == Some(&b'/') => (None, bytes),
        0 => return Err(HttpError::TargetForm),
        scheme => {
            let after = bytes.get(scheme..).unwrap_or_default();
            let (authority, rest) =
                after.split_at(memchr2(b'/', b'?', after).unwrap_or(after.len()));
            (Some(authority), rest)
        }
    };
    let (path, query) = match memchr(b'?', rest) {
        Some(at) => (
            rest.get(..at).unwrap_or_default(),
            Some(rest.get(at + 1..).unwrap_or_default()),
        ),
        None => (rest, None),
    };
    Ok(Target {
        authority: match authority {
            Some(authority) if is_host(authority) => Some(text.push(authority)),
            Some(_) => return Err(HttpError::HostInvalid),
            None => None,
        },
        path: push_path(if path.is_empty() { b"/" } else { path }, text)?,
        query: match query {
            Some(query) if query.iter().all(|&byte| is_query_byte(byte)) => Some(text.push(query)),
            Some(_) => return Err(HttpError::TargetByte),
            None => None,
        },
    })
}

fn scheme_length(target: &[u8]) -> usize {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .map_or(0, <[u8]>::len)
}

/// Decodes a path. What could make two programs see two paths (an escaped slash, dot segments, control characters) is
/// refused instead of normalized.
fn push_path(path: &[u8], text: &mut Arena) -> Result<Span, HttpError> {
    if !path.iter().all(|&byte| is_path_byte(byte) || byte == b'%') {
        return Err(HttpError::TargetByte);
    }
    if memchr(b'%', path).is_none() {
        refuse_dots(path)?;
        return Ok(text.push(path));
    }
    let decoded = percent_decode(path)?;
    refuse_dots(&decoded)?;
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(text.push(&decoded)),
        Err(_) => Err(HttpError::TargetEscape),
    }
}

fn percent_decode(path: &[u8]) -> Result<Vec<u8>, HttpError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|&byte| char::from(byte).to_digit(16))
                .and_then(|value| u8::try_from(value).ok())
                .ok_or(HttpError::TargetEscape)
        };
        let value = digit()? << 4 | digit()?;
        if value == b'/' || value.is_ascii_control() {
            return Err(HttpError::TargetHidden);
        }
        decoded.push(value);
    }
    Ok(decoded)
}

fn refuse_dots(path: &[u8]) -> Result<(), HttpError> {
    let dotted =
        memchr(b'.', path).is_some() && path.split(|&b| b == b'/').any(|s| s == b"." || s == b"..");
    if dotted {
        Err(HttpError::TargetDots)
    } else {
        Ok(())
    }
}

/// RFC 3986 section 3.3: `pchar` without its escapes, and `/`.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte)
}

/// Any visible ASCII but `#`: wider than RFC 3986 section 3.4, because clients leave brackets and bars unescaped and
/// nothing is decided by a query's form.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// True for `name`, `name:port` and `[IPv6]:port`. Narrower than RFC 3986 section 3.2.2 in names, where it allows
/// escapes and punctuation that no resolver knows, and never empty (RFC 9110 section 4.2.1).
pub(super) fn is_host(host: &[u8]) -> bool {
    let (name_ok, port) = match host.strip_prefix(b"[") {
        Some(inside) => {
            let Some(end) = memchr(b']', inside) else {
                return false;
            };
            let (address, rest) = inside.split_at(end);
            let address = std::str::from_utf8(address)
                .ok()
                .and_then(|text| text.parse::<Ipv6Addr>().ok());
            (address.is_some(), rest.get(1..).unwrap_or_default())
        }
        None => {
            let (name, port) = host.split_at(memchr(b':', host).unwrap_or(host.len()));
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
            (!name.is_empty() && name.iter().all(plain), port)
        }
    };
    name_ok
        && match port.strip_prefix(b":") {
            None => port.is_empty(),
            Some(digits) => {
                digits.iter().all(u8::is_ascii_digit)
                    && (digits.is_empty()
                        || std::str::from_utf8(digits).is_ok_and(|d| d.parse::<u16>().is_ok()))
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, query and authority.
    type Parts<T> = (T, Option<T>, Option<T>);

    fn parts(target: &str) -> Result<Parts<String>, HttpError> {
        let mut text = Arena::default();
        let read = read(target, &mut text)?;
        let own = |span| text.text(span).to_owned();
        Ok((own(read.path), read.query.map(own), read.authority.map(own)))
    }

    #[test]
    fn forms_and_escapes() {
        let table: &[(&str, Result<Parts<&str>, HttpError>)] = &[
            ("/", Ok(("/", None, None))),
            ("/mcp", Ok(("/mcp", None, None))),
            ("/mcp/", Ok(("/mcp/", None, None))),
            ("/mcp?", Ok(("/mcp", Some(""), None))),
            ("/mcp?a=%2F|{}", Ok(("/mcp", Some("a=%2F|{}"), None))),
            ("/m%63p", Ok(("/mcp", None, None))),
            ("/caf%C3%A9", Ok(("/café", None, None))),
            ("/a%25b", Ok(("/a%b", None, None))),
            ("//mcp", Ok(("//mcp", None, None))),
            ("/..a/...", Ok(("/..a/...", None, None))),
            ("http://h:80/mcp?q", Ok(("/mcp", Some("q"), Some("h:80")))),
            ("HTTP://h", Ok(("/", None, Some("h")))),
            ("https://[::1]:8/x", Ok(("/x", None, Some("[::1]:8")))),
            ("http://h?q", Ok(("/", Some("q"), Some("h")))),
            ("*", Err(HttpError::TargetForm)),
            ("h:443", Err(HttpError::TargetForm)),
            ("mcp", Err(HttpError::TargetForm)),
            ("ftp://h/", Err(HttpError::TargetForm)),
            ("http://", Err(HttpError::HostInvalid)),
            ("http:///mcp", Err(HttpError::HostInvalid)),
            ("http://u@h/", Err(HttpError::HostInvalid)),
            ("/a#b", Err(HttpError::TargetByte)),
            ("/a?b#c", Err(HttpError::TargetByte)),
            ("/a\\b", Err(HttpError::TargetByte)),
            ("/é", Err(HttpError::TargetByte)),
            ("/%", Err(HttpError::TargetEscape)),
            ("/%4", Err(HttpError::TargetEscape)),
            ("/%+1", Err(HttpError::TargetEscape)),
            ("/%ff", Err(HttpError::TargetEscape)),
            ("/a%2fb", Err(HttpError::TargetHidden)),
            ("/a%00", Err(HttpError::TargetHidden)),
            ("/a%0d%0a", Err(HttpError::TargetHidden)),
            ("/a/../b", Err(HttpError::TargetDots)),
            ("/.", Err(HttpError::TargetDots)),
            ("/%2e%2E/b", Err(HttpError::TargetDots)),
        ];
        for (target, expected) in table {
            let expected = expected.map(|(path, query, authority)| {
                (
                    path.to_owned(),
                    query.map(str::to_owned),
                    authority.map(str::to_owned),
                )
            });
            assert_eq!(parts(target), expected, "{target}");
        }
    }

    #[test]
    fn hosts() {
        for host in [
            "a",
            "a.b-c_d",
            "127.0.0.1:8080",
            "a:",
            "[::1]",
            "[::1]:80",
            "[2001:db8::7]:1",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "u@a",
            "a:b",
            "a:+1",
            "a:65536",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]80",
            "[]",
            "[a]",
            "[fe80::1%25eth0]",
            "a%2eb",
            "é",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
