//! The example bots against the real server: a good answer, and each way to fail, of which the person who asked must hear.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::harness::database::{Database, own_cluster};
use crate::harness::fake::{Act, Fake, Topic};
use crate::harness::installed;
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

const LONG: &str = r#"/*+++
description = "A long text."
shape = "content"
[params.length]
type = "integer"
description = "Characters."
+++*/
SELECT json_build_array(json_build_object('type', 'text', 'text', repeat('ü'::text, :length::int)))
"#;

const EMPTY: &str = r#"/*+++
description = "Says nothing."
shape = "content"
+++*/
SELECT '[]'::json
"#;

#[derive(Debug, Clone, Copy)]
enum Bot {
    Http,
    Mcp,
}

const BOTS: [Bot; 2] = [Bot::Http, Bot::Mcp];

impl Bot {
    fn command(self, url: &str) -> Command {
        let script = |name| format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let (python, script) = match self {
            Bot::Http => ("/usr/bin/python3".into(), script("bot_http.py")),
            Bot::Mcp => (
                installed::folder("mcp2").join("bin/python"),
                script("bot_mcp.py"),
            ),
        };
        let mut command = Command::new("timeout");
        command.arg("90").arg(python).arg(script).arg(url);
        command
            .env("PYTHONIOENCODING", "utf-8")
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("TINE_TOKEN")
            .env_remove("BOT_TIMEOUT")
            .stdin(Stdio::null());
        command
    }

    /// What the person reads, and whether the bot was content. Nothing may go to anybody else.
    fn says(self, command: &mut Command) -> (String, bool) {
        let output = command.output().expect("the bot runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(errors, "", "{self:?}");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!said.trim().is_empty(), "{self:?} is silent");
        (said, output.status.success())
    }

    #[track_caller]
    fn answers(self, url: &str, words: &[&str], part: &str) {
        let (said, good) = self.says(self.command(url).args(words));
        assert!(good && said.contains(part), "{self:?}: {said}");
        assert!(!said.contains('⚠'), "{self:?}: {said}");
    }

    #[track_caller]
    fn complains(self, command: &mut Command, part: &str) {
        let (said, good) = self.says(command);
        assert!(!good, "{self:?}: {said}");
        assert!(
            said.starts_with('⚠') && said.contains(part),
            "{self:?}: {part} in {said}"
        );
    }
}

fn url(server: &Server) -> String {
    format!("http://{}/mcp", server.address())
}

#[test]
fn good_answers() {
    let database = Database::fresh();
    let server = Setup::new(&database)
        .workers(1)
        .tool("long", LONG)
        .tool("empty", EMPTY)
        .start();
    let url = url(&server);
    for bot in BOTS {
        bot.answers(&url, &["echo", "words=grüße"], "grüße");
        bot.answers(&url, &["empty"], "(nothing)");
        let (said, good) = bot.says(bot.command(&url).args(["long", "length=9999"]));
        assert!(good && said == format!("{}\n", "ü".repeat(9999)), "{bot:?}");
        let (said, good) = bot.says(bot.command(&url).args(["long", "length=25000"]));
        assert!(
            good && said.ends_with("(cut: 25000 characters in all)\n"),
            "{bot:?}"
        );
        assert_eq!(said.trim_end().chars().count(), 10_000, "{bot:?}");
    }
}

#[test]
fn a_conversation_goes_on_after_a_failure() {
    let database = Database::fresh();
    let server = Setup::new(&database).workers(1).start();
    for bot in BOTS {
        let command = bot.command(&url(&server));
        let mut whole = Command::new("sh");
        whole.args(["-c", "printf '%s\\n' 'echo words=\"two words\"' '' 'echo' 'echo words=\"open' | \"$0\" \"$@\""]);
        whole.arg(command.get_program()).args(command.get_args());
        whole
            .env("PYTHONIOENCODING", "utf-8")
            .env("NO_PROXY", "127.0.0.1");
        whole.env_remove("TINE_TOKEN").env_remove("BOT_TIMEOUT");
        let (said, _) = bot.says(&mut whole);
        let lines: Vec<&str> = said.lines().collect();
        let [first, second, third] = lines.as_slice() else {
            panic!("{bot:?}: {said}")
        };
        assert!(first.contains("two words"), "{bot:?}: {said}");
        assert!(
            second.starts_with("⚠ echo failed: ") && second.contains("words"),
            "{said}"
        );
        assert!(
            third.starts_with("⚠ I don't understand that: "),
            "{bot:?}: {said}"
        );
    }
}

#[test]
fn a_wrong_call_is_explained() {
    let database = Database::fresh();
    let server = Setup::new(&database).workers(1).start();
    let url = url(&server);
    for bot in BOTS {
        bot.complains(bot.command(&url).arg("echo"), "echo failed: ");
        bot.complains(bot.command(&url).arg("ecco"), "The server refused ecco: ");
        let elsewhere = url.replace("/mcp", "/other");
        bot.complains(
            bot.command(&elsewhere).args(["echo", "words=x"]),
            "has nothing at this address (status 404)",
        );
    }
}

const FALLS: &str = r#"/*+++
description = "Fails with words of its own."
+++*/
SELECT falls() AS never
"#;

const FUNCTION: &str = "CREATE FUNCTION falls() RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the größte ticket is closed'; END $$";

#[test]
fn a_tool_that_fails() {
    let database = Database::with(FUNCTION);
    let server = Setup::new(&database)
        .workers(1)
        .option("timeout_statement = \"1s\"")
        .tool("falls", FALLS)
        .start();
    let _gate = database.close_gate();
    for bot in BOTS {
        bot.complains(
            bot.command(&url(&server)).arg("falls"),
            "falls failed: the größte ticket is closed",
        );
        // The statement's own deadline, which is the server's affair.
        bot.complains(bot.command(&url(&server)).arg("gate"), "gate failed: ");
    }
}

#[test]
fn an_answer_that_takes_too_long_for_the_bot_or_never_comes() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database).workers(1).option(PATIENT).start();
    for bot in BOTS {
        let mut command = bot.command(&url(&server));
        bot.complains(
            command.arg("gate").env("BOT_TIMEOUT", "3"),
            "No answer within 3 s. It may be done all the same",
        );
    }
    for (bot, number) in BOTS.into_iter().zip(1..) {
        let mut command = bot.command(&url(&server));
        let waits = command.arg("gate").stdout(Stdio::piped()).spawn();
        let waits = waits.expect("the bot runs");
        wait::until("the call waits", || {
            server.health()["inflight"] == 1 && gate.waiting() >= 1
        });
        let worker = server.worker_pids()[0];
        kill_pid(worker, Signal::SIGKILL);
        let output = waits.wait_with_output().expect("its end");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(said.starts_with('⚠') && !output.status.success(), "{said}");
        wait::until("its end is counted", || {
            server.health()["crashes"] == number
        });
        server.until_all_serve();
    }
}

