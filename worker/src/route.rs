//! Where a request goes, decided from its head alone, before any of its body is read: path, method, who may call, content type.
//! Pure. Knows the paths and the rules, not what answers behind them.

use crate::auth::{Access, Token};
use crate::http::{Head, Method, is_media_type};
use crate::mcp::{Fault, code};
use crate::served::Served;
use crate::settings::Settings;

/// A destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Health,
    DatabaseHealth,
    Mcp {
        /// Index of the toolset's prepared answers.
        served: usize,
        /// Index of the caller's token.
        token: Option<usize>,
    },
}

/// An answer instead of a destination.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub fault: Fault,
    /// One further header that the status demands.
    pub header: Option<(&'static str, String)>,
}

impl Refused {
    fn new(status: u16, code: i64, message: impl Into<String>) -> Box<Refused> {
        Box::new(Refused {
            fault: Fault::new(status, code, message),
            header: None,
        })
    }

    fn with(mut self: Box<Refused>, name: &'static str, value: &str) -> Box<Refused> {
        self.header = Some((name, value.to_owned()));
        self
    }
}

/// The order of the checks is that of the MCP ladder: path, method, Host and Origin, credentials, content type.
pub fn route(settings: &Settings, served: &[Served], head: &Head) -> Result<Route, Box<Refused>> {
    let path = head.path().strip_suffix('/').unwrap_or(head.path());
    if path == settings.health.path
        || (!settings.health.database_path.is_empty() && path == settings.health.database_path)
    {
        if !matches!(head.method(), Method::Get | Method::Head) {
            return Err(method_not_allowed(head, "GET, HEAD"));
        }
        allowed(settings, head)?;
        return Ok(if path == settings.health.path {
            Route::Health
        } else {
            Route::DatabaseHealth
        });
    }
    let place = |toolset: Option<&str>| {
        served
            .iter()
            .position(|served| served.path.as_deref() == toolset)
    };
    let toolset = toolset_of(settings, path).filter(|toolset| place(*toolset).is_some());
    let toolset = toolset.ok_or_else(|| not_found(settings, head.path()))?;
    if head.method() != Method::Post {
        return Err(method_not_allowed(head, "POST"));
    }
    allowed(settings, head)?;
    let token = authenticate(settings, head)?;
    let toolset = match (
        token.and_then(|index| settings.tokens.0.get(index)),
        toolset,
    ) {
        (
            Some(Token {
                toolset: Some(own),
                name,
                ..
            }),
            Some(asked),
        ) if own != asked => {
            let message = format!("The token {name:?} is for the toolset {own:?} only");
            return Err(Refused::new(403, code::REFUSED, message)
                .with("WWW-Authenticate", "Bearer error=\"insufficient_scope\""));
        }
        (
            Some(Token {
                toolset: Some(own), ..
            }),
            _,
        ) => Some(own.as_str()),
        (_, asked) => asked,
    };
    let served = place(toolset).ok_or_else(|| not_found(settings, head.path()))?;
    // A missing Content-Type is taken for JSON (RFC 9110 section 8.3 lets a recipient assume): curious hands and small scripts
    // leave it out, and what a web page could send without it is caught by its Origin.
    let json = |content_type: &str| is_media_type(content_type, "application/json");
    if !head.content_type().is_none_or(json) {
        return Err(Refused::new(
            415,
            code::INVALID_REQUEST,
            "Content-Type: must be application/json",
        ));
    }
    Ok(Route::Mcp { served, token })
}

// None: no such path. Some(None): the bare path.
fn toolset_of<'p>(settings: &Settings, path: &'p str) -> Option<Option<&'p str>> {
    settings.paths.iter().find_map(|base| {
        let rest = path.strip_prefix(base.as_str())?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(None),
            Some(name) if !name.is_empty() && !name.contains('/') => Some(Some(name)),
            _ => None,
        }
    })
}

fn allowed(settings: &Settings, head: &Head) -> Result<(), Box<Refused>> {
    if !settings.allowed.host(head.host()) {
        let host = head.host().unwrap_or_default();
        let message =
            format!("Host {host:?} is not allowed; the operator can add it to allowed-hosts");
        return Err(Refused::new(403, code::REFUSED, message));
    }
    if !settings.allowed.origin(head.origin()) {
        let origin = head.origin().unwrap_or_default();
        let message =
            format!("Origin {origin:?} is not allowed; the operator can add it to allowed-origins");
        return Err(Refused::new(403, code::REFUSED, message));
    }
    Ok(())
}

fn authenticate(settings: &Settings, head: &Head) -> Result<Option<usize>, Box<Refused>> {
    match settings.tokens.check(head.authorization()) {
        Access::Open => Ok(None),
        Access::Granted(index) => Ok(Some(index)),
        Access::Missing => Err(Refused::new(
            401,
            code::UNAUTHORIZED,
            "A bearer token is needed: Authorization: Bearer TOKEN",
        )
        .with("WWW-Authenticate", "Bearer")),
        Access::Invalid => Err(Refused::new(
            401,
            code::UNAUTHORIZED,
            "The bearer token is not known here",
        )
        .with("WWW-Authenticate", "Bearer error=\"invalid_token\"")),
    }
}

fn method_not_allowed(head: &Head, allow: &str) -> Box<Refused> {
    let message = format!("{} is not allowed here; use {allow}", head.method_name());
    Refused::new(405, code::INVALID_REQUEST, message).with("Allow", allow)
}

fn not_found(settings: &Settings, path: &str) -> Box<Refused> {
    let endpoints = settings.paths.join(", ");
    Refused::new(
        404,
        code::INVALID_REQUEST,
        format!("Nothing at {path}. MCP is at {endpoints}, or there with /TOOLSET"),
    )
}
