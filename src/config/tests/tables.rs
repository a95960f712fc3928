//! Databases, free settings and tokens.

use super::*;
use crate::config::database::Pooler;
use crate::config::token::{hash, hex};

#[test]
fn secrets_come_from_the_credentials_of_the_service() {
    let (folder, secrets) = (Folder::new("with-credentials"), Folder::new("credentials"));
    secrets.write("url", "postgres://bot:hunter2@swf/swf\n");
    secrets.write(
        "tokens",
        &format!("[tokens.bot]\nsha256 = \"{}\"\n", hex(&hash("t"))),
    );
    let file = folder.write(
        "tine.toml",
        "tokens_file = \"credential:tokens\"\n[databases.swf]\nurl_file = \"credential:url\"\ntls_ca = \"credential:ca\"\n",
    );
    let load = |directory: &str| {
        let inputs = Inputs {
            file: Some(file.clone()),
            environment: environment(&[("CREDENTIALS_DIRECTORY", directory)]),
            ..Inputs::default()
        };
        Settings::load(&inputs, &Files::disk())
    };
    let settings = load(&secrets.0.display().to_string()).unwrap();
    let [swf] = settings.databases.as_slice() else {
        panic!("{:?}", settings.databases)
    };
    let url = swf.url.as_ref().unwrap().reveal();
    assert_eq!(url, "postgres://bot:hunter2@swf/swf");
    assert_eq!(swf.tls_ca, Some(secrets.0.join("ca")));
    assert_eq!(settings.tokens.len(), 1);

    let fault = load("").map(|_| ()).unwrap_err().to_string();
    assert!(fault.contains("LoadCredential=tokens"), "{fault}");
    assert!(fault.contains("tine.toml:1:15"), "{fault}");
}

#[test]
fn databases() {
    let folder = Folder::new("databases");
    folder.write("panda.url", "postgres://bot:hunter2@panda/doma\n");
    let file = folder.write(
        "tine.toml",
        "db_connections = 2\nhealth_databases = [\"swf\"]\n[databases.panda]\nurl_file = \"panda.url\"\npooler = \"transaction\"\n\
         connections = 8\n[databases.swf]\nurl_env = \"SWF_URL\"\ntls_ca = \"ca.pem\"\ntime_zone = \"UTC\"\n\
         [databases.none]\nurl_env = \"TINE_NO_SUCH_URL\"\n",
    );
    let environment = environment(&[("SWF_URL", "postgres://bot:hunter3@swf:5433/swf")]);
    let settings = Settings::load(
        &Inputs {
            file: Some(file),
            environment,
            ..Inputs::default()
        },
        &Files::disk(),
    )
    .unwrap();
    let [panda, swf, none] = settings.databases.as_slice() else {
        panic!("{:?}", settings.databases)
    };
    assert_eq!(
        panda.url.as_ref().unwrap().reveal(),
        "postgres://bot:hunter2@panda/doma"
    );
    assert_eq!(
        (panda.connections, panda.pooler, &panda.time_zone),
        (8, Pooler::Transaction, &None)
    );
    assert_eq!(
        (swf.connections, swf.pooler, swf.time_zone.as_deref()),
        (2, Pooler::Session, Some("UTC"))
    );
    assert_eq!(swf.tls_ca, Some(folder.0.join("ca.pem")));
    assert_eq!(settings.health_databases(), ["swf"]);
    assert!(none.url.is_err());
    let missing = settings
        .require_databases()
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("TINE_NO_SUCH_URL") && missing.contains("tine.toml:12:11"),
        "{missing}"
    );

    let shown = format!("{}{:?}", settings.dump(), settings.databases);
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("bot@swf:5433/swf"), "{shown}");
}

#[test]
fn databases_need_exactly_one_url() {
    let none = faults("no-url", "[databases.swf]\nconnections = 1\n");
    assert!(none.contains("[databases.swf] has no URL"), "{none}");
    let two = faults(
        "two-urls",
        "[databases.swf]\nurl = \"a\"\nurl_env = \"B\"\n",
    );
    assert!(two.contains("has two URLs"), "{two}");
    let unknown = faults("health-db", "health_databases = \"swf\"\n");
    assert!(unknown.contains("there is no [databases.swf]"), "{unknown}");
}

