//! Takes `sslmode` and `sslrootcert` out of a connection string, because `postgres::Config` does not know all of
//! libpq's values for them. Knows the two forms of a connection string and nothing else.

use postgres::Config;
use postgres::config::SslMode;

use crate::db::tls::Verify;

/// A connection string taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The string without our two parameters.
    pub(super) rest: String,
    pub(super) mode: Option<String>,
    pub(super) root_certificate: Option<String>,
}

impl Parts {
    fn keep(&mut self, key: &str, value: String) -> bool {
        match key {
            "sslmode" => self.mode = Some(value),
            "sslrootcert" => self.root_certificate = Some(value),
            _ => return false,
        }
        true
    }

    /// Sets the mode on `config` and says what of the server's certificate must be proven. libpq (manual, 34.19
    /// "SSL Support"): `require` with a root certificate file is `verify-ca`; `sslrootcert=system` asks for `verify-full`.
    pub(super) fn apply_mode(&self, config: &mut Config) -> Result<Verify, String> {
        let system = self.root_certificate.as_deref() == Some("system");
        let (mode, verify) = match self.mode.as_deref() {
            None if system => (SslMode::Require, Verify::ChainAndName),
            // `allow` would try without encryption first; there is no reason to.
            None | Some("prefer" | "allow") => (SslMode::Prefer, Verify::Nothing),
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            Some("require") if self.root_certificate.is_some() => (SslMode::Require, Verify::Chain),
            Some("require") => (SslMode::Require, Verify::Nothing),
            Some("verify-ca") => (SslMode::Require, Verify::Chain),
            Some("verify-full") => (SslMode::Require, Verify::ChainAndName),
            Some(other) => {
                return Err(format!(
                    "sslmode is {other:?}; use disable, allow, prefer, require, verify-ca or verify-full"
                ));
            }
        };
        if system && verify != Verify::ChainAndName {
            return Err("sslrootcert=system needs sslmode=verify-full, because anybody can get a certificate".to_string());
        }
        config.ssl_mode(mode);
        Ok(verify)
    }
}

/// Splits either form.
pub(super) fn split(text: &str) -> Result<Parts, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(split_url(text))
    } else {
        split_pairs(text)
    }
}

fn split_url(url: &str) -> Parts {
    let mut parts = Parts::default();
    let Some((front, query)) = url.split_once('?') else {
        parts.rest = url.to_string();
        return parts;
    };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !parts.keep(key, percent_decoded(value)) {
            kept.push(pair);
        }
    }
    parts.rest = front.to_string();
    if !kept.is_empty() {
        parts.rest.push('?');
        parts.rest.push_str(&kept.join("&"));
    }
    parts
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let hex = (first == b'%').then(|| rest.get(..2)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                bytes = &rest[2..];
            }
            None => {
                out.push(first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `key = 'value'` pairs; what is not ours stays as it was written, and is judged by `postgres::Config`.
fn split_pairs(text: &str) -> Result<Parts, String> {
    let mut parts = Parts::default();
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (key, after) = left
            .split_once('=')
            .ok_or("the connection string has a word without `=`")?;
        let (value, rest) = pair_value(after.trim_start());
        if !parts.keep(key.trim_end(), value) {
            parts.rest.push_str(&left[..left.len() - rest.len()]);
            parts.rest.push(' ');
        }
        left = rest.trim_start();
    }
    Ok(parts)
}

/// The value at the front of `text` and what follows it.
fn pair_value(text: &str) -> (String, &str) {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return (value, &text[at + 1..]),
            c if !quoted && c.is_whitespace() => return (value, &text[at..]),
            c => value.push(c),
        }
    }
    (value, "")
}
