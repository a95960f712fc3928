//! A request's head: the facts that the rest of the worker may ask for. Knows nothing of how the head arrived.

use std::fmt;
use std::mem::MaybeUninit;

use super::error::HttpError;
use super::fields::{self, Field, Kept};
use super::framing::{Content, FramingFields, Version, refuse_repeated};
use super::reader::Limits;
use super::reply::Framing;
use super::target;
use super::text::{Arena, Span};

/// The most header lines that [`Limits::headers`] can allow.
const MAX_HEADERS: usize = 128;

/// A request method; case matters (RFC 9110 section 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Delete,
    Options,
    /// Any other token; [`Head::method_name`] tells which.
    Other,
}

/// A checked request head. All text lies in one reused string, so reading a head allocates nothing once the connection is warm.
///
/// Values have no white space around them. Bytes in them that are not UTF-8 appear as U+FFFD; compare with that in mind.
pub struct Head {
    text: Arena,
    method: Method,
    method_name: Span,
    path: Span,
    query: Option<Span>,
    version: Version,
    keep_alive: bool,
    expect_continue: bool,
    content: Content,
    kept: [Option<Span>; Kept::COUNT],
    params: Vec<(Span, Span)>,
}

impl Head {
    pub(super) fn new() -> Head {
        let mut text = Arena::default();
        let empty = text.push(b"");
        Head {
            text,
            method: Method::Other,
            method_name: empty,
            path: empty,
            query: None,
            version: Version::Http11,
            keep_alive: false,
            expect_continue: false,
            content: Content::None,
            kept: [None; Kept::COUNT],
            params: Vec::new(),
        }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as sent.
    pub fn method_name(&self) -> &str {
        self.text.text(self.method_name)
    }

    /// The path, percent-decoded, beginning with `/`. It has no dot segments, and no slash or control character that was escaped.
    pub fn path(&self) -> &str {
        self.text.text(self.path)
    }

    /// The query as sent, without its `?` and not decoded.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|span| self.text.text(span))
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// True when the client lets the connection go on after this request (RFC 9112 section 9.3).
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// True when the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1). Never in
    /// HTTP/1.0, and not when the body is known to be empty.
    pub fn expect_continue(&self) -> bool {
        self.expect_continue
    }

    /// How the body is delimited.
    pub fn content(&self) -> Content {
        self.content
    }

    /// How a reply to this request must be framed.
    pub fn framing(&self) -> Framing {
        Framing {
            version: self.version,
            keep_alive: self.keep_alive,
            head_only: self.method == Method::Head,
        }
    }

    /// Host, or the authority of an absolute target, as `name`, `name:port` or `[IPv6]:port`. `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&str> {
        self.value(Kept::Host)
    }

    /// Origin.
    pub fn origin(&self) -> Option<&str> {
        self.value(Kept::Origin)
    }

    /// Content-Type, with its parameters; see [`super::is_media_type`].
    pub fn content_type(&self) -> Option<&str> {
        self.value(Kept::ContentType)
    }

    /// Authorization: a secret, keep it out of logs.
    pub fn authorization(&self) -> Option<&str> {
        self.value(Kept::Authorization)
    }

    /// Accept, all lines joined; see [`super::accepts`].
    pub fn accept(&self) -> Option<&str> {
        self.value(Kept::Accept)
    }

    /// Accept-Encoding, all lines joined.
    pub fn accept_encoding(&self) -> Option<&str> {
        self.value(Kept::AcceptEncoding)
    }

    /// X-Forwarded-For, all lines joined: a claim of whoever sent it, fit for logs only.
    pub fn forwarded_for(&self) -> Option<&str> {
        self.value(Kept::ForwardedFor)
    }

    /// User-Agent, all lines joined: a claim, fit for logs only.
    pub fn user_agent(&self) -> Option<&str> {
        self.value(Kept::UserAgent)
    }

    /// MCP-Protocol-Version.
    pub fn mcp_protocol_version(&self) -> Option<&str> {
        self.value(Kept::ProtocolVersion)
    }

    /// Mcp-Method.
    pub fn mcp_method(&self) -> Option<&str> {
        self.value(Kept::McpMethod)
    }

    /// Mcp-Name, possibly still in MCP's base64 form.
    pub fn mcp_name(&self) -> Option<&str> {
        self.value(Kept::McpName)
    }

