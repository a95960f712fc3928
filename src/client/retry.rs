//! Whether and when a request is sent again. Safe for every tool is what provably ran nothing: no connection, or a refusal of the
//! server itself that says when to come again. All else is repeated only for what reads. As RFC 9110 9.2.2 has it for idempotent
//! methods; the pauses double and are spread as in AWS's "Exponential Backoff And Jitter". Knows no method and no tool.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::ClientError;

/// The pause before the first retry; each one after is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// No pause is longer, unless the server asks for it.
const LONGEST: Duration = Duration::from_secs(5);

/// What a second sending could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads.
    Reads,
    /// It may change something, so it must not be done twice.
    Writes,
}

/// How often, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// After the first try.
    pub retries: u32,
    /// No try begins later than this after the first one.
    pub within: Duration,
}

impl Retry {
    pub const NEVER: Retry = Retry {
        retries: 0,
        within: Duration::ZERO,
    };

    /// Sends until it goes well, or until another try isn't safe, allowed or promising. `say` hears of each failure that is followed by
    /// another try: the pause, and the number of that try, from 1.
    ///
    /// # Errors
    /// That of the last try.
    pub fn run<T>(
        &self,
        effect: Effect,
        mut send: impl FnMut() -> Result<T, ClientError>,
        mut say: impl FnMut(&ClientError, Duration, u32),
    ) -> Result<T, ClientError> {
        let end = Instant::now() + self.within;
        let mut number = 0;
        loop {
            let error = match send() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match pause(&error, effect, number) {
                Some(pause) if number < self.retries && Instant::now() + pause < end => pause,
                _ => return Err(error),
            };
            number += 1;
            say(&error, pause, number);
            thread::sleep(pause);
        }
    }
}

/// How long to wait before the request may be sent again after `before` retries; `None` if it may not be.
fn pause(error: &ClientError, effect: Effect, before: u32) -> Option<Duration> {
    let asked = match error {
        ClientError::Unreachable { unsent: true, .. } => None,
        ClientError::Unreachable { unsent: false, .. } if effect == Effect::Reads => None,
        ClientError::Status {
            status: 429 | 503,
            json: true,
            retry_after: Some(seconds),
            ..
        } => Some(Duration::from_secs(*seconds)),
        // What stands in front of a server may have handed the request on before it gave up.
        ClientError::Status {
            status: 429 | 502 | 503 | 504,
            retry_after,
            ..
        } if effect == Effect::Reads => retry_after.map(Duration::from_secs),
        _ => return None,
    };
    let own = FIRST.saturating_mul(1 << before.min(8)).min(LONGEST);
    // Between half and all of it, lest all clients of a server that was away come back at once.
    let spread = own / 2 + own.mul_f64(chance() / 2.0);
    Some(asked.map_or(spread, |asked| asked.max(spread)))
}

/// Some number from 0 to 1; the clock's last digits are random enough here.
fn chance() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    f64::from(now.map_or(0, |now| now.subsec_nanos() % 1_000_000)) / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(unsent: bool) -> ClientError {
        ClientError::Unreachable {
            url: String::new(),
            reason: String::new(),
            unsent,
        }
    }

    fn status(status: u16, json: bool, retry_after: Option<u64>) -> ClientError {
        ClientError::Status {
            url: String::new(),
            status,
            body: String::new(),
            json,
            retry_after,
        }
    }

    #[test]
    fn what_may_be_sent_again() {
        let rpc = ClientError::Rpc {
            url: String::new(),
            code: -32603,
            message: String::new(),
        };
        let protocol = ClientError::Protocol {
            url: String::new(),
            reason: String::new(),
        };
        let unusable = ClientError::Unusable {
            url: String::new(),
            reason: String::new(),
        };
        for (error, reads, writes) in [
            (unreachable(true), true, true),
            (unreachable(false), true, false),
            (status(503, true, Some(1)), true, true),
            (status(503, true, None), true, false),
            (status(503, false, Some(1)), true, false),
            (status(429, true, Some(1)), true, true),
            (status(502, false, None), true, false),
            (status(504, true, Some(1)), true, false),
            (status(500, true, Some(1)), false, false),
            (status(401, true, None), false, false),
            (status(404, false, None), false, false),
            (rpc, false, false),
            (protocol, false, false),
            (unusable, false, false),
        ] {
            for (effect, expected) in [(Effect::Reads, reads), (Effect::Writes, writes)] {
                let again = pause(&error, effect, 0).is_some();
                assert_eq!(again, expected, "{error:?} {effect:?}");
            }
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_heed_the_server() {
        for (before, longest) in [
            (0, 500),
            (1, 1000),
            (2, 2000),
            (3, 4000),
            (4, 5000),
            (40, 5000),
        ] {
            let pause = pause(&unreachable(true), Effect::Writes, before).unwrap();
            let longest = Duration::from_millis(longest);
            assert!(
                (longest / 2..=longest).contains(&pause),
                "{before}: {pause:?}"
            );
        }
        let asked = pause(&status(503, true, Some(7)), Effect::Writes, 0);
        assert_eq!(asked, Some(Duration::from_secs(7)));
    }

    #[test]
    fn tries_are_counted_and_bounded() {
        let run = |retries, within, error: fn() -> ClientError| {
            let mut tries = 0;
            let retry = Retry { retries, within };
            let result = retry.run(
                Effect::Reads,
                || {
                    tries += 1;
                    Err::<(), _>(error())
                },
                |_, _, _| (),
            );
            assert!(result.is_err());
            tries
        };
        let minute = Duration::from_secs(60);
        assert_eq!(run(1, minute, || unreachable(true)), 2);
        assert_eq!(run(0, minute, || unreachable(true)), 1);
        assert_eq!(run(5, minute, || status(500, true, None)), 1);
        // The server asks for more patience than there is.
        assert_eq!(run(5, minute, || status(503, true, Some(60))), 1);
        assert_eq!(run(5, Duration::from_millis(100), || unreachable(true)), 1);
    }
}
