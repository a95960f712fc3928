//! Who may call: the Host and Origin allow-lists against DNS rebinding, and static bearer tokens. Pure decisions on
//! header values. Knows no sockets and no tools.
//!
//! Host *and* Origin are checked against fixed lists, because under DNS rebinding both name the attacker's host and agree with each
//! other (CVE-2025-66414 and its kin in other servers). Tokens are kept as SHA-256 digests and compared in constant time.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The names that clients may use for this server, and the web pages that may call it. `*` allows any.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// `name` for any port, or `name:port`.
    pub hosts: Vec<String>,
    /// `name` for any scheme and port, or `scheme://name[:port]`.
    pub origins: Vec<String>,
}

impl Allowed {
    /// `host` is the Host header; an HTTP/1.0 request may have none.
    pub fn host(&self, host: Option<&str>) -> bool {
        host.is_none_or(|host| self.hosts.iter().any(|allowed| names(allowed, host)))
    }

    /// `origin` is the Origin header; only browsers send one.
    pub fn origin(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        self.origins.iter().any(|allowed| {
            match (allowed.contains("://"), origin.split_once("://")) {
                (true, _) => allowed.eq_ignore_ascii_case(origin),
                (false, Some((_, authority))) => names(allowed, authority),
                // `null`, as a page from a file or a sandbox sends it.
                (false, None) => allowed == "*",
            }
        })
    }
}

fn names(allowed: &str, authority: &str) -> bool {
    allowed == "*"
        || allowed.eq_ignore_ascii_case(authority)
        || allowed.eq_ignore_ascii_case(without_port(authority))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => authority,
    }
}

/// One bearer token's holder.
#[derive(Debug, Clone)]
pub struct Token {
    pub name: String,
    /// SHA-256 of the token's bytes.
    pub sha256: [u8; 32],
    /// The user that tools bind with `from = "token.user"`.
    pub user: Option<String>,
    /// The only toolset that this token may use; it is also what the token sees at the base path.
    pub toolset: Option<String>,
}

/// All tokens; none means that anybody who reaches the socket may call.
#[derive(Debug, Clone, Default)]
pub struct Tokens(pub Vec<Token>);

/// The outcome of looking at the Authorization header.
#[derive(Debug)]
pub enum Access {
    /// No tokens are configured.
    Open,
    /// The token's index.
    Granted(usize),
    /// No credentials (RFC 6750 §3: 401 without an error code).
    Missing,
    /// Credentials of another kind, or an unknown token (RFC 6750 §3.1: `invalid_token`).
    Invalid,
}

impl Tokens {
    pub fn check(&self, authorization: Option<&str>) -> Access {
        if self.0.is_empty() {
            return Access::Open;
        }
        let Some(authorization) = authorization else {
            return Access::Missing;
        };
        let Some((scheme, token)) = authorization.split_once(' ') else {
            return Access::Invalid;
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Access::Invalid;
        }
        let digest: [u8; 32] = Sha256::digest(token.trim().as_bytes()).into();
        // Every entry is compared, so that the time tells nothing of which one was close.
        let mut found = None;
        for (index, entry) in self.0.iter().enumerate() {
            if bool::from(entry.sha256.ct_eq(&digest)) {
                found = Some(index);
            }
        }
        found.map_or(Access::Invalid, Access::Granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn hosts() {
        let hosts = list(&[
            "localhost",
            "127.0.0.1",
            "[::1]",
            "bot.example",
            "exact.example:8443",
        ]);
        let allowed = Allowed {
            hosts,
            origins: vec![],
        };
        for (host, expected) in [
            (None, true),
            (Some("localhost"), true),
            (Some("LOCALHOST:8080"), true),
            (Some("127.0.0.1:1"), true),
            (Some("[::1]:80"), true),
            (Some("[::1]"), true),
            (Some("BOT.example:99"), true),
            (Some("exact.example:8443"), true),
            (Some("exact.example:1"), false),
            (Some("exact.example"), false),
            (Some("evil.example"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some("0.0.0.0"), false),
            (Some(""), false),
        ] {
            assert_eq!(allowed.host(host), expected, "{host:?}");
        }
        assert!(
            Allowed {
                hosts: list(&["*"]),
                origins: vec![]
            }
            .host(Some("evil.example"))
        );
        assert!(!Allowed::default().host(Some("localhost")));
    }

    #[test]
    fn origins() {
        let allowed = Allowed {
            hosts: vec![],
            origins: list(&["localhost", "[::1]", "https://chat.example"]),
        };
        for (origin, expected) in [
            (None, true),
            (Some("http://localhost:3000"), true),
            (Some("HTTPS://LocalHost"), true),
            (Some("http://[::1]:5173"), true),
            (Some("https://chat.example"), true),
            (Some("http://chat.example"), false),
            (Some("https://chat.example:444"), false),
            (Some("http://evil.example"), false),
            (Some("http://localhost.evil.example"), false),
            (Some("http://evil.example/localhost"), false),
            (Some("localhost"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            assert_eq!(allowed.origin(origin), expected, "{origin:?}");
        }
        let any = Allowed {
            hosts: vec![],
            origins: list(&["*"]),
        };
        assert!(any.origin(Some("null")) && any.origin(Some("http://evil.example")));
    }

    #[test]
    fn tokens() {
        let token = |name: &str, secret: &str| Token {
            name: name.into(),
            sha256: Sha256::digest(secret).into(),
            user: None,
            toolset: None,
        };
        let tokens = Tokens(vec![token("a", "secret-a"), token("b", "secret-b")]);
        assert!(matches!(tokens.check(None), Access::Missing));
        assert!(matches!(tokens.check(Some("Bearer nope")), Access::Invalid));
        assert!(matches!(
            tokens.check(Some("Basic secret-a")),
            Access::Invalid
        ));
        assert!(matches!(tokens.check(Some("secret-a")), Access::Invalid));
        assert!(matches!(
            tokens.check(Some("bearer  secret-b ")),
            Access::Granted(1)
        ));
        assert!(matches!(Tokens::default().check(None), Access::Open));
    }
}
