//! The effects that a tool file declares, read and checked. What a value can reach is fixed by the file: the host, the program, the broker,
//! and the destinations that it lists. `filling` makes of one, and of a call's values, what the worker performs.

use std::ops::Range;
use std::time::Duration;

use super::common::Setting;
use super::fault::Faults;
use super::filling::host_of;
use super::nearest::nearest;
use super::table::{At, Table};
use super::term::Term;
use crate::effects::TooLarge;

/// An answer or output that is larger is an error unless the effect says otherwise, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The most that an effect can ask for.
const MOST_BYTES: usize = 64 << 20;
/// A worker's cache lives no longer than the worker, so longer would be a promise that it can't keep.
const LONGEST_CACHE: Duration = Duration::from_secs(3600);

/// One declared effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effect {
    pub name: String,
    /// Of its name in the file, for faults.
    pub span: Range<usize>,
    pub(super) timeout: Duration,
    pub(super) optional: bool,
    pub form: Form,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    Http(Http),
    Program(Program),
    Stomp(Stomp),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Http {
    pub(super) method: &'static str,
    pub(super) url: Term,
    /// Of a URL that is a value: the hosts that it may name, in which `*` stands for any run of characters.
    pub(super) hosts: Vec<String>,
    pub(super) path: Vec<Term>,
    pub(super) query: Term,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Term>,
    pub(super) max_bytes: usize,
    pub(super) too_large: TooLarge,
    /// How long a good answer may be used again.
    pub(super) cache: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    pub(super) program: String,
    pub(super) arguments: Term,
    pub(super) max_bytes: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stomp {
    pub(super) broker: String,
    pub(super) destination: Term,
    /// Of a destination that is a value.
    pub(super) destinations: Vec<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Term,
    /// ASCII alone, with a space behind colons and commas: what Python's json.dumps writes, for consumers that compare bytes.
    pub(super) spaced: bool,
}

const KINDS: [(&str, Kind); 3] = [
    ("http", Kind::Http),
    ("program", Kind::Program),
    ("stomp", Kind::Stomp),
];

/// The kinds of effects, which are also kinds of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Program,
    Stomp,
}

impl Kind {
    pub fn of(word: &str) -> Option<Kind> {
        KINDS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, kind)| *kind)
    }

    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }
}