/// What an existing service keeps in a file of variables.
#[test]
fn variables_of_a_file_and_of_the_environment() {
    let folder = Folder::new("env-file");
    folder.write(
        "service.env",
        "# as the service had it\nDB_HOST=db.example\nDB_PASSWORD='it\\s $hunter'\nexport MONITOR=\"http://m/\"\nTINE_PORT=8123\nTINE_WORKERS=2\n",
    );
    let file = folder.write(
        "tine.toml",
        "env_file = \"service.env\"\n\
         [databases.swf]\nhost = \"${DB_HOST:-localhost}\"\nport = \"${DB_PORT:-}\"\nuser = \"bot\"\npassword = \"${DB_PASSWORD}\"\n\
         dbname = \"${DB_NAME:-swf}\"\n[databases.panda]\nhost = \"p\"\nport = 5433\nuser = \"${NO_SUCH}\"\n\
         [settings]\nmonitor = \"${MONITOR:-http://localhost/}\"\nhome = \"${HOME_OF:-/data}$$\"\n",
    );
    let load = |pairs: &[(&str, &str)]| {
        let inputs = Inputs {
            file: Some(file.clone()),
            environment: environment(pairs),
            ..Inputs::default()
        };
        Settings::load(&inputs, &Files::disk())
    };
    let settings = load(&[("DB_NAME", "other"), ("TINE_WORKERS", "3")]).unwrap();
    let [panda, swf] = settings.databases.as_slice() else {
        panic!("{:?}", settings.databases)
    };
    let (panda, swf) = match panda.name.as_str() {
        "panda" => (panda, swf),
        _ => (swf, panda),
    };
    let url = swf.url.as_ref().unwrap();
    assert_eq!(url.masked_url(), "bot@db.example/other");
    let config: postgres::Config = url.reveal().parse().unwrap();
    assert_eq!(config.get_password(), Some("it\\s $hunter".as_bytes()));
    let missing = panda.url.as_ref().unwrap_err().render(false);
    assert!(
        missing.contains("the environment has no NO_SUCH"),
        "{missing}"
    );
    assert_eq!(settings.values["monitor"], "http://m/");
    assert_eq!(settings.values["home"], "/data$");
    assert_eq!((settings.port, settings.workers), (8123, 3));
    let shown = format!("{}{:?}", settings.dump(), settings.databases);
    assert!(!shown.contains("hunter"), "{shown}");

    folder.write("service.env", "DB_HOST=x\nDB_PASSWORD=hush it's\n");
    let fault = load(&[]).map(|_| ()).unwrap_err().to_string();
    assert!(
        fault.contains("service.env:2: ") && !fault.contains("hush"),
        "{fault}"
    );
    std::fs::remove_file(folder.0.join("service.env")).unwrap();
    let fault = load(&[]).map(|_| ()).unwrap_err().to_string();
    assert!(
        fault.contains("can't read") && fault.contains("service.env"),
        "{fault}"
    );
}

#[test]
fn a_url_or_its_parts() {
    let both = faults(
        "url-and-parts",
        "[databases.swf]\nurl = \"a\"\nhost = \"b\"\n",
    );
    assert!(both.contains("has two URLs"), "{both}");
    let number = faults("part-number", "[databases.swf]\nhost = 5\n");
    assert!(number.contains("expected text, found integer"), "{number}");
    let dollar = faults("setting-dollar", "[settings]\nx = \"a$b\"\n");
    assert!(
        dollar.contains("a lone dollar sign") && dollar.contains("$$"),
        "{dollar}"
    );
    let missing = faults("setting-missing", "[settings]\nx = \"${TINE_NO_SUCH}\"\n");
    assert!(
        missing.contains("the environment has no TINE_NO_SUCH"),
        "{missing}"
    );
}

#[test]
fn settings_are_free_and_never_shown() {
    let settings = load(
        "values",
        "[settings]\nhome = \"/data\"\nlimit = 5\nverbose = true\npassword = \"hunter2\"\n",
    )
    .unwrap();
    let values: Vec<(&str, &str)> = settings
        .values
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        values,
        [
            ("home", "/data"),
            ("limit", "5"),
            ("password", "hunter2"),
            ("verbose", "true")
        ]
    );
    assert!(!settings.dump().contains("hunter2"));
    assert!(
        faults("nested", "[settings]\nlist = [1]\n")
            .contains("expected a single value, found array")
    );
}

