//! The blocking pool: a few threads for work that can't be non-blocking. Knows nothing of what the work is; the loop gets
//! each result through its waker.
//!
//! From libuv's thread pool: few threads, one queue, results handed back to the loop. Ours differ in that the queue is bounded,
//! that threads begin with the first work, after the fork, and that a panic or a thread that never comes back is told.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;
use nix::sys::signal::{SigSet, SigmaskHow};

/// The most threads.
pub const THREADS: usize = 4;
/// Work that may wait for a thread; beyond it a call is refused.
pub const QUEUE: usize = 64;
/// Work that is still not done so long after its deadline never will be: its thread is lost.
const LOST: Duration = Duration::from_secs(30);
/// How long [`Blocking::close`] waits for work that was told to give up, such as a program that is being killed.
const CLOSE: Duration = Duration::from_millis(500);

/// Names a piece of work within its pool; never reused while a worker lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// Whether anybody still waits for the work; the work looks at it where it can stop.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why work was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// [`QUEUE`] pieces wait already.
    Full,
    /// The system gives no thread.
    NoThread(String),
}

/// The work ended by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

type Work<T> = Box<dyn FnOnce(&Cancel) -> T + Send>;

struct Task<T> {
    ticket: Ticket,
    cancel: Cancel,
    work: Work<T>,
}

struct Queue<T> {
    tasks: VecDeque<Task<T>>,
    /// Threads that wait for a task.
    idle: usize,
    /// Threads that run one.
    busy: usize,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    /// A task came, or one ended.
    changed: Condvar,
}

/// The pool, as the loop sees it. No thread exists before the first work.
pub struct Blocking<T> {
    waker: Arc<Waker>,
    shared: Arc<Shared<T>>,
    sender: Sender<(Ticket, Result<T, Panicked>)>,
    results: Receiver<(Ticket, Result<T, Panicked>)>,
    /// Work without a result yet, and its deadline.
    open: HashMap<Ticket, (Cancel, Instant)>,
    threads: usize,
    next: u64,
}

impl<T> Shared<T> {
    // No code panics while it holds the lock, and work runs without it.
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Blocking<T> {
    pub fn new(waker: Arc<Waker>) -> Blocking<T> {
        let (sender, results) = mpsc::channel();
        let queue = Queue {
            tasks: VecDeque::new(),
            idle: 0,
            busy: 0,
        };
        Blocking {
            waker,
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                changed: Condvar::new(),
            }),
            sender,
            results,
            open: HashMap::new(),
            threads: 0,
            next: 0,
        }
    }

    /// Hands work over. It must end by `deadline` by itself.
    ///
    /// # Errors
    /// The queue is full, or there is no thread at all.
    pub fn submit(
        &mut self,
        deadline: Instant,
        work: impl FnOnce(&Cancel) -> T + Send + 'static,
    ) -> Result<Ticket, Refused> {
        let ticket = Ticket(self.next);
        let cancel = Cancel::default();
        let wanting = {
            let mut queue = self.shared.lock();
            if queue.tasks.len() >= QUEUE {
                return Err(Refused::Full);
            }
            queue.tasks.push_back(Task {
                ticket,
                cancel: cancel.clone(),
                work: Box::new(work),
            });
            queue.tasks.len() > queue.idle
        };
        if wanting
            && self.threads < THREADS
            && let Err(error) = self.start_thread()
            && self.threads == 0
        {
            self.shared.lock().tasks.clear();
            return Err(Refused::NoThread(error.to_string()));
        }
        self.next += 1;
        self.open.insert(ticket, (cancel, deadline));
        self.shared.changed.notify_all();
        Ok(ticket)
    }

    /// Nobody waits for it any more: it doesn't begin, or ends as soon as it can. No result comes from it.
    pub fn cancel(&mut self, ticket: Ticket) {
        let Some((cancel, _)) = self.open.get(&ticket) else {
            return;
        };
        cancel.cancel();
        let mut queue = self.shared.lock();
        let before = queue.tasks.len();
        queue.tasks.retain(|task| task.ticket != ticket);
        if queue.tasks.len() < before {
            self.open.remove(&ticket);
        }
    }

    /// The next result that somebody waits for.
    pub fn result(&mut self) -> Option<(Ticket, Result<T, Panicked>)> {
        loop {
            let (ticket, result) = self.results.try_recv().ok()?;
            let cancelled = self
                .open
                .remove(&ticket)
                .is_some_and(|(cancel, _)| cancel.is_cancelled());
            // A panic is told whoever waits.
            if !cancelled || result.is_err() {
                return Some((ticket, result));
            }
        }
    }

    /// True when work has been running for so long that its thread is lost.
    pub fn lost(&self, now: Instant) -> bool {
        self.open
            .values()
            .any(|(_, deadline)| now.saturating_duration_since(*deadline) >= LOST)
    }

    /// Tells all work to give up, and waits a moment for it: what it would leave behind, such as a program, ends with it.
    pub fn close(&mut self) {
        self.open.values().for_each(|(cancel, _)| cancel.cancel());
        let mut queue = self.shared.lock();
        queue.tasks.clear();
        let end = Instant::now() + CLOSE;
        while queue.busy > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self
                .shared
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn start_thread(&mut self) -> std::io::Result<()> {
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        let waker = Arc::clone(&self.waker);
        // Signals are the loop's business: the thread is born with all of them blocked.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let started = thread::Builder::new()
            .name("blocking".to_owned())
            .spawn(move || serve(&shared, &sender, &waker));
        mask.thread_set_mask()?;
        started?;
        self.threads += 1;
        Ok(())
    }
}

