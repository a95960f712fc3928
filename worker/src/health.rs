//! What the health endpoints say: of the process, and of the databases from a proof of life that is at most two seconds old. Both at
//! once: the databases are probed all the time, so that nobody who asks waits for a dead one. Builds documents and keeps score; sends
//! nothing.
//!
//! From HAProxy's and Envoy's active checks: a check by the clock, whose last result answers everybody.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tine_scoreboard::Snapshot;

use crate::admission::Mode;
use crate::db::DbError;
use crate::settings::Settings;

/// How long a health request waits for the first proofs of a new worker.
pub const PATIENCE: Duration = Duration::from_millis(35);
/// A proof of this age is renewed: with a probe that takes its longest, 0.9 s, none is older than [`FRESH`].
const RENEW: Duration = Duration::from_millis(900);
/// A proof of this age still counts.
const FRESH: Duration = Duration::from_secs(2);

/// The last sign of life of each database, and who waits for the next.
#[derive(Debug, Default)]
pub struct Watch {
    asked: Vec<bool>,
    heard: Vec<Option<(Instant, Result<(), DbError>)>>,
    /// Which of them a probe is under way to.
    probing: Vec<bool>,
    waiting: Vec<usize>,
}

/// How a database stands otherwise than before.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Lost,
    Back,
}

impl Watch {
    /// `asked` says of each database whether it counts.
    pub fn new(asked: Vec<bool>) -> Watch {
        Watch {
            heard: vec![None; asked.len()],
            probing: vec![false; asked.len()],
            asked,
            waiting: Vec::new(),
        }
    }

    pub fn asks(&self, database: usize) -> bool {
        self.asked.get(database).copied().unwrap_or(false)
    }

    /// The databases to probe now, which count as being probed from now on.
    pub fn due(&mut self, now: Instant) -> Vec<usize> {
        let old = |heard: &Option<(Instant, _)>| {
            heard
                .as_ref()
                .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= RENEW)
        };
        let due: Vec<usize> = (0..self.asked.len())
            .filter(|&number| {
                self.asked[number] && !self.probing[number] && old(&self.heard[number])
            })
            .collect();
        due.iter().for_each(|&number| self.probing[number] = true);
        due
    }

    pub fn wait(&mut self, key: usize) {
        self.waiting.push(key);
    }

    /// What a probe brought; `at` is when the database answered, or didn't.
    pub fn heard(
        &mut self,
        database: usize,
        at: Instant,
        result: Result<(), DbError>,
    ) -> Option<Change> {
        let (place, probing) = (
            self.heard.get_mut(database)?,
            self.probing.get_mut(database)?,
        );
        *probing = false;
        let well = result.is_ok();
        let before = place.replace((at, result));
        match before.is_none_or(|(_, before)| before.is_ok()) {
            true if !well => Some(Change::Lost),
            false if well => Some(Change::Back),
            _ => None,
        }
    }

    /// Those who waited, once every database has been heard of.
    pub fn answered(&mut self, now: Instant) -> Vec<usize> {
        let all = (0..self.heard.len())
            .all(|database| !self.asks(database) || self.fresh(database, now).is_some());
        if all {
            std::mem::take(&mut self.waiting)
        } else {
            Vec::new()
        }
    }

    fn fresh(&self, database: usize, now: Instant) -> Option<&Result<(), DbError>> {
        match self.heard.get(database) {
            Some(Some((at, result))) if now.saturating_duration_since(*at) <= FRESH => Some(result),
            _ => None,
        }
    }
}

/// `GET /health`: this process and the pool around it. Never depends on a database.
pub fn process(settings: &Settings, pool: &Snapshot, mode: Mode) -> Vec<u8> {
    let mut document = Map::new();
    document.insert("status".into(), json!("ok"));
    document.insert("service".into(), json!(settings.server.name));
    document.insert("version".into(), json!(settings.server.version));
    describe_pool(&mut document, pool, mode);
    Value::Object(document).to_string().into_bytes()
}

