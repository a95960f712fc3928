//! The smallest pool: workers that answer one line per connection, and misbehave on command. The process tests drive it.
//!
//! `cargo run -p tine-master --example pool -- listen=127.0.0.1:8000 workers=2`, then `echo pid | nc 127.0.0.1 8000`.
//! Options are `key=value`, times in milliseconds; commands are in `obey`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tine_master::{
    Address, Adopted, Check, Child, ControlSocket, Handover, Listener, Program, Service, Settings,
    Start, bind, exit, listen, resume, run,
};
use tine_scoreboard::control::{Channel, Received, RecycleReason, ToMaster, ToWorker};
use tine_scoreboard::{Phase, Scoreboard, monotonic_ns};

/// One line a record, so that the tests can wait for one.
struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.level(), record.args());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    fn flush(&self) {}
}

fn main() -> ExitCode {
    let _ = log::set_logger(&Lines);
    log::set_max_level(log::LevelFilter::Debug);
    let options: Vec<String> = std::env::args().skip(1).collect();
    let mut service = Example {
        unix: option(&options, "listen").is_some_and(|place| place.contains('/')),
        options,
        generation: Vec::new(),
    };
    match Check::requested() {
        Ok(None) => {}
        Ok(Some(check)) => return ExitCode::from(check.answer(service.read())),
        Err(error) => panic!("{error}"),
    }
    match Handover::received() {
        Ok(None) => start(service),
        Ok(Some(handover)) => {
            println!("executed");
            match service.adopt(&handover.proven) {
                Ok(adopted) => ExitCode::from(resume(handover, adopted, service)),
                Err(text) => ExitCode::from(handover.give_back(&text)),
            }
        }
        Err(error) => panic!("{error}"),
    }
}

fn start(mut service: Example) -> ExitCode {
    let options = service.options.clone();
    let listener = match open(option(&options, "listen").unwrap_or("127.0.0.1:0")) {
        Ok(listener) => listener,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::from(error.exit_code());
        }
    };
    println!("bound {}", listener.local());
    if let Some(script) = option(&options, "stranger") {
        // A child that is none of the master's workers, as the first process of a container inherits them.
        #[expect(clippy::zombie_processes, reason = "the master must reap it")]
        Command::new("sh")
            .args(["-c", script])
            .spawn()
            .expect("spawn");
    }
    service.unix = matches!(listener.local(), listen::Local::Unix(_));
    let proven = service.read().expect("a sound configuration");
    let adopted = service.adopt(&proven).expect("adopted");
    let settings = adopted.settings;
    let start = Start {
        board: Scoreboard::create(settings.max_workers * 2, adopted.limit_concurrency)
            .expect("board"),
        settings,
        listener,
        proven,
        program: option(&options, "program").map(|path| Program {
            path: path.into(),
            arguments: std::env::args_os().collect(),
        }),
        control: option(&options, "control")
            .map(|path| ControlSocket::bind(path.as_ref()).expect("a control socket")),
    };
    ExitCode::from(run(start, service))
}

/// Does nothing any more, for good.
fn hang() -> ! {
    log::info!("hangs as told");
    loop {
        std::thread::park();
    }
}

fn option<'o>(options: &'o [String], key: &str) -> Option<&'o str> {
    let mut pairs = options.iter().filter_map(|option| option.split_once('='));
    pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The options are the configuration, and those in the file `config=PATH`, if there is one, come before them.
struct Example {
    options: Vec<String>,
    unix: bool,
    /// The adopted one.
    generation: Vec<String>,
}

impl Service for Example {
    fn work(&self, child: Child) -> i32 {
        let boot = option(&self.generation, "boot").unwrap_or("ok");
        let word = option(&self.generation, "word").unwrap_or_default();
        work(child, boot, word, self.unix)
    }

    fn read(&mut self) -> Result<Vec<u8>, String> {
        let text = match option(&self.options, "config") {
            Some(path) => configuration(path)?,
            None => String::new(),
        };
        match text.trim() {
            "hang" => hang(),
            "panic" => panic!("as told"),
            "wrong" => Err("the configuration is wrong".to_owned()),
            text => Ok(text.as_bytes().to_vec()),
        }
    }

