//! The command line as a shell sees it: output, error texts and exit codes of the real program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tine::config::value::Value;
use tine::options::{OPTIONS, Opt};

/// A folder that is removed with its files; commands run in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tine-cli-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, &[])
    }

    fn run_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_tine"))
            .args(words)
            .current_dir(&self.0)
            .env_remove("TINE_TOKEN")
            .env_remove("TINE_CONFIG")
            .envs(environment.iter().copied())
            .output()
            .expect("tine runs");
        Ran::new(&output)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn new(output: &Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
            err: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
        }
    }

    /// Asserts the exit code and that standard error holds every part.
    #[track_caller]
    fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part} in: {}", self.err);
        }
    }

    #[track_caller]
    fn succeeds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }
}

#[test]
fn help_and_version() {
    let folder = Folder::new("help");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        folder.run(&["version"]).succeeds(),
        format!("tine {version}\n")
    );
    assert_eq!(
        folder.run(&["--version"]).succeeds(),
        format!("tine {version}\n")
    );
    let json: serde_json::Value =
        serde_json::from_str(folder.run(&["version", "--json"]).succeeds()).expect("JSON");
    assert_eq!(json["version"], version);
    let help = folder.run(&["serve", "--help"]);
    for option in OPTIONS {
        assert!(
            help.succeeds().contains(&format!("--{}", option.flag())),
            "{}",
            option.key
        );
    }
    assert!(!help.out.contains('\u{1b}'), "no colours in a pipe");
    assert!(
        folder
            .run(&["call", "--help"])
            .succeeds()
            .contains("Exit status:")
    );
}

#[test]
fn a_wrong_command_line_is_64() {
    let folder = Folder::new("usage");
    folder.run(&[]).fails(64, &["Usage: tine"]);
    folder
        .run(&["serv"])
        .fails(64, &["unrecognized subcommand", "serve"]);
    folder
        .run(&["serve", "--wokers", "3"])
        .fails(64, &["--workers"]);
    folder.run(&["serve", "--workers", "0"]).fails(
        64,
        &["--workers: expected a whole number from 1 to 64, found 0"],
    );
    folder
        .run(&["call", "tool", "word", "--url", "http://127.0.0.1:9/"])
        .fails(64, &["word: expected KEY=VALUE"]);
    folder
        .run(&["token", "a b"])
        .fails(64, &["a name has letters"]);
}

#[test]
fn a_wrong_configuration_is_78_and_shown_with_a_caret() {
    let folder = Folder::new("config");
    folder.write("tine.toml", "port = 9\nworker = 3\n");
    folder.run(&["serve"]).fails(
        78,
        &[
            "unknown key `worker`",
            "tine.toml:2:1",
            "^^^^^^",
            "did you mean `workers`?",
        ],
    );
    folder
        .run(&["serve", "--config", "none.toml"])
        .fails(78, &["can't read none.toml"]);
    folder
        .run_with(&["serve", "--config", "/dev/null"], &[("TINE_PORT", "x")])
        .fails(78, &["TINE_PORT (environment)"]);
}

#[test]
fn a_toolset_that_does_not_exist_is_78() {
    let folder = Folder::new("toolset");
    folder.write(
        "tickets/tools.toml",
        "kind = \"builtin\"\nbuiltin = \"tool_list\"\ndescription = \"All tools.\"\n",
    );
    folder.write(
        "tokens.toml",
        &format!(
            "[tokens.bot]\nsha256 = \"{}\"\ntoolset = \"ticket\"\n",
            "0".repeat(64)
        ),
    );
    folder.write(
        "tine.toml",
        "toolsets = [\"tickets\"]\ntokens_file = \"tokens.toml\"\ndefault_toolset = \"other\"\n",
    );
    let wrong = [
        "default_toolset names the toolset `other`, which doesn't exist",
        "there are: tickets",
        "the token bot names the toolset `ticket`",
        "did you mean `tickets`?",
    ];
    folder.run(&["serve"]).fails(78, &wrong);
    let check = folder.run(&["check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    for part in wrong {
        assert!(check.out.contains(part), "{part} in: {}", check.out);
    }
}

#[test]
fn print_config_names_every_source_and_no_secret() {
    let folder = Folder::new("print");
    folder.write(
        "tine.toml",
        "workers = 3\n[databases.main]\nurl = \"postgres://bot:hunter2@db/app\"\n",
    );
    let environment = [
        ("TINE_PORT", "9"),
        ("TINE_TOKEN", "hunter3"),
        ("TINE_WORKER", "1"),
    ];
    let ran = folder.run_with(&["serve", "--print-config", "--backlog", "7"], &environment);
    let shown = ran
        .succeeds()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        "workers = 3 # tine.toml:1",
        "port = 9 # environment TINE_PORT",
        "backlog = 7 # flag --backlog",
        "host = 127.0.0.1 # default",
        "bot@db:5432/app",
        "# token environment",
    ] {
        assert!(shown.contains(part), "{part} in: {shown}");
    }
    assert!(!ran.out.contains("hunter"), "{}", ran.out);
    assert!(
        ran.err.contains("did you mean TINE_WORKERS?"),
        "{}",
        ran.err
    );
}

