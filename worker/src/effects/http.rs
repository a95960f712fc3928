//! One HTTP request, by ureq: no proxy of the environment, redirects to the same host only, public addresses unless listed, and no
//! more bytes than asked for. An answer may come from the cache, if the request allows it.

use std::io::Read;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::address::{Network, is_allowed};
use super::cache::Answer;
use super::{HttpRequest, Outcome, Settings, TooLarge, content};

/// Redirects on the same host that are followed.
const REDIRECTS: usize = 3;
const CHUNK: usize = 16 * 1024;

pub fn perform(request: &HttpRequest, settings: &Settings, deadline: Instant) -> Outcome {
    let began = Instant::now();
    if let Some((answer, age)) = settings.cache.find(request, began) {
        return told_of(&answer, &request.url, Some(age));
    }
    let mut url = request.url.clone();
    for _ in 0..=REDIRECTS {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let mut response = match send(request, &url, settings, left) {
            Ok(response) => response,
            Err(error) => return Outcome::failed(told(&error, &url, settings)),
        };
        if !response.status().is_redirection() || request.method != "GET" {
            return answered(request, &url, &mut response, settings, began);
        }
        let target = response.headers().get("location");
        let target = target.and_then(|value| value.to_str().ok());
        match target.map(|target| redirected(&url, target)) {
            Some(Some(next)) => url = next,
            Some(None) => {
                let error = format!("{} redirects to another host", place(&url));
                return Outcome::failed(error);
            }
            None => return answered(request, &url, &mut response, settings, began),
        }
    }
    Outcome::failed(format!(
        "{} redirects again and again, or too slowly",
        place(&request.url)
    ))
}

fn send(
    request: &HttpRequest,
    url: &str,
    settings: &Settings,
    left: Duration,
) -> Result<Response<Body>, ureq::Error> {
    let config = Agent::config_builder()
        .timeout_global(Some(left))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .max_idle_connections(0)
        .user_agent(concat!("tine/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots()).build())
        .build();
    let resolver = Guarded {
        inner: DefaultResolver::default(),
        listed: settings.private.clone(),
    };
    let agent = Agent::with_parts(config, DefaultConnector::new(), resolver);
    let mut builder = ureq::http::Request::builder()
        .method(request.method)
        .uri(url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    match &request.body {
        Some(body) => {
            let request = builder
                .header("Content-Type", "application/json")
                .body(body.as_str())
                .map_err(ureq::Error::Http)?;
            agent.run(request)
        }
        None => agent.run(builder.body(()).map_err(ureq::Error::Http)?),
    }
}

/// The system's root certificates, read once by the first request.
fn roots() -> RootCerts {
    static ROOTS: OnceLock<RootCerts> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs().certs;
            let certificates: Vec<Certificate<'static>> = found
                .iter()
                .map(|der| Certificate::from_der(der).to_owned())
                .collect();
            RootCerts::new_with_certs(&certificates)
        })
        .clone()
}

fn answered(
    request: &HttpRequest,
    url: &str,
    response: &mut Response<Body>,
    settings: &Settings,
    began: Instant,
) -> Outcome {
    let kind = response.headers().get("content-type");
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut answer = Answer {
        status: response.status().as_u16(),
        content_type: kind,
        body: Vec::new(),
        cut: false,
    };
    match read(&mut response.body_mut().as_reader(), request) {
        Ok((bytes, cut)) => (answer.body, answer.cut) = (bytes, cut),
        Err(error) => {
            return Outcome {
                fields: head(&answer),
                ..Outcome::failed(format!("{}: {error}", place(url)))
            };
        }
    }
    settings.cache.keep(request, &answer, began, Instant::now());
    told_of(&answer, url, None)
}

/// What came of a request that was answered, just now or so long ago.
fn told_of(answer: &Answer, url: &str, age: Option<Duration>) -> Outcome {
    let mut fields = head(answer);
    fields.insert("cut".into(), answer.cut.into());
    if let Some(age) = age {
        fields.insert("age".into(), age.as_secs().into());
    }
    content(&mut fields, "body", &answer.body);
    if (200..300).contains(&answer.status) {
        return Outcome::done(fields);
    }
    Outcome {
        fields,
        ..Outcome::failed(format!("{} answered {}", place(url), answer.status))
    }
}

fn head(answer: &Answer) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("status".into(), answer.status.into());
    fields.insert("content_type".into(), answer.content_type.clone().into());
    fields
}