// A thread's life. It ends with its process, or with the pool.
fn serve<T>(shared: &Shared<T>, sender: &Sender<(Ticket, Result<T, Panicked>)>, waker: &Waker) {
    loop {
        let task = {
            let mut queue = shared.lock();
            loop {
                if let Some(task) = queue.tasks.pop_front() {
                    queue.busy += 1;
                    break task;
                }
                queue.idle += 1;
                queue = shared
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        };
        // What a panic leaves half done belongs to the work alone; the worker is replaced besides.
        let result = catch_unwind(AssertUnwindSafe(|| (task.work)(&task.cancel)));
        shared.lock().busy -= 1;
        shared.changed.notify_all();
        if sender
            .send((task.ticket, result.map_err(|_| Panicked)))
            .is_err()
        {
            return;
        }
        let _ = waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use mio::{Events, Poll, Token};
    use nix::sys::signal::Signal;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn pool<T: Send + 'static>() -> (Poll, Blocking<T>) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        (poll, Blocking::new(waker))
    }

    fn results<T: Send + 'static>(
        poll: &mut Poll,
        pool: &mut Blocking<T>,
        count: usize,
    ) -> Vec<(Ticket, Result<T, Panicked>)> {
        let mut events = Events::with_capacity(4);
        let (mut found, end) = (Vec::new(), Instant::now() + LONG);
        while found.len() < count && Instant::now() < end {
            found.extend(std::iter::from_fn(|| pool.result()));
            if found.len() < count {
                poll.poll(&mut events, Some(LONG)).unwrap();
            }
        }
        found
    }

    #[test]
    fn work_runs_beside_each_other_with_signals_blocked_and_wakes_the_loop() {
        let (mut poll, mut pool) = pool();
        let end = Instant::now() + LONG;
        let together = Arc::new(Barrier::new(THREADS));
        let tickets: Vec<Ticket> = (0..THREADS)
            .map(|_| {
                let together = Arc::clone(&together);
                let work = move |_: &Cancel| {
                    together.wait();
                    SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM)
                };
                pool.submit(end, work).unwrap()
            })
            .collect();
        let found = results(&mut poll, &mut pool, THREADS);
        assert_eq!(found.len(), THREADS);
        for (ticket, blocked) in found {
            assert!(tickets.contains(&ticket));
            assert_eq!(blocked, Ok(true));
        }
        // The caller's own mask is as before.
        assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
        for _ in 0..50 {
            pool.submit(end, |_| false).unwrap();
        }
        assert_eq!(results(&mut poll, &mut pool, 50).len(), 50);
        assert!(pool.threads <= THREADS);
        assert!(!pool.lost(end + LOST), "nothing is open");
    }

    #[test]
    fn a_panic_is_a_result_and_costs_no_thread() {
        let (mut poll, mut pool) = pool::<u8>();
        let end = Instant::now() + LONG;
        for _ in 0..2 * THREADS {
            let ticket = pool
                .submit(end, |_| panic!("on purpose, in a test"))
                .unwrap();
            assert_eq!(results(&mut poll, &mut pool, 1), [(ticket, Err(Panicked))]);
        }
        let ticket = pool.submit(end, |_| 7).unwrap();
        assert_eq!(results(&mut poll, &mut pool, 1), [(ticket, Ok(7))]);
    }

    #[test]
    fn the_queue_is_bounded_and_cancelled_work_is_not_told() {
        let (mut poll, mut pool) = pool::<bool>();
        let end = Instant::now() + LONG;
        let busy = Arc::new(Barrier::new(THREADS + 1));
        let wait = |busy: &Arc<Barrier>| {
            let busy = Arc::clone(busy);
            move |cancel: &Cancel| {
                busy.wait();
                while !cancel.is_cancelled() {
                    thread::yield_now();
                }
                true
            }
        };
        let running: Vec<Ticket> = (0..THREADS)
            .map(|_| pool.submit(end, wait(&busy)).unwrap())
            .collect();
        busy.wait();
        let queued: Vec<Ticket> = (0..QUEUE)
            .map(|_| pool.submit(end, |_| false).unwrap())
            .collect();
        assert_eq!(pool.submit(end, |_| false), Err(Refused::Full));
        assert!(!pool.lost(end));
        assert!(pool.lost(end + LOST), "nothing has ended");
        for ticket in queued.iter().skip(1).chain(&running) {
            pool.cancel(*ticket);
        }
        assert_eq!(results(&mut poll, &mut pool, 1), [(queued[0], Ok(false))]);
        pool.close();
        assert!(pool.result().is_none());
        assert_eq!(pool.shared.lock().busy, 0);
    }
}
