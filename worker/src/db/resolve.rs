//! Host names to addresses by a short-lived thread, because getaddrinfo(3) blocks. Knows nothing of connections.

use std::collections::HashSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use mio::Waker;
use nix::sys::signal::SigSet;

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

/// Runs at most one look-up per name: a name server that hangs must not gather threads.
pub(super) struct Resolver {
    waker: Arc<Waker>,
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    running: HashSet<Question>,
}

impl Resolver {
    pub(super) fn new(waker: Arc<Waker>) -> Resolver {
        let (sender, answers) = mpsc::channel();
        Resolver {
            waker,
            sender,
            answers,
            running: HashSet::new(),
        }
    }

    /// Starts a look-up, or joins the one that runs. Its answer wakes the loop and is then in [`Resolver::answer`].
    pub(super) fn ask(&mut self, question: &Question) -> Result<(), String> {
        if self.running.contains(question) {
            return Ok(());
        }
        let (waker, sender, asked) = (
            Arc::clone(&self.waker),
            self.sender.clone(),
            question.clone(),
        );
        let look_up = move || {
            // Signals are the loop's business.
            let _ = SigSet::all().thread_block();
            let addresses = match (asked.host.as_str(), asked.port).to_socket_addrs() {
                Ok(found) => Ok(found.collect::<Vec<_>>()).and_then(|found: Vec<SocketAddr>| {
                    if found.is_empty() {
                        Err("the name has no address".to_string())
                    } else {
                        Ok(found)
                    }
                }),
                Err(fault) => Err(fault.to_string()),
            };
            // The pool may be gone: then nobody waits.
            let _ = sender.send(Answer {
                question: asked,
                addresses,
            });
            let _ = waker.wake();
        };
        thread::Builder::new()
            .name("resolve".to_string())
            .spawn(look_up)
            .map_err(|fault| format!("no thread to resolve the name: {fault}"))?;
        self.running.insert(question.clone());
        Ok(())
    }

    /// The next answer that has come in.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.running.remove(&answer.question);
        Some(answer)
    }
}
