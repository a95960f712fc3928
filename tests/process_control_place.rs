//! Where a server's control socket is, and who may use it: other users, other servers, and what dead ones leave.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;

use crate::harness::control::{self, Ran, tine};
use crate::harness::http;
use crate::harness::server::Server;
use crate::harness::setup::Setup;

/// More than the whole of a stop takes on a busy machine.
const GONE: Duration = Duration::from_secs(25);

fn status(server: &Server) -> Value {
    let shown = tine(server, &["status", "--json"]);
    serde_json::from_str(shown.succeeds()).expect("JSON")
}

/// A command as user 65534, whom no test server runs as.
fn as_nobody(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Only root can become somebody else, and the program must be where everybody may run it.
fn nobody_can_run_tine(test: &str) -> bool {
    if !geteuid().is_root() {
        eprintln!("{test}: skipped, because only root can run a command as another user");
        return false;
    }
    let ran = as_nobody(env!("CARGO_BIN_EXE_tine"))
        .arg("version")
        .output();
    let can = ran.is_ok_and(|ran| ran.status.success());
    if !can {
        eprintln!(
            "{test}: skipped, because other users may not run {}",
            env!("CARGO_BIN_EXE_tine")
        );
    }
    can
}

#[test]
fn another_user_is_refused_by_the_file_and_by_the_master() {
    if !nobody_can_run_tine("another_user_is_refused_by_the_file_and_by_the_master") {
        return;
    }
    let server = Setup::bare().workers(1).start();
    let path = server.path("control");
    let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let stop = || {
        let mut command = as_nobody(env!("CARGO_BIN_EXE_tine"));
        let output = command.args(["stop", "--control"]).arg(&path).output();
        Ran::new(&output.expect("setpriv runs"))
    };
    stop().fails(2, &["another user", path.to_str().expect("UTF-8")]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("chmod");
    stop().fails(1, &["only root and the user"]);
    assert_eq!(status(&server)["stopping"], false);
}

#[test]
fn two_servers_on_one_path() {
    let first = Setup::bare().workers(1).start();
    let path = first.path("control");
    let path = path.to_str().expect("UTF-8");
    let mut second = Setup::bare().arguments(&["--control", path]).launch();
    assert_eq!(second.wait().code(), Some(69));
    let log = second.log();
    assert!(
        log.contains(path) && log.contains("a server is listening there"),
        "{log}"
    );
    assert_eq!(status(&first)["pid"], first.pid());

    // A place that nobody named is no reason not to serve.
    let setup = Setup::bare().workers(1).variable("TINE_CONTROL", "");
    let third = setup
        .variable("RUNTIME_DIRECTORY", first.path("").to_str().expect("UTF-8"))
        .start();
    assert!(third.log().contains("no control socket"), "{}", third.log());
    assert_eq!(status(&first)["pid"], first.pid());
}

#[test]
fn what_a_killed_server_left_is_replaced() {
    let setup = Setup::bare().workers(1);
    let shared = setup.path("shared");
    let path = shared.to_str().expect("UTF-8").to_owned();
    let mut first = setup.arguments(&["--control", &path]).start();
    first.signal(Signal::SIGKILL);
    first.wait();
    first.assert_all_gone(GONE);
    control::run(&["status", "--control", &path]).fails(2, &["no server answers"]);
    assert!(shared.exists());
    let second = Setup::bare()
        .workers(1)
        .arguments(&["--control", &path])
        .start();
    let shown = control::run(&["status", "--json", "--control", &path]);
    let shown: Value = serde_json::from_str(shown.succeeds()).expect("JSON");
    assert_eq!(shown["pid"], second.pid());
}

#[test]
fn the_service_managers_folder_is_the_first_place() {
    let setup = Setup::bare().workers(1).variable("TINE_CONTROL", "");
    let folder = setup.path("runtime");
    let runtime = folder.to_str().expect("UTF-8").to_owned();
    let mut server = setup.variable("RUNTIME_DIRECTORY", &runtime).start();
    assert_eq!(fs::metadata(&folder).expect("made").mode() & 0o777, 0o700);
    let mut command = control::command(&["stop"]);
    let stopped = command.env("RUNTIME_DIRECTORY", &runtime).output();
    Ran::new(&stopped.expect("tine runs")).succeeds();
    assert_eq!(server.wait().code(), Some(0));
    assert!(!folder.join("control").exists());
}

/// The folder of one user's session, and that user: whoever runs the tests, or user 65534, since root's place is the machine's.
struct Session(String);

impl Session {
    /// In the folder of this server.
    fn new(setup: &Setup) -> Session {
        let folder = setup.path("session");
        fs::create_dir(&folder).expect("a folder");
        if geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).expect("chown");
        }
        Session(folder.to_str().expect("UTF-8").to_owned())
    }

    fn can_be_had(test: &str) -> bool {
        !geteuid().is_root() || nobody_can_run_tine(test)
    }

    fn serves(&self, setup: Setup) -> Setup {
        let setup = setup
            .workers(1)
            .variable("TINE_CONTROL", "")
            .variable("XDG_RUNTIME_DIR", &self.0);
        match geteuid().is_root() {
            true => setup.behind_shell(
                "exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$0\" \"$@\";",
            ),
            false => setup,
        }
    }

    /// Where a server finds its place by the name of `tine.toml`.
    fn control(&self) -> PathBuf {
        PathBuf::from(&self.0).join("tine/tine/control")
    }

    /// An order that names no socket, only the configuration of the server that is meant.
    fn tine(&self, word: &str, meant: &Server) -> Ran {
        let mut command = match geteuid().is_root() {
            true => as_nobody(env!("CARGO_BIN_EXE_tine")),
            false => Command::new(env!("CARGO_BIN_EXE_tine")),
        };
        let output = command
            .args([word, "--config"])
            .arg(meant.path("tine.toml"))
            .env_remove("TINE_CONTROL")
            .env_remove("RUNTIME_DIRECTORY")
            .env("XDG_RUNTIME_DIR", &self.0)
            .output();
        Ran::new(&output.expect("tine runs"))
    }
}

