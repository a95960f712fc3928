//! Answers of HTTP servers that are good for a while, as the tool's file says (`cache`): one cache a worker, bounded in number and in bytes.
//! Knows nothing of sockets.
//!
//! From nginx: how long an answer is good stands with whoever asks (`proxy_cache_valid`), not in the answer's headers, and a request can be
//! kept away from the cache (`proxy_cache_bypass`). From Varnish: an answer tells its age. Left out of both: revalidation, answers past
//! their time, and waiting for another's request; few calls ask other servers, and a late answer would be a wrong one here.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::HttpRequest;

/// The most answers, and the most bytes of their bodies.
const ANSWERS: usize = 256;
const BYTES: usize = 16 << 20;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// Bytes are missing.
    pub cut: bool,
}

/// The worker's cache. All of a request is its key, so two tools that differ in a header or in `cache` itself share nothing.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The oldest first; so few that a look at each costs nothing beside a request.
    answers: VecDeque<One>,
    bytes: usize,
}

#[derive(Debug)]
struct One {
    request: HttpRequest,
    answer: Answer,
    began: Instant,
    good_for: Duration,
}

impl Cache {
    /// A good answer to the same request, and its age.
    pub(super) fn find(&self, request: &HttpRequest, now: Instant) -> Option<(Answer, Duration)> {
        let good_for = request.cache?;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = kept.answers.iter().find(|one| one.request == *request)?;
        let age = now.saturating_duration_since(one.began);
        (age < good_for).then(|| (one.answer.clone(), age))
    }

    /// Keeps an answer to a request that began then, if it is a good one and whole. One without a body costs nobody anything, and often means
    /// that there is nothing yet.
    pub(super) fn keep(
        &self,
        request: &HttpRequest,
        answer: &Answer,
        began: Instant,
        now: Instant,
    ) {
        let Some(good_for) = request.cache else {
            return;
        };
        let length = answer.body.len();
        if !(200..300).contains(&answer.status) || answer.cut || length == 0 || length > BYTES {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(|one| one.request == *request || now >= one.began + one.good_for);
        kept.bytes += length;
        kept.answers.push_back(One {
            request: request.clone(),
            answer: answer.clone(),
            began,
            good_for,
        });
        while kept.answers.len() > ANSWERS || kept.bytes > BYTES {
            let Some(oldest) = kept.answers.pop_front() else {
                return;
            };
            kept.bytes -= oldest.answer.body.len();
        }
    }
}

impl Kept {
    fn remove(&mut self, gone: impl Fn(&One) -> bool) {
        self.answers.retain(|one| !gone(one));
        self.bytes = self.answers.iter().map(|one| one.answer.body.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::super::TooLarge;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn request(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET",
            url: url.to_owned(),
            headers: vec![("X-Own".to_owned(), "a".to_owned())],
            body: None,
            max_bytes: 9,
            too_large: TooLarge::Error,
            cache: Some(30 * SECOND),
        }
    }

    fn answer(status: u16, length: usize) -> Answer {
        Answer {
            status,
            content_type: None,
            body: vec![b'x'; length],
            cut: false,
        }
    }

    #[test]
    fn only_the_same_request_finds_an_answer_and_only_while_it_is_good() {
        let (cache, start) = (Cache::default(), Instant::now());
        let own = request("http://a/?q=1");
        cache.keep(&own, &answer(200, 3), start, start + SECOND);
        let header = HttpRequest {
            headers: Vec::new(),
            ..own.clone()
        };
        let uncached = HttpRequest {
            cache: None,
            ..own.clone()
        };
        for (request, after, age) in [
            (&own, 0, Some(0)),
            (&own, 29, Some(29)),
            (&own, 30, None),
            (&request("http://a/?q=2"), 1, None),
            (&request("http://b/?q=1"), 1, None),
            (&header, 1, None),
            (&uncached, 1, None),
        ] {
            let found = cache.find(request, start + after * SECOND);
            let found = found.map(|(found, age)| {
                assert_eq!(found, answer(200, 3));
                age
            });
            assert_eq!(found, age.map(|age| age * SECOND), "{request:?} {after}");
        }
        cache.keep(
            &own,
            &answer(203, 1),
            start + 40 * SECOND,
            start + 41 * SECOND,
        );
        let found = cache.find(&own, start + 41 * SECOND);
        assert_eq!(found, Some((answer(203, 1), SECOND)), "the newest counts");
    }

    #[test]
    fn what_is_not_good_or_not_whole_is_not_kept() {
        let now = Instant::now();
        let cut = Answer {
            cut: true,
            ..answer(200, 1)
        };
        for (bad, why) in [
            (answer(199, 1), "status"),
            (answer(300, 1), "status"),
            (answer(404, 1), "status"),
            (answer(500, 1), "status"),
            (cut, "cut"),
            (answer(200, 0), "empty"),
            (answer(200, BYTES + 1), "size"),
        ] {
            let cache = Cache::default();
            cache.keep(&request("http://a"), &bad, now, now);
            assert_eq!(cache.find(&request("http://a"), now), None, "{why}");
        }
        let cache = Cache::default();
        let uncached = HttpRequest {
            cache: None,
            ..request("http://a")
        };
        cache.keep(&uncached, &answer(200, 1), now, now);
        assert!(cache.0.lock().unwrap().answers.is_empty());
    }

    #[test]
    fn the_oldest_make_place_and_what_is_over_is_gone() {
        let (cache, now) = (Cache::default(), Instant::now());
        let url = |n: usize| request(&format!("http://a/{n}"));
        for n in 0..ANSWERS + 2 {
            cache.keep(&url(n), &answer(200, 1), now, now);
        }
        let there = |n| cache.find(&url(n), now).is_some();
        assert_eq!(
            [0, 1, 2, ANSWERS + 1].map(there),
            [false, false, true, true]
        );
        cache.keep(&url(9), &answer(200, BYTES - 1), now, now);
        assert_eq!([9, ANSWERS, ANSWERS + 1].map(there), [true, false, true]);
        cache.keep(&url(8), &answer(200, 2), now, now);
        assert_eq!([8, 9, ANSWERS + 1].map(there), [true, false, false]);
        let later = now + 30 * SECOND;
        cache.keep(&url(7), &answer(200, 1), later, later);
        let kept = cache.0.lock().unwrap();
        assert_eq!((kept.answers.len(), kept.bytes), (1, 1));
    }
}