#[test]
fn a_token_under_another_name() {
    let folder = Folder::new("token-env");
    let file = folder.write("tine.toml", "token_env = \"OLD_TOKEN\"\n");
    let tokens = |variables: &[(&str, &str)]| {
        let inputs = Inputs {
            file: Some(file.clone()),
            environment: environment(variables),
            ..Inputs::default()
        };
        Settings::load(&inputs, &Files::disk()).unwrap().tokens
    };
    assert_eq!(tokens(&[("OLD_TOKEN", "old")])[0].sha256, hash("old"));
    let both = tokens(&[("OLD_TOKEN", "old"), ("TINE_TOKEN", "own")]);
    assert_eq!([both[0].sha256, both[1].sha256], [hash("own"), hash("old")]);
    assert!(tokens(&[("OLD_TOKEN", "")]).is_empty());
    assert!(tokens(&[]).is_empty());
}

#[test]
fn a_brokers_passcode() {
    let folder = Folder::new("passcode");
    folder.write("secret", "from a file\n");
    let read = |lines: &str| {
        let text = format!("[brokers.mq]\nurl = \"stomp://localhost:1\"\nlogin = \"l\"\n{lines}\n");
        let inputs = Inputs {
            file: Some(folder.write("tine.toml", &text)),
            environment: environment(&[("CODE", "a$b")]),
            ..Inputs::default()
        };
        Settings::load(&inputs, &Files::disk()).map(|settings| {
            let (login, passcode) = settings.brokers[0].login.clone().unwrap();
            assert_eq!(login, "l");
            passcode.reveal().to_owned()
        })
    };
    for (lines, expected) in [
        ("", ""),
        ("passcode = \"${CODE}\"", "a$b"),
        ("passcode = \"${NONE:-admin}\"", "admin"),
        ("passcode_env = \"CODE\"", "a$b"),
        ("passcode_file = \"secret\"", "from a file"),
    ] {
        assert_eq!(read(lines).unwrap(), expected, "{lines}");
    }
    for (lines, part) in [
        ("passcode_env = \"NONE\"", "the environment has no NONE"),
        ("passcode = \"${NONE}\"", "NONE"),
        (
            "passcode = \"x\"\npasscode_env = \"CODE\"",
            "keep one of passcode, passcode_env, passcode_file",
        ),
    ] {
        let fault = read(lines).unwrap_err().to_string();
        assert!(fault.contains(part), "{lines}: {fault}");
    }
}

#[test]
fn tokens() {
    let folder = Folder::new("tokens");
    folder.write(
        "tokens.toml",
        &format!(
            "[tokens.bot]\nsha256 = \"{}\"\ntoolset = \"swf\"\nuser = \"alice\"\n",
            hex(&hash("secret"))
        ),
    );
    let file = folder.write("tine.toml", "tokens_file = \"tokens.toml\"\n");
    let inputs = Inputs {
        file: Some(file),
        environment: environment(&[("TINE_TOKEN", "other")]),
        ..Inputs::default()
    };
    let settings = Settings::load(&inputs, &Files::disk()).unwrap();
    let [bot, other] = settings.tokens.as_slice() else {
        panic!("{:?}", settings.tokens)
    };
    assert_eq!(
        (bot.sha256, bot.toolset.as_deref(), bot.user.as_deref()),
        (hash("secret"), Some("swf"), Some("alice"))
    );
    assert_eq!(
        (other.name.as_str(), other.sha256),
        ("environment", hash("other"))
    );
    assert!(settings.list_is_private());
    assert!(settings.warnings.is_empty());

    folder.write(
        "tokens.toml",
        "[tokens.bot]\nsha256 = \"the-token-itself\"\ntolset = \"x\"\n[tokens.none]\n[token]\n",
    );
    let shown = Settings::load(&inputs, &Files::disk())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    for part in [
        "tokens.toml:2:1",
        "64 hexadecimal digits",
        "did you mean `toolset`?",
        "[tokens.none] has no sha256",
        "did you mean `tokens`?",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}