/// The database health: its status, and its document. Whoever asks decides by it where to send traffic, so a pool that stops says no as well;
/// a worker that leaves a pool that goes on says nothing of itself.
pub fn databases(
    settings: &Settings,
    pool: &Snapshot,
    mode: Mode,
    watch: &Watch,
    stopping: bool,
    now: Instant,
) -> (u16, Vec<u8>) {
    let mut each = Map::new();
    let mut errors = Vec::new();
    for (number, database) in settings
        .databases
        .iter()
        .enumerate()
        .filter(|(number, _)| watch.asks(*number))
    {
        let error = match watch.fresh(number, now) {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(crate::catalog::detail(error)),
            None => Some("no answer yet".to_owned()),
        };
        each.insert(
            database.name.clone(),
            json!(if error.is_none() { "ok" } else { "error" }),
        );
        errors.extend(error.map(|error| format!("{}: {error}", database.name)));
    }
    let database = if errors.is_empty() { "ok" } else { "error" };
    if stopping {
        errors.push("the server is stopping".to_owned());
    }
    let ok = errors.is_empty();
    let mut document = Map::new();
    document.insert("ok".into(), json!(ok));
    document.insert("service".into(), json!(settings.health.service));
    document.insert("pid".into(), json!(std::process::id()));
    document.insert("database".into(), json!(database));
    document.insert("mcp_stateless".into(), json!(true));
    // As Python's isoformat() writes it, for monitors that read it back with an older Python.
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    document.insert("timestamp".into(), json!(now.to_string()));
    if !ok {
        document.insert("error".into(), json!(errors.join("; ")));
    }
    document.insert("databases".into(), Value::Object(each));
    document.insert("version".into(), json!(settings.server.version));
    describe_pool(&mut document, pool, mode);
    (
        if ok { 200 } else { 503 },
        Value::Object(document).to_string().into_bytes(),
    )
}

fn describe_pool(document: &mut Map<String, Value>, pool: &Snapshot, mode: Mode) {
    document.insert(
        "answered_by".into(),
        json!({ "pid": std::process::id(), "phase": tine_scoreboard::Phase::from(mode).name() }),
    );
    document.extend(pool.document());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_every_database_and_forgets_old_proofs() {
        let start = Instant::now();
        let mut watch = Watch::new(vec![true, true, false]);
        watch.wait(7);
        watch.heard(0, start, Ok(()));
        assert!(watch.answered(start).is_empty());
        watch.heard(1, start, Err(DbError::Overloaded));
        assert_eq!(watch.answered(start), [7]);
        assert!(watch.answered(start).is_empty(), "nobody is answered twice");
        watch.wait(8);
        let later = start + FRESH + Duration::from_millis(1);
        watch.heard(1, later, Ok(()));
        assert!(
            watch.answered(later).is_empty(),
            "the other proof is too old"
        );
    }

    #[test]
    fn a_proof_is_renewed_before_it_is_old_and_by_one_probe_at_a_time() {
        let start = Instant::now();
        let mut watch = Watch::new(vec![true, false]);
        assert_eq!(watch.due(start), [0], "from the start");
        assert!(watch.due(start + FRESH).is_empty(), "it is under way");
        assert_eq!(watch.heard(0, start, Ok(())), None);
        assert!(
            watch
                .due(start + RENEW - Duration::from_millis(1))
                .is_empty()
        );
        assert_eq!(watch.due(start + RENEW), [0]);
        let gone = || Err(DbError::Timeout);
        assert_eq!(watch.heard(0, start + RENEW, gone()), Some(Change::Lost));
        assert_eq!(watch.heard(0, start + RENEW, gone()), None, "told once");
        assert_eq!(watch.heard(0, start + RENEW, Ok(())), Some(Change::Back));
    }

    #[test]
    fn without_databases_there_is_nothing_to_wait_for() {
        let mut watch = Watch::new(vec![]);
        watch.wait(1);
        assert_eq!(watch.answered(Instant::now()), [1]);
    }
}