/// The body, and whether some of it is missing.
fn read(body: &mut impl Read, request: &HttpRequest) -> Result<(Vec<u8>, bool), String> {
    let most = request.max_bytes;
    let (mut kept, mut cut) = (Vec::new(), false);
    let mut chunk = [0; CHUNK];
    loop {
        let count = match body.read(&mut chunk) {
            Ok(0) => return Ok((kept, cut)),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("the answer broke off: {error}")),
        };
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if kept.len() <= most {
            continue;
        }
        match request.too_large {
            TooLarge::Error => return Err(format!("the answer is larger than {most} bytes")),
            TooLarge::Head => {
                kept.truncate(most);
                return Ok((kept, true));
            }
            TooLarge::Tail => {
                kept.drain(..kept.len() - most);
                cut = true;
            }
        }
    }
}

/// Where a redirect leads, if that is the same host.
fn redirected(from: &str, to: &str) -> Option<String> {
    let (base, rest) = origin(from)?;
    if let Some(path) = to.strip_prefix('/') {
        return (!path.starts_with('/')).then(|| format!("{base}/{path}"));
    }
    if to.contains("://") {
        let (other, _) = origin(to)?;
        return other.eq_ignore_ascii_case(base).then(|| to.to_owned());
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
    Some(format!("{base}{folder}{to}"))
}

/// Scheme and authority, and the rest.
fn origin(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    let length = url.get(start..)?.find(['/', '?', '#']);
    Some(url.split_at(length.map_or(url.len(), |length| start + length)))
}

/// The URL without its query, which may hold what is not for a log.
fn place(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn told(error: &ureq::Error, url: &str, settings: &Settings) -> String {
    let place = place(url);
    match error {
        ureq::Error::Timeout(_) => format!("{place} did not answer in time"),
        ureq::Error::HostNotFound if settings.private.is_empty() => {
            format!("{place} has no public address")
        }
        ureq::Error::HostNotFound => format!("{place} has no address that may be used"),
        other => format!("{place} can't be reached: {other}"),
    }
}

/// Resolves as the system does, and keeps the addresses that a request may go to.
#[derive(Debug)]
struct Guarded {
    inner: DefaultResolver,
    listed: Vec<Network>,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        for address in found.iter().filter(|a| is_allowed(a.ip(), &self.listed)) {
            kept.push(*address);
        }
        if kept.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_their_host() {
        let from = "https://a.example:8443/x/y?q=1";
        for (to, expected) in [
            ("/z", Some("https://a.example:8443/z")),
            ("z?k=2", Some("https://a.example:8443/x/z?k=2")),
            ("https://A.example:8443/z", Some("https://A.example:8443/z")),
            ("https://a.example/z", None),
            ("http://a.example:8443/z", None),
            ("//b.example/z", None),
            ("https://a.example:8443@b.example/", None),
            ("https://a.example:8443.b.example/", None),
        ] {
            assert_eq!(redirected(from, to).as_deref(), expected, "{to}");
        }
        assert_eq!(redirected("http://a", "b").as_deref(), Some("http://a/b"));
    }

    #[test]
    fn a_body_is_cut_as_the_effect_says() {
        let request = |too_large| HttpRequest {
            method: "GET",
            url: String::new(),
            headers: Vec::new(),
            body: None,
            max_bytes: 4,
            too_large,
            cache: None,
        };
        let read = |too_large| read(&mut &b"abcdef"[..], &request(too_large));
        assert_eq!(read(TooLarge::Head), Ok((b"abcd".to_vec(), true)));
        assert_eq!(read(TooLarge::Tail), Ok((b"cdef".to_vec(), true)));
        assert!(read(TooLarge::Error).unwrap_err().contains("4 bytes"));
    }
}
