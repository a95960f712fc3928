//! A pool whose configuration and binary can change, the clients that ask it meanwhile, and orders over its control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::harness::{PATIENCE, Pool, answer, ask, binary};

/// A folder with the pool's configuration and a copy of its binary, gone with the test.
pub struct Place(PathBuf);

impl Place {
    pub fn new(test: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("tine-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let place = Place(folder);
        place.configure("word=one");
        place.install(&binary());
        place
    }

    /// In one step, so that a check reads the one text or the other.
    pub fn configure(&self, text: &str) {
        let new = self.0.join("config.new");
        std::fs::write(&new, text).expect("write");
        std::fs::rename(&new, self.0.join("config")).expect("rename");
    }

    pub fn program(&self) -> PathBuf {
        self.0.join("pool")
    }

    /// Puts a binary in the place of the one before, as a package manager does: under its name, not into it.
    pub fn install(&self, from: &Path) {
        let new = self.0.join("pool.new");
        std::fs::copy(from, &new).expect("copy");
        std::fs::rename(&new, self.program()).expect("rename");
    }

    pub fn start(&self, options: &[&str]) -> Pool {
        let config = format!("config={}", self.0.join("config").display());
        let program = format!("program={}", self.program().display());
        let mut all = vec![config.as_str(), program.as_str()];
        all.extend(options);
        Pool::ready(&all)
    }

    /// The same, with a control socket.
    pub fn start_with_control(&self, options: &[&str]) -> Pool {
        let control = format!("control={}", self.control().display());
        let mut all = vec![control.as_str()];
        all.extend(options);
        self.start(&all)
    }

    pub fn control(&self) -> PathBuf {
        self.0.join("control")
    }

    /// A client of the control socket that has said nothing yet.
    pub fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(self.control()).expect("connect");
        client.set_read_timeout(Some(PATIENCE)).expect("timeout");
        client
    }

    /// What the control socket says to an order, to the end.
    pub fn order(&self, order: &str) -> Vec<String> {
        order_of(self.connect(), order)
    }
}

/// What this client hears to its order, to the end.
pub fn order_of(mut client: UnixStream, order: &str) -> Vec<String> {
    writeln!(client, "{order}").expect("send");
    let lines = BufReader::new(client).lines();
    lines.map(|line| line.expect("a line")).collect()
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Generation and word of whoever answers.
pub fn generation(pool: &Pool) -> String {
    let answer = answer(&pool.address, "generation").expect("an answer");
    answer
        .splitn(3, ' ')
        .nth(2)
        .expect("a generation")
        .to_owned()
}

/// Clients that never stop asking, and the number of those who got no answer.
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<usize>>,
}

impl Clients {
    pub fn of(pool: &Pool) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, address) = (Arc::clone(&stop), pool.address.clone());
            std::thread::spawn(move || {
                let mut lost = 0;
                while !stop.load(Ordering::Relaxed) {
                    lost += usize::from(ask(&address, "pid").is_err());
                }
                lost
            })
        };
        Clients {
            threads: (0..4).map(client).collect(),
            stop,
        }
    }

    pub fn lost(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let lost = |thread: JoinHandle<usize>| thread.join().expect("client");
        self.threads.into_iter().map(lost).sum()
    }
}
