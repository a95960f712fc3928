//! Where a server is: a URL, and the unix socket that leads to it if one does. Opens nothing.

use std::fmt;
use std::path::PathBuf;

/// The address of an MCP endpoint. Written as `http://HOST:PORT/PATH`, or with a socket in Apache's form
/// (ProxyPass): `unix:/run/tine/swf/socket|http://localhost/mcp`, where the URL gives `Host` and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    url: String,
    socket: Option<PathBuf>,
}

impl Address {
    /// Reads an address; for clap. The error says what would be accepted.
    pub fn parse(text: &str) -> Result<Address, String> {
        let expected = || {
            "expected a URL such as http://127.0.0.1:8000/mcp or unix:/run/tine/swf/socket|http://localhost/mcp"
                .to_owned()
        };
        let (socket, url) = match text.strip_prefix("unix:") {
            Some(rest) => {
                let (path, url) = rest.split_once('|').ok_or_else(expected)?;
                // There is no TLS over a socket file.
                if path.is_empty() || !url.starts_with("http://") {
                    return Err(expected());
                }
                (Some(PathBuf::from(path)), url)
            }
            None => (None, text),
        };
        let after = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        match after {
            Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(Address {
                url: url.to_owned(),
                socket,
            }),
            _ => Err(expected()),
        }
    }

    /// A URL that is known to be one.
    pub fn http(url: String) -> Address {
        Address { url, socket: None }
    }

    /// A server behind a socket file. `path` is the URL's.
    pub fn unix(socket: PathBuf, path: &str) -> Address {
        Address {
            url: format!("http://localhost{path}"),
            socket: Some(socket),
        }
    }

    /// The same server at another path, which starts with a slash.
    pub fn at(&self, path: &str) -> Address {
        let host = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[host..].find(['/', '?', '#']);
        let end = end.map_or(self.url.len(), |at| host + at);
        Address {
            url: format!("{}{path}", &self.url[..end]),
            socket: self.socket.clone(),
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn socket(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix:{}|{}", socket.display(), self.url),
            None => f.write_str(&self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_alike() {
        for text in [
            "http://127.0.0.1:8000/mcp",
            "https://bots.example",
            "http://[::1]:8000/mcp/swf?x=1",
            "unix:/run/tine/swf/socket|http://localhost/mcp",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "localhost:8000",
            "ftp://x/mcp",
            "http://",
            "http:///mcp",
            "unix:/run/socket",
            "unix:|http://localhost/mcp",
            "unix:/run/socket|https://localhost/mcp",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_path_of_the_same_server() {
        for (text, health) in [
            ("http://h:1/mcp/swf/", "http://h:1/health"),
            ("https://h", "https://h/health"),
            ("http://h?x=/y", "http://h/health"),
            (
                "unix:/s|http://localhost/mcp",
                "unix:/s|http://localhost/health",
            ),
        ] {
            let address = Address::parse(text).unwrap().at("/health");
            assert_eq!(address.to_string(), health);
        }
        assert_eq!(
            Address::unix("/s".into(), "/mcp").to_string(),
            "unix:/s|http://localhost/mcp"
        );
    }
}