#[test]
fn the_plain_bot_is_short_enough_to_copy() {
    let text = include_str!("../examples/bot_http.py");
    assert!(text.lines().count() <= 60);
    assert!(text.lines().all(|line| line.len() <= 140));
}

#[test]
fn a_server_that_is_down() {
    for bot in BOTS {
        let url = "http://127.0.0.1:1/mcp";
        bot.complains(
            bot.command(url).args(["echo", "words=x"]),
            "The server can't be reached",
        );
    }
}

#[test]
fn a_database_that_is_down() {
    let cluster = own_cluster();
    let database = Database::fresh_in(&cluster);
    let server = Setup::new(&database).workers(1).start();
    for bot in BOTS {
        bot.answers(&url(&server), &["echo", "words=here"], "here");
    }
    drop(cluster);
    for bot in BOTS {
        let mut command = bot.command(&url(&server));
        bot.complains(command.args(["echo", "words=x"]), "echo failed: ");
    }
}

#[test]
fn a_full_pool() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("timeout_queue = \"20ms\"\nlimit_concurrency = 1")
        .start();
    let mut holder = Bot::Http.command(&url(&server));
    let holder = holder.arg("gate").stdout(Stdio::null()).spawn();
    let mut holder = holder.expect("the bot runs");
    gate.until_waiting(1);
    for bot in BOTS {
        let mut command = bot.command(&url(&server));
        bot.complains(
            command.args(["echo", "words=x"]),
            "The server is full, try again in 1 s (status 503)",
        );
    }
    gate.open();
    assert!(holder.wait().expect("its end").success());
}

#[test]
fn a_token_that_is_missing_or_wrong() {
    let database = Database::fresh();
    let setup = Setup::new(&database).workers(1);
    let server = setup.variable("TINE_TOKEN", "open-sesame").start();
    for bot in BOTS {
        let echo = || {
            let mut command = bot.command(&url(&server));
            command.args(["echo", "words=here"]);
            command
        };
        bot.complains(&mut echo(), "wants another token (status 401)");
        bot.complains(
            echo().env("TINE_TOKEN", "shut"),
            "wants another token (status 401)",
        );
        let (said, good) = bot.says(echo().env("TINE_TOKEN", "open-sesame"));
        assert!(good && said.contains("here"), "{said}");
    }
}

#[test]
fn a_server_that_says_nothing_or_nonsense() {
    for bot in BOTS {
        for act in [Act::Silence, Act::TrickleHead] {
            let server = Fake::new(move |_| act.clone());
            let mut command = bot.command(&server.url());
            command.args(["echo", "words=x"]).env("BOT_TIMEOUT", "2");
            bot.complains(&mut command, "No answer within 2 s");
        }
        for act in [
            Act::Close,
            Act::Answer(200, "", "<html>".into()),
            Act::Answer(200, "", "[]".into()),
            Act::Answer(500, "", "broken".into()),
        ] {
            let server = Fake::new(move |topic| match topic {
                Topic::Call | Topic::Greeting => act.clone(),
                _ => Act::Well,
            });
            let mut command = bot.command(&server.url());
            command.args(["echo", "words=x"]).env("BOT_TIMEOUT", "2");
            // Which of the two the official client makes of nonsense is its affair.
            bot.complains(&mut command, "");
        }
    }
}