#[test]
fn a_made_token_is_accepted_by_the_file_it_was_written_to() {
    let folder = Folder::new("token");
    let ran = folder.run(&[
        "token",
        "panda-bot",
        "--toolset",
        "swf",
        "--user",
        "say \"hi\"",
    ]);
    let token = ran
        .err
        .rsplit(' ')
        .next()
        .expect("a token")
        .trim()
        .to_owned();
    assert!(
        !ran.succeeds().contains(&token),
        "the file never holds the token itself"
    );
    folder.write("tokens.toml", &ran.out);
    let shown = folder.run(&["serve", "--print-config", "--tokens-file", "tokens.toml"]);
    assert!(
        shown
            .succeeds()
            .contains("# token panda-bot, toolset swf, user say \"hi\""),
        "{}",
        shown.out
    );

    let json: serde_json::Value =
        serde_json::from_str(folder.run(&["token", "ci", "--json"]).succeeds()).expect("JSON");
    let token = json["token"].as_str().expect("a token");
    assert_eq!(
        json["sha256"],
        tine::config::token::hex(&tine::config::token::hash(token))
    );
}

#[test]
fn completion_scripts_are_scripts() {
    let folder = Folder::new("completion");
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef tine"),
        ("fish", "complete -c tine"),
    ] {
        let script = folder.run(&["completion", shell]);
        assert!(script.succeeds().contains(part), "{shell}");
    }
    folder.write("script", &folder.run(&["completion", "bash"]).out);
    let checked = Command::new("bash")
        .args(["-n", "script"])
        .current_dir(&folder.0)
        .output()
        .expect("bash");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn nobody_at_the_url_is_2() {
    let folder = Folder::new("unreachable");
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    folder
        .run(&["tools", "--url", &url])
        .fails(2, &["can't reach", &url]);
    folder
        .run(&["call", "x", "--url", &url])
        .fails(2, &["can't reach"]);
    folder
        .run(&["tools", "--url", "elsewhere"])
        .fails(64, &["expected a URL"]);
    folder
        .run(&["tools", "--running", "--config", "/dev/null", "--uds", "x"])
        .fails(64, &["--uds"]);
    folder.write("tine.toml", "port = 0\n");
    folder
        .run(&["tools", "--running"])
        .fails(78, &["give it with --url URL"]);
    folder.write("tine.toml", "uds = \"socket\"\n");
    folder
        .run(&["tools", "--running"])
        .fails(2, &["can't reach unix:", "socket|http://localhost/mcp"]);
}

/// One table for each section, as the manual shows it.
fn options_table() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut text = String::new();
    let mut section = None;
    for option in OPTIONS {
        if section != Some(option.section) {
            section = Some(option.section);
            text.push_str(&format!(
                "\n### {}\n\n| key in `tine.toml` | flag | type | default | what it does |\n|---|---|---|---|---|\n",
                option.section.title()
            ));
        }
        text.push_str(&format!(
            "| `{}` | `--{}` | {} | {} | {} |\n",
            option.key,
            option.flag(),
            cell(&option.kind.describe()),
            cell(&shown_default(option)),
            cell(option.help)
        ));
    }
    text
}

fn shown_default(option: &Opt) -> String {
    match option.default_value() {
        Value::None => String::new(),
        Value::Texts(texts) if texts.is_empty() => String::new(),
        Value::Paths(paths) if paths.is_empty() => String::new(),
        _ if option.key == "server_version" => "Tine's own".to_owned(),
        value => format!("`{value}`"),
    }
}

/// `UPDATE_DOCS=1 cargo test manual` writes the table instead of comparing it.
#[test]
fn the_manual_has_the_table_of_options() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operator.md");
    let manual = fs::read_to_string(&path).expect("docs/operator.md");
    let (start, end) = ("<!-- options -->\n", "\n<!-- end of options -->");
    let (before, rest) = manual.split_once(start).expect("a place for the table");
    let (table, after) = rest.split_once(end).expect("an end of the table");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(
            &path,
            format!("{before}{start}{}{end}{after}", options_table()),
        )
        .expect("docs/operator.md");
    } else {
        assert!(
            table == options_table(),
            "run `UPDATE_DOCS=1 cargo test manual`"
        );
    }
}

#[test]
fn the_example_configuration_is_complete_and_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Folder::new("example");
    let example = root.join("tine.toml");
    let ran = folder.run(&[
        "serve",
        "--print-config",
        "--config",
        example.to_str().expect("UTF-8"),
    ]);
    ran.succeeds();
    assert_eq!(ran.err, "");
}