    /// Every `Mcp-Param-NAME: value` as `(NAME, value)`, in the order sent; no two names are equal when case is ignored.
    pub fn mcp_params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params
            .iter()
            .map(|&(name, value)| (self.text.text(name), self.text.text(value)))
    }

    fn value(&self, kept: Kept) -> Option<&str> {
        self.kept[kept as usize].map(|span| self.text.text(span))
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.kept = [None; Kept::COUNT];
        self.params.clear();
    }

    /// Reads a whole head: `bytes` ends with its empty line, and [`super::scan::HeadScan`] has passed it.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), HttpError> {
        self.clear();
        let allowed = limits.headers.min(MAX_HEADERS);
        let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let slots = slots.get_mut(..allowed).unwrap_or_default();
        match request.parse_with_uninit_headers(bytes, slots) {
            // Both searches must agree where the head ends.
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(HttpError::RequestLine),
            Err(error) => return Err(parse_error(error, bytes, allowed)),
        }
        let method = request.method.unwrap_or_default();
        self.method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        };
        self.method_name = self.text.push(method.as_bytes());
        self.version = match request.version {
            Some(1) => Version::Http11,
            _ => Version::Http10,
        };
        let target = target::read(request.path.unwrap_or_default(), &mut self.text)?;
        self.path = target.path;
        self.query = target.query;
        self.read_fields(request.headers)?;
        match self.host() {
            None if self.version == Version::Http11 => return Err(HttpError::HostMissing),
            Some(host) if !target::is_host(host.as_bytes()) => return Err(HttpError::HostInvalid),
            _ => {}
        }
        if target.authority.is_some() {
            self.kept[Kept::Host as usize] = target.authority;
        }
        Ok(())
    }

    fn read_fields(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), HttpError> {
        let mut framing = FramingFields::default();
        let mut joins = [false; Kept::COUNT];
        for header in headers {
            let value = fields::trim(header.value);
            match fields::known(header.name) {
                None => {}
                Some(Field::Single(kept)) => {
                    let before = self.kept[kept as usize].replace(self.text.push(value));
                    refuse_repeated(before.is_some(), kept.label())?;
                }
                Some(Field::List(kept)) => match self.kept[kept as usize] {
                    Some(_) => joins[kept as usize] = true,
                    None => self.kept[kept as usize] = Some(self.text.push(value)),
                },
                Some(Field::Param) => self.read_param(header.name, value)?,
                Some(Field::Framing(field)) => framing.add(field, value)?,
            }
        }
        for kept in Kept::LISTS.into_iter().filter(|&kept| joins[kept as usize]) {
            let lines = headers
                .iter()
                .filter(|header| fields::known(header.name) == Some(Field::List(kept)))
                .map(|header| fields::trim(header.value))
                .filter(|value| !value.is_empty());
            self.kept[kept as usize] = Some(self.text.push_joined(lines));
        }
        self.content = framing.content(self.version)?;
        self.keep_alive = framing.keep_alive(self.version);
        let empty = matches!(self.content, Content::None | Content::Length(0));
        self.expect_continue = framing.expects_continue(self.version)? && !empty;
        Ok(())
    }

    fn read_param(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        let name = fields::param_name(name).unwrap_or_default();
        let before = self
            .mcp_params()
            .any(|(other, _)| other.eq_ignore_ascii_case(name));
        refuse_repeated(before, "Mcp-Param-*")?;
        let name = self.text.push(name.as_bytes());
        let value = self.text.push(value);
        self.params.push((name, value));
        Ok(())
    }
}

fn parse_error(error: httparse::Error, bytes: &[u8], limit: usize) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders { limit },
        httparse::Error::HeaderName => HttpError::HeaderName,
        httparse::Error::HeaderValue => HttpError::HeaderValue,
        httparse::Error::Version if names_a_version(bytes) => HttpError::Version,
        // Line ends are checked already: `NewLine` can only mean text behind the version.
        _ => HttpError::RequestLine,
    }
}

/// True when the request line has three words of which the last is `HTTP/D.D` (RFC 9112 section 2.3).
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    let version = words.next().unwrap_or_default();
    words.next().is_none()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Leaves the Authorization value out.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method_name())
            .field("path", &self.path())
            .field("query", &self.query())
            .field("version", &self.version)
            .field("keep_alive", &self.keep_alive)
            .field("expect_continue", &self.expect_continue)
            .field("content", &self.content)
            .field("host", &self.host())
            .field("origin", &self.origin())
            .field("content_type", &self.content_type())
            .field("authorization", &self.authorization().map(|_| "(hidden)"))
            .field("accept", &self.accept())
            .field("mcp_protocol_version", &self.mcp_protocol_version())
            .field("mcp_method", &self.mcp_method())
            .field("mcp_name", &self.mcp_name())
            .field("mcp_params", &self.mcp_params().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