/// A server and a command of the same user meet at the place that its session gives them, with nothing but the file's name.
#[test]
fn the_sessions_folder_is_the_place_of_other_users() {
    if !Session::can_be_had("the_sessions_folder_is_the_place_of_other_users") {
        return;
    }
    let setup = Setup::bare();
    let session = Session::new(&setup);
    let mut server = session.serves(setup).start();
    assert!(session.control().exists(), "{}", server.log());
    session.tine("stop", &server).succeeds();
    assert_eq!(server.wait().code(), Some(0));
    assert!(!session.control().exists());
}

/// Their files have the same name, so the place is the same: the first one has it, and obeys nobody who means the second.
#[test]
fn an_order_that_means_another_server_is_refused() {
    if !Session::can_be_had("an_order_that_means_another_server_is_refused") {
        return;
    }
    let setup = Setup::bare();
    let session = Session::new(&setup);
    let mut first = session.serves(setup).start();
    let second = session.serves(Setup::bare()).start();
    let named = |server: &Server| server.path("tine.toml").to_str().expect("UTF-8").to_owned();
    for word in ["stop", "reload", "upgrade", "status"] {
        let refused = session.tine(word, &second);
        refused.fails(1, &[&named(&first), &named(&second), "--control"]);
    }
    for server in [&first, &second] {
        assert_eq!(http::get(server.address(), "/health").status, 200);
        assert!(
            !server.log().contains("order from process"),
            "{}",
            server.log()
        );
    }
    session.tine("reload", &first).succeeds();
    session.tine("stop", &first).succeeds();
    assert_eq!(first.wait().code(), Some(0));
}

#[test]
fn a_broken_configuration_does_not_hide_the_server() {
    let setup = Setup::bare().workers(1).option("control = \"elsewhere\"");
    let config = setup.path("tine.toml");
    let server = setup.variable("TINE_CONTROL", "").start();
    let broken = "workers = many\ncontrol = \"elsewhere\"\nno_such_key = 1\n[databases\n";
    fs::write(&config, broken).expect("write");
    let config = config.to_str().expect("UTF-8");
    control::run(&["serve", "--print-config", "--config", config]).fails(78, &["many"]);
    let shown = control::run(&["status", "--json", "--config", config]);
    let shown: Value = serde_json::from_str(shown.succeeds()).expect("JSON");
    assert_eq!(shown["pid"], server.pid());
    assert_eq!(http::get(server.address(), "/health").status, 200);
}
