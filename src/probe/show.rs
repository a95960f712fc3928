//! What a probe found, as the line that an operator reads and as the object that a program reads. Asks nobody.

use std::io;
use std::time::Duration;

use log::Level;
use serde_json::{Value, json};

use super::steps::{Asked, Failure};
use super::watchdog::Restart;
use crate::client::Address;
use crate::logging;

pub struct Report {
    asked: Asked,
    unit: Option<String>,
    restart: Option<Restart>,
}

impl Report {
    pub fn of(asked: Asked) -> Report {
        Report {
            asked,
            unit: None,
            restart: None,
        }
    }

    /// What is wrong, if anything is.
    pub fn failure(&self) -> Option<&Failure> {
        self.asked.result.as_ref().err()
    }

    /// What the watchdog found when it asked once more, if it did, and what it did.
    pub fn amend(&mut self, again: Option<Asked>, unit: &str, restart: Option<Restart>) {
        if let Some(again) = again {
            let first = std::mem::replace(&mut self.asked, again);
            self.asked.tries += first.tries;
            self.asked.before = first.result.err();
        }
        self.unit = Some(unit.to_owned());
        self.restart = restart;
    }

    /// One line with its end. To the journal it carries a priority.
    pub fn text(&self, address: &Address, json: bool) -> String {
        let line = match json {
            true => self.json(address).to_string(),
            false => self.line(),
        };
        let priority = logging::journal_prefix(io::stdout(), self.level());
        format!("{priority}{line}\n")
    }

    fn level(&self) -> Level {
        match (&self.asked.result, &self.asked.before) {
            (Err(_), _) => Level::Error,
            (Ok(_), Some(_)) => Level::Warn,
            (Ok(_), None) => Level::Info,
        }
    }

    fn line(&self) -> String {
        match &self.asked.result {
            Ok(healthy) => {
                let seconds = self.asked.took.as_secs_f64();
                let tools = healthy.tools;
                let before = self.asked.before.as_ref();
                let before = before
                    .map(|failure| format!("; before that {}: {}", failure.step, failure.what));
                format!(
                    "MCP watchdog OK: {tools} tools in {seconds:.3}s{}",
                    before.unwrap_or_default()
                )
            }
            Err(Failure {
                step, what, url, ..
            }) => format!("MCP watchdog FAILED: {step}: {what} ({url}){}", self.act()),
        }
    }

    fn act(&self) -> String {
        match (&self.unit, &self.restart) {
            (Some(unit), Some(Restart::Ordered)) => format!("; restarting {unit}"),
            (Some(unit), Some(Restart::Withheld(why))) => format!("; not restarting {unit}: {why}"),
            _ => String::new(),
        }
    }

    /// The same fields always, null where there is nothing to say.
    fn json(&self, address: &Address) -> Value {
        let healthy = self.asked.result.as_ref().ok();
        let failure = self.failure();
        let withheld = match &self.restart {
            Some(Restart::Withheld(why)) => Some(why),
            _ => None,
        };
        json!({
            "ok": healthy.is_some(),
            "url": address.to_string(),
            "tools": healthy.map(|healthy| healthy.tools),
            "seconds": seconds(self.asked.took),
            "tries": self.asked.tries,
            "server": healthy.map(|healthy| &healthy.server),
            "workers": healthy.and_then(|healthy| healthy.workers).map(|(_, all)| all),
            "workers_ready": healthy.and_then(|healthy| healthy.workers).map(|(ready, _)| ready),
            "step": failure.map(|failure| failure.step.to_string()),
            "error": failure.map(|failure| &failure.what),
            "error_url": failure.map(|failure| &failure.url),
            "answered": failure.is_none_or(|failure| failure.answered),
            "unit": self.unit,
            "restarted": self.restart == Some(Restart::Ordered),
            "not_restarted": withheld,
        })
    }
}

/// To the millisecond.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::steps::{Healthy, Remedy, Step};
    use super::*;

    fn healthy() -> Healthy {
        Healthy {
            tools: 45,
            server: json!({"name": "swf-testbed"}),
            workers: Some((3, 4)),
        }
    }

    fn failure() -> Failure {
        Failure {
            step: Step::Initialize,
            what: "no answer within 5 s".into(),
            url: "http://h/mcp".into(),
            answered: false,
            remedy: Remedy::Restart,
        }
    }

    fn asked(result: Result<Healthy, Failure>) -> Asked {
        Asked {
            result,
            took: Duration::from_micros(4_449),
            tries: 1,
            before: None,
        }
    }

    fn report(result: Result<Healthy, Failure>) -> Report {
        Report::of(asked(result))
    }

    #[test]
    fn a_line_says_it_all() {
        let well = report(Ok(healthy()));
        assert_eq!(well.line(), "MCP watchdog OK: 45 tools in 0.004s");
        assert_eq!(well.level(), Level::Info);

        let mut ill = report(Err(failure()));
        let line = "MCP watchdog FAILED: initialize: no answer within 5 s (http://h/mcp)";
        assert_eq!(ill.line(), line);
        assert_eq!(ill.level(), Level::Error);
        ill.amend(None, "tine@swf.service", Some(Restart::Ordered));
        assert_eq!(ill.line(), format!("{line}; restarting tine@swf.service"));
        let why = Restart::Withheld("it has a job under way".into());
        ill.amend(None, "tine@swf.service", Some(why));
        assert_eq!(
            ill.line(),
            format!("{line}; not restarting tine@swf.service: it has a job under way")
        );

        ill.amend(Some(asked(Ok(healthy()))), "tine@swf.service", None);
        assert_eq!(
            ill.line(),
            "MCP watchdog OK: 45 tools in 0.004s; before that initialize: no answer within 5 s"
        );
        assert_eq!(ill.level(), Level::Warn);
    }

    #[test]
    fn the_object_has_the_same_fields_always() {
        let address = Address::http("http://h/mcp".into());
        let well = report(Ok(healthy())).json(&address);
        let ill = report(Err(failure())).json(&address);
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys(&well), keys(&ill));
        assert_eq!(
            (
                &well["ok"],
                &well["tools"],
                &well["seconds"],
                &well["restarted"]
            ),
            (&json!(true), &json!(45), &json!(0.004), &json!(false))
        );
        assert_eq!(
            (&well["workers"], &well["workers_ready"]),
            (&json!(4), &json!(3))
        );
        assert_eq!(
            (&ill["ok"], &ill["tools"], &ill["step"], &ill["answered"]),
            (
                &json!(false),
                &Value::Null,
                &json!("initialize"),
                &json!(false)
            )
        );
    }
}
