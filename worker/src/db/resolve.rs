//! Host names to addresses by a short-lived thread, because getaddrinfo(3) blocks. Knows nothing of connections.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;
use nix::sys::signal::SigSet;

/// A look-up that takes longer never ends: a resolver with many servers and search domains, all of them silent, is done after three
/// minutes (resolv.conf(5)).
const LOST: Duration = Duration::from_secs(300);

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What came of it: at least one address, or the reason.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) question: Question,
    pub(super) addresses: Result<Vec<SocketAddr>, String>,
}

/// Looks a name up, and blocks.
pub(super) type LookUp = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// As the system is configured.
pub(super) fn system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Runs at most one look-up per name: a name server that hangs must not gather threads.
pub(super) struct Resolver {
    look_up: LookUp,
    waker: Arc<Waker>,
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    /// Since when.
    running: HashMap<Question, Instant>,
}

/// Answers when it is dropped: a look-up that ends has an answer, also if it ends by a panic.
struct Promise {
    question: Question,
    addresses: Result<Vec<SocketAddr>, String>,
    sender: Sender<Answer>,
    waker: Arc<Waker>,
}

impl Drop for Promise {
    fn drop(&mut self) {
        // The pool may be gone: then nobody waits.
        let _ = self.sender.send(Answer {
            question: self.question.clone(),
            addresses: std::mem::replace(&mut self.addresses, Ok(Vec::new())),
        });
        let _ = self.waker.wake();
    }
}

impl Resolver {
    pub(super) fn new(waker: Arc<Waker>, look_up: LookUp) -> Resolver {
        let (sender, answers) = mpsc::channel();
        Resolver {
            look_up,
            waker,
            sender,
            answers,
            running: HashMap::new(),
        }
    }

    /// Starts a look-up, or joins the one that runs. Its answer wakes the loop and is then in [`Resolver::answer`].
    pub(super) fn ask(&mut self, question: &Question, now: Instant) -> Result<(), String> {
        if self.running.contains_key(question) {
            return Ok(());
        }
        let (look_up, sender, waker) = (self.look_up, self.sender.clone(), Arc::clone(&self.waker));
        let asked = question.clone();
        let run = move || {
            // Signals are the loop's business.
            let _ = SigSet::all().thread_block();
            let mut promise = Promise {
                question: asked,
                addresses: Err("the look-up failed".to_string()),
                sender,
                waker,
            };
            promise.addresses = match look_up(&promise.question.host, promise.question.port) {
                Ok(found) if found.is_empty() => Err("the name has no address".to_string()),
                Ok(found) => Ok(found),
                Err(fault) => Err(fault.to_string()),
            };
        };
        thread::Builder::new()
            .name("resolve".to_string())
            .spawn(run)
            .map_err(|fault| format!("no thread to resolve the name: {fault}"))?;
        self.running.insert(question.clone(), now);
        Ok(())
    }

    /// The next answer that has come in.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.running.remove(&answer.question);
        Some(answer)
    }

    /// The host of a look-up whose thread is lost: it will never answer, and nobody can ask for that name again.
    pub(super) fn lost(&self, now: Instant) -> Option<&str> {
        let lost = self
            .running
            .iter()
            .find(|(_, since)| now.duration_since(**since) >= LOST);
        lost.map(|(question, _)| question.host.as_str())
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;

    fn resolver(look_up: LookUp) -> (Poll, Resolver) {
        let poll = Poll::new().expect("epoll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("waker");
        (poll, Resolver::new(Arc::new(waker), look_up))
    }

    fn question(host: &str) -> Question {
        Question {
            host: host.to_string(),
            port: 5432,
        }
    }

    fn answer(resolver: &mut Resolver) -> Result<Vec<SocketAddr>, String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(answer) = resolver.answer() {
                return answer.addresses;
            }
            thread::yield_now();
        }
        panic!("no answer");
    }

    #[test]
    fn a_name_has_its_addresses_or_a_reason() {
        let (_poll, mut resolver) = resolver(system);
        let now = Instant::now();
        resolver.ask(&question("127.0.0.1"), now).expect("a thread");
        assert_eq!(
            answer(&mut resolver),
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 5432))])
        );
        resolver.ask(&question("no..name"), now).expect("a thread");
        assert!(answer(&mut resolver).is_err());
    }

    #[test]
    fn a_look_up_that_panics_fails_and_can_be_repeated() {
        let (_poll, mut resolver) = resolver(|_, _| panic!("on purpose, in a test"));
        for _ in 0..2 {
            resolver
                .ask(&question("host"), Instant::now())
                .expect("a thread");
            assert_eq!(answer(&mut resolver), Err("the look-up failed".to_string()));
        }
    }

    #[test]
    fn a_look_up_that_never_ends_is_lost() {
        let (_poll, mut resolver) = resolver(|_, _| {
            loop {
                thread::park();
            }
        });
        let start = Instant::now();
        resolver.ask(&question("host"), start).expect("a thread");
        resolver
            .ask(&question("host"), start + LOST)
            .expect("the same");
        assert_eq!(resolver.lost(start + LOST - Duration::from_secs(1)), None);
        assert_eq!(resolver.lost(start + LOST), Some("host"));
    }
}