/// Reads `[effects.NAME]`, in the order of the file.
pub(crate) fn read_all(
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Vec<Effect> {
    let Some(table) = table.table("effects", faults) else {
        return Vec::new();
    };
    let mut effects = Vec::new();
    for (name, mut table) in table.named_tables(faults) {
        let kind = table.word("kind", &KINDS, faults);
        if !table.has("kind") {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            let message = format!("the effect `{}` has no kind", name.value);
            let help = format!("write kind = one of {}", names.join(", "));
            faults.error_with(name.span.clone(), message, help);
        }
        if let Some(kind) = kind {
            effects.extend(read(name, kind.value, table, setting, faults));
        }
    }
    effects
}

/// Reads one effect's own keys.
pub(crate) fn read(
    name: At<String>,
    kind: Kind,
    mut table: Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Effect> {
    let timeout = table.duration("timeout", faults).map(|at| at.value);
    let optional = table.boolean("optional", faults).is_some_and(|at| at.value);
    let form = match kind {
        Kind::Http => http(&name, &mut table, setting, faults).map(Form::Http),
        Kind::Program => program(&name, &mut table, setting, faults).map(Form::Program),
        Kind::Stomp => stomp(&name, &mut table, setting, faults).map(Form::Stomp),
    };
    table.finish(faults);
    Some(Effect {
        name: name.value,
        span: name.span,
        timeout: timeout.unwrap_or(Duration::MAX),
        optional,
        form: form?,
    })
}

fn http(
    name: &At<String>,
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Http> {
    const METHODS: [(&str, &str); 5] = [
        ("GET", "GET"),
        ("POST", "POST"),
        ("PUT", "PUT"),
        ("PATCH", "PATCH"),
        ("DELETE", "DELETE"),
    ];
    let method = table
        .word("method", &METHODS, faults)
        .map_or("GET", |at| at.value);
    let url = url(name, table, setting, faults);
    let hosts = strings("hosts", table, faults);
    if let Some((Term::Name(value), span)) = &url
        && hosts.is_empty()
    {
        faults.error_with(
            span.clone(),
            format!("`:{value}` could be any host"),
            "list the hosts that it may name: hosts = [\"logs.example\", \"*.example.org\"]",
        );
    }
    let path = match term("path", table, faults) {
        Some(Term::List(segments)) => segments,
        Some(_) => {
            faults.error(table.place_of("path"), "`path` must be a list of segments");
            Vec::new()
        }
        None => Vec::new(),
    };
    let query = term("query", table, faults).unwrap_or(Term::Object(Vec::new()));
    if !matches!(query, Term::Object(_)) {
        faults.error(table.place_of("query"), "`query` must be a table");
    }
    let body = term("body", table, faults);
    if body.is_some() && matches!(method, "GET" | "DELETE") {
        let message = format!("a {method} has no body");
        faults.error_with(table.place_of("body"), message, "write method = \"POST\"");
    }
    let cache = table.duration("cache", faults);
    if let Some(cache) = &cache
        && method != "GET"
    {
        let message = format!("the answer to a {method} is not kept: each must reach the server");
        faults.error_with(cache.span.clone(), message, "remove `cache`");
    } else if let Some(cache) = &cache
        && cache.value > LONGEST_CACHE
    {
        faults.error(cache.span.clone(), "`cache` is at most 60m");
    }
    let too_large = table.word(
        "too_large",
        &[
            ("error", TooLarge::Error),
            ("head", TooLarge::Head),
            ("tail", TooLarge::Tail),
        ],
        faults,
    );
    Some(Http {
        method,
        url: url?.0,
        hosts,
        path,
        query,
        headers: headers(table, faults),
        body,
        max_bytes: max_bytes(table, faults),
        too_large: too_large.map_or(TooLarge::Error, |at| at.value),
        cache: cache.map(|at| at.value),
    })
}

/// The base that path and query are added to: a literal, a setting's value, or a value of the call.
fn url(
    name: &At<String>,
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<(Term, Range<usize>)> {
    let named = table.string("url_setting", faults);
    let literal = table.string("url", faults);
    let (text, span) = match (named, literal) {
        (None, Some(url)) => (url.value, url.span),
        (Some(key), None) => match setting.defaults.settings.get(&key.value) {
            Some(url) => (url.clone(), key.span),
            None => {
                let message = format!("the toolset has no setting `{}`", key.value);
                faults.error_with(key.span, message, "add it to [settings]");
                return None;
            }
        },
        _ => {
            faults.error(
                name.span.clone(),
                format!(
                    "the effect `{}` needs one of url and url_setting",
                    name.value
                ),
            );
            return None;
        }
    };
    let term = Term::text(&text);
    if let Term::Literal(_) = term
        && host_of(&text).is_none()
    {
        faults.error_with(
            span,
            format!("`{text}` is no URL"),
            "write https://host or http://host, with a path if it has one",
        );
        return None;
    }
    Some((term, span))
}

fn program(
    name: &At<String>,
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Program> {
    let program = known(name, "program", table, setting.programs.as_deref(), faults);
    let arguments = term("args", table, faults).unwrap_or(Term::List(Vec::new()));
    if !matches!(arguments, Term::List(_)) {
        faults.error(table.place_of("args"), "`args` must be a list");
    }
    Some(Program {
        program: program?,
        arguments,
        max_bytes: max_bytes(table, faults),
    })
}

fn stomp(
    name: &At<String>,
    table: &mut Table<'_, '_>,
    setting: &Setting,
    faults: &mut Faults,
) -> Option<Stomp> {
    let broker = known(name, "broker", table, setting.brokers.as_deref(), faults);
    let destination = table.string("destination", faults);
    let destinations = strings("destinations", table, faults);
    if destination.is_none() {
        faults.error_with(
            name.span.clone(),
            format!("the effect `{}` has no destination", name.value),
            "write destination = \"/queue/name\"",
        );
    }
    let destination = destination.map(|at| (Term::text(&at.value), at.span));
    if let Some((Term::Name(value), span)) = &destination
        && destinations.is_empty()
    {
        faults.error_with(
            span.clone(),
            format!("`:{value}` could be any destination"),
            "list what it may be: destinations = [\"/queue/name.*\"]",
        );
    }
    let body = term("body", table, faults);
    if body.is_none() {
        faults.error(
            name.span.clone(),
            format!("the effect `{}` has no body", name.value),
        );
    }
    let spaced = table.word("encoding", &[("json", false), ("json-ascii", true)], faults);
    Some(Stomp {
        broker: broker?,
        destination: destination?.0,
        destinations,
        headers: headers(table, faults),
        body: body?,
        spaced: spaced.is_some_and(|at| at.value),
    })
}

/// A name that the operator's configuration must have.
fn known(
    name: &At<String>,
    key: &'static str,
    table: &mut Table<'_, '_>,
    known: Option<&[String]>,
    faults: &mut Faults,
) -> Option<String> {
    let Some(wanted) = table.string(key, faults) else {
        faults.error(
            name.span.clone(),
            format!("the effect `{}` names no {key}", name.value),
        );
        return None;
    };
    if let Some(known) = known
        && !known.contains(&wanted.value)
    {
        let message = format!("no {key} `{}` is configured", wanted.value);
        let help = match nearest(&wanted.value, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add [{key}s.{}] to tine.toml", wanted.value),
        };
        faults.error_with(wanted.span, message, help);
        return None;
    }
    Some(wanted.value)
}

fn term(key: &'static str, table: &mut Table<'_, '_>, faults: &mut Faults) -> Option<Term> {
    let value = table.raw(key)?;
    Term::read(value.value, &value.span, faults)
}

fn strings(key: &'static str, table: &mut Table<'_, '_>, faults: &mut Faults) -> Vec<String> {
    let list = table.strings(key, faults).map(|at| at.value);
    list.into_iter().flatten().map(|at| at.value).collect()
}

fn headers(table: &mut Table<'_, '_>, faults: &mut Faults) -> Vec<(String, String)> {
    let Some(headers) = table.table("headers", faults) else {
        return Vec::new();
    };
    let list = headers.named_strings(faults);
    list.into_iter()
        .map(|(name, text)| (name.value, text.value))
        .collect()
}

fn max_bytes(table: &mut Table<'_, '_>, faults: &mut Faults) -> usize {
    let Some(bytes) = table.count::<usize>("max_bytes", 1, faults) else {
        return MAX_BYTES;
    };
    if bytes.value > MOST_BYTES {
        faults.error(bytes.span, format!("`max_bytes` is at most {MOST_BYTES}"));
    }
    bytes.value.min(MOST_BYTES)
}
