//! A declared effect with a call's values: what the worker performs, or what of the values doesn't fit. Reads no file.

use serde_json::{Map, Value};

use super::effect::{Effect, Form, Http, Program, Stomp};
use super::term::{Term, word};
use super::toolset_file::fits;
use crate::effects::{Act, HttpRequest, Message, Request, Run};

impl Effect {
    /// The names that it takes values for.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        match &self.form {
            Form::Http(http) => {
                http.url.names(&mut names);
                http.path.iter().for_each(|term| term.names(&mut names));
                http.query.names(&mut names);
                http.body.iter().for_each(|term| term.names(&mut names));
            }
            Form::Program(program) => program.arguments.names(&mut names),
            Form::Stomp(stomp) => {
                stomp.destination.names(&mut names);
                stomp.body.names(&mut names);
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether it may change something out there.
    pub fn changes(&self) -> bool {
        !matches!(&self.form, Form::Http(http) if http.method == "GET")
    }

    /// With its values.
    ///
    /// # Errors
    /// What of the values doesn't fit, for whoever reads the answer.
    pub fn act(&self, values: &Map<String, Value>) -> Result<Act, String> {
        let request = match &self.form {
            Form::Http(http) => Request::Http(self.http(http, values)?),
            Form::Program(program) => Request::Program(self.run(program, values)?),
            Form::Stomp(stomp) => Request::Stomp(self.message(stomp, values)?),
        };
        Ok(Act {
            name: self.name.clone(),
            request,
            timeout: self.timeout,
            optional: self.optional,
        })
    }

    fn http(&self, http: &Http, values: &Map<String, Value>) -> Result<HttpRequest, String> {
        let mut url = self.needed(&http.url, values, "a URL")?;
        if let Term::Name(_) = http.url {
            let host = host_of(&url).ok_or_else(|| format!("{}: `{url}` is no URL", self.name))?;
            if !http.hosts.iter().any(|pattern| fits(pattern, &host)) {
                return Err(format!(
                    "{}: the host {host} is not one that it may reach",
                    self.name
                ));
            }
        }
        for segment in &http.path {
            let given = matches!(segment, Term::Name(_));
            let segment = self.needed(segment, values, "each part of its path")?;
            // Dots alone would lead elsewhere.
            if given && matches!(segment.as_str(), "." | ".." | "") {
                return Err(format!(
                    "{}: `{segment}` can't be a part of a path",
                    self.name
                ));
            }
            if !url.ends_with('/') {
                url.push('/');
            }
            encode(&segment, &mut url);
        }
        if let Some(Value::Object(query)) = http.query.fill(values) {
            for (key, value) in &query {
                url.push(if url.contains('?') { '&' } else { '?' });
                encode(key, &mut url);
                let value = word(value);
                if !value.is_empty() {
                    url.push('=');
                    encode(&value, &mut url);
                }
            }
        }
        let body = http.body.as_ref().and_then(|body| body.fill(values));
        Ok(HttpRequest {
            method: http.method,
            url,
            headers: http.headers.clone(),
            body: body.map(|body| body.to_string()),
            max_bytes: http.max_bytes,
            too_large: http.too_large,
            cache: http.cache,
        })
    }

    fn run(&self, program: &Program, values: &Map<String, Value>) -> Result<Run, String> {
        let arguments = program.arguments.words(values);
        if arguments.iter().any(|word| word.contains('\0')) {
            return Err(format!("{}: an argument holds a NUL character", self.name));
        }
        Ok(Run {
            program: program.program.clone(),
            arguments,
            max_bytes: program.max_bytes,
        })
    }

    fn message(&self, stomp: &Stomp, values: &Map<String, Value>) -> Result<Message, String> {
        let destination = self.needed(&stomp.destination, values, "a destination")?;
        let allowed = |pattern: &String| fits(pattern, &destination);
        if let Term::Name(_) = stomp.destination
            && !stomp.destinations.iter().any(allowed)
        {
            return Err(format!(
                "{}: {destination} is not a destination that it may send to",
                self.name
            ));
        }
        let body = stomp
            .body
            .fill(values)
            .ok_or_else(|| format!("{}: the message has no body", self.name))?;
        Ok(Message {
            broker: stomp.broker.clone(),
            destination,
            headers: stomp.headers.clone(),
            body: match body {
                Value::String(text) => text,
                other if stomp.spaced => spaced(&other),
                other => other.to_string(),
            },
        })
    }

    fn needed(
        &self,
        term: &Term,
        values: &Map<String, Value>,
        what: &str,
    ) -> Result<String, String> {
        let value = term.fill(values);
        value
            .as_ref()
            .map(word)
            .ok_or_else(|| format!("{}: it needs {what}, and none was given", self.name))
    }
}

/// The host that a URL names, in lower case; `None`: no URL of http or https, or one with a login in it.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let clean = url.bytes().all(|b| b.is_ascii_graphic()) && !authority.contains(['@', '\\']);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (clean && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Percent-encoding of all that RFC 3986 doesn't call unreserved.
fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(HEX[usize::from(nibble & 15)]);
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
}

/// JSON in ASCII, with a space behind colons and commas.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spaced).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", ascii(key), spaced(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::String(text) => ascii(text),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => fraction(float),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// As Python writes it: the same digits and the same choice of an exponent as Rust's, but its sign always and two digits at the least.
fn fraction(float: f64) -> String {
    let text = format!("{float:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
    }
}

fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for char in Value::from(text).to_string().chars() {
        if char.is_ascii() {
            out.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        for (url, host) in [
            ("https://A.example:8443/x", Some("a.example")),
            ("http://[::1]/", Some("::1")),
            ("http://a?x", Some("a")),
            ("http://u@a/", None),
            ("http://a\\b/", None),
            ("http:///x", None),
            ("ftp://a", None),
            ("http://a b/", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn fractions_are_what_python_writes() {
        for (float, text) in [
            (2.0, "2.0"),
            (-0.25, "-0.25"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-10, "1.5e-10"),
            (9007199254740993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.25e300, "1.25e+300"),
        ] {
            assert_eq!(spaced(&serde_json::json!(float)), text);
        }
    }

    #[test]
    fn ascii_json_is_what_python_writes() {
        let value = serde_json::json!({"b": "é\u{1F600}\"\n\u{1}\u{7f}", "a": [1, 2.0, {}, []]});
        assert_eq!(
            spaced(&value),
            "{\"b\": \"\\u00e9\\ud83d\\ude00\\\"\\n\\u0001\u{7f}\", \"a\": [1, 2.0, {}, []]}"
        );
    }
}
