//! Why a server gave no result. Knows neither HTTP nor who asked.

use std::fmt;

/// Why there is no result.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody answered in time, or the connection ended before the answer did.
    Unreachable {
        url: String,
        reason: String,
        /// No connection was made, so nobody has read a byte of the request.
        unsent: bool,
    },
    /// The request can't be sent from here, whether or not somebody listens: no such host, TLS, no such URL.
    Unusable { url: String, reason: String },
    /// The server refused the request (a status of 3xx, 4xx or 5xx).
    Status {
        url: String,
        status: u16,
        body: String,
        /// The answer is JSON: it comes from the server itself, not from something in front of it.
        json: bool,
        /// When to come again, in seconds, if the server said so (`Retry-After`, RFC 9110 10.2.3; a date is not read).
        retry_after: Option<u64>,
    },
    /// A JSON-RPC error.
    Rpc {
        url: String,
        code: i64,
        message: String,
    },
    /// The answer is not MCP.
    Protocol { url: String, reason: String },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { url, reason, .. }
            | ClientError::Unusable { url, reason } => {
                write!(f, "can't reach {url}: {reason}")
            }
            ClientError::Status {
                url, status, body, ..
            } => {
                let advice = match status {
                    401 | 403 => {
                        "; give a token in TINE_TOKEN or with --token-file, and check allowed_hosts"
                    }
                    404 => "; is the path right?",
                    503 => "; the server is full, try again",
                    _ => "",
                };
                write!(f, "{url} answered {status}{advice}")?;
                if body.is_empty() {
                    Ok(())
                } else {
                    write!(f, " ({body})")
                }
            }
            ClientError::Rpc { code, message, .. } => {
                write!(f, "the server refused: {message} ({code})")
            }
            ClientError::Protocol { url, reason } => {
                write!(f, "{url} doesn't answer as an MCP server: {reason}")
            }
        }
    }
}

impl std::error::Error for ClientError {}