    fn adopt(&mut self, bytes: &[u8]) -> Result<Adopted, String> {
        let text = String::from_utf8_lossy(bytes);
        self.generation = text.split_whitespace().map(str::to_owned).collect();
        self.generation.extend(self.options.iter().cloned());
        let settings = settings(&self.generation);
        settings.check().map_err(|error| error.to_string())?;
        Ok(Adopted {
            settings,
            limit_concurrency: 8,
            catalog: 0,
        })
    }

    fn ready(&mut self) {
        println!("ready");
    }
}

/// The file's text, as soon as it is another than `wait`.
fn configuration(path: &str) -> Result<String, String> {
    let mut told = false;
    loop {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        if text.trim() != "wait" {
            return Ok(text);
        }
        if !std::mem::replace(&mut told, true) {
            log::info!("waits as told");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn settings(options: &[String]) -> Settings {
    let number = |key: &str, default: usize| {
        option(options, key).map_or(default, |value| value.parse().expect("a number"))
    };
    let time = |key: &str, default: Duration| {
        option(options, key).map_or(default, |value| {
            Duration::from_millis(value.parse().expect("milliseconds"))
        })
    };
    let defaults = Settings::default().with_drain(time("drain", Duration::from_secs(15)));
    Settings {
        workers: number("workers", 2),
        max_workers: number("max", 4),
        name: "pool".to_owned(),
        boot_timeout: time("boot_timeout", defaults.boot_timeout),
        heartbeat_timeout: time("heartbeat", defaults.heartbeat_timeout),
        abort_after: time("abort", defaults.abort_after),
        kill_after: time("kill", defaults.kill_after),
        exit_after: time("exit", defaults.exit_after),
        quick_timeout: time("quick", defaults.quick_timeout),
        kill_grace: time("grace", defaults.kill_grace),
        tick: time("tick", defaults.tick),
        check_timeout: time("check_timeout", defaults.check_timeout),
        ..defaults
    }
}

fn open(place: &str) -> Result<Listener, tine_master::BindError> {
    let address = if place == "inherited" {
        Address::Inherited(listen::inherited()?.expect("LISTEN_FDS"))
    } else if let Some(path) = place.strip_prefix("unix:") {
        Address::Unix {
            path: PathBuf::from(path),
            mode: 0o600,
        }
    } else {
        let (host, port) = place.rsplit_once(':').expect("host:port");
        Address::Tcp {
            host: host.to_owned(),
            port: port.parse().expect("port"),
        }
    };
    bind(address, 511)
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// The next client, if one waits.
    fn accept(&self) -> Option<Box<dyn Stream>> {
        match self {
            Socket::Tcp(listener) => listener.accept().ok().map(|(stream, _)| {
                stream.set_nonblocking(false).expect("blocking");
                stream
                    .set_read_timeout(Some(Duration::from_secs(5)))
                    .expect("timeout");
                Box::new(stream) as Box<dyn Stream>
            }),
            Socket::Unix(listener) => listener.accept().ok().map(|(stream, _)| {
                stream.set_nonblocking(false).expect("blocking");
                stream
                    .set_read_timeout(Some(Duration::from_secs(5)))
                    .expect("timeout");
                Box::new(stream) as Box<dyn Stream>
            }),
        }
    }
}

trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

struct Worker {
    /// What the answer to `generation` ends with.
    word: String,
    child: Option<Channel>,
    board: &'static Scoreboard,
    slot: usize,
    deaf: bool,
}

/// A worker's life: boot as told, say Ready, then one turn of the loop at least every 50 ms.
fn work(child: Child, boot: &str, word: &str, unix: bool) -> i32 {
    let Child {
        slot,
        generation,
        listener,
        control,
        board,
        ..
    } = child;
    match boot.split_once(':').unwrap_or((boot, "")) {
        ("exit", code) => {
            let code = code.parse().expect("a code");
            let fatal = code == exit::WORKER_FATAL;
            control.send(&ToMaster::BootFailed { fatal }).expect("send");
            return code;
        }
        ("hang", _) => hang(),
        ("panic", _) => panic!("as told"),
        _ => {}
    }
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTERM);
    stop.add(Signal::SIGQUIT);
    let signals = SignalFd::with_flags(&stop, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .expect("signals");
    let socket = socket(listener, unix);
    let mut worker = Worker {
        word: format!("{generation} {word}"),
        child: Some(control),
        board,
        slot,
        deaf: false,
    };
    let hot = &board.slot(slot).hot;
    hot.set_phase(Phase::Serving);
    hot.set_armed(true);
    hot.beat(monotonic_ns());
    worker.say(&ToMaster::Ready);
    loop {
        hot.beat(monotonic_ns());
        worker.wait(&socket, &signals);
        let told = match worker.child.as_ref().map(Channel::recv::<ToWorker>) {
            Some(Ok(
                Received::Message(ToWorker::Drain { .. } | ToWorker::Quick) | Received::Closed,
            )) => true,
            _ => matches!(signals.read_signal(), Ok(Some(_))),
        };
        if told && !worker.deaf {
            hot.set_phase(Phase::Draining);
            while let Some(mut stream) = socket.accept() {
                worker.serve(stream.as_mut());
            }
            drop(socket);
            worker.say(&ToMaster::Draining);
            return exit::WORKER_DONE;
        }
        if let Some(mut stream) = socket.accept()
            && let Some(code) = worker.serve(stream.as_mut())
        {
            return code;
        }
    }
}

fn socket(listener: OwnedFd, unix: bool) -> Socket {
    if unix {
        Socket::Unix(listener.into())
    } else {
        Socket::Tcp(listener.into())
    }
}

impl Worker {
    fn say(&self, message: &ToMaster) {
        if let Some(channel) = &self.child {
            // The master may be gone; then there is nobody to tell.
            let _ = channel.send(message);
        }
    }

    fn wait(&self, socket: &Socket, signals: &SignalFd) {
        let listener = match socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        };
        let mut watched = vec![PollFd::new(listener, PollFlags::POLLIN)];
        // A deaf worker would otherwise be woken for ever by what it does not read.
        if !self.deaf {
            watched.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
            watched.extend(
                self.child
                    .as_ref()
                    .map(|channel| PollFd::new(channel.as_fd(), PollFlags::POLLIN)),
            );
        }
        let _ = poll(&mut watched, PollTimeout::from(50u16));
    }

    /// Reads one command, answers, does it. Returns the exit code when the command ends the worker.
    fn serve(&mut self, stream: &mut dyn Stream) -> Option<i32> {
        let counters = &self.board.slot(self.slot).counters;
        counters.accepted.add(1);
        let mut line = String::new();
        BufReader::new(&mut *stream).read_line(&mut line).ok()?;
        // Counted before the answer, so that who has it finds it counted.
        counters.served.add(1);
        let mut answer = format!("{} {}", std::process::id(), self.slot);
        if line.trim() == "environment" {
            std::env::vars_os().for_each(|(name, _)| answer += &format!(" {}", name.display()));
        }
        if line.trim() == "generation" {
            answer += &format!(" {}", self.word);
        }
        stream.write_all(answer.as_bytes()).ok()?;
        stream.flush().ok()?;
        self.obey(line.trim())
    }

    fn obey(&mut self, command: &str) -> Option<i32> {
        match command.split_once(' ').unwrap_or((command, "")) {
            ("exit", code) => return code.parse().ok(),
            ("panic", _) => panic!("as told"),
            // The loop no longer turns.
            ("hang", _) => hang(),
            // Turns, but hears neither messages nor signals.
            ("deafen", _) => self.deaf = true,
            // And does not die of SIGABRT either.
            ("entrench", _) => {
                self.deaf = true;
                let mut abort = SigSet::empty();
                abort.add(Signal::SIGABRT);
                abort.thread_block().expect("block");
            }
            ("hang_up", _) => self.child = None,
            ("recycle", _) => self.say(&ToMaster::Recycle {
                reason: RecycleReason::Requests,
            }),
            _ => {}
        }
        None
    }
}
