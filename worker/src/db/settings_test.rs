//! Tables over connection strings.

use std::path::PathBuf;

use super::*;

fn parse(url: &str) -> Result<Settings, SettingsError> {
    Settings::parse("main", url, &Options::default(), &Files::disk())
}

#[test]
fn both_forms_mean_the_same() {
    let url = parse(
        "postgresql://bot:s%40crt@db.example:6432/tickets?application_name=x&sslmode=disable",
    )
    .unwrap();
    let pairs =
        parse("host=db.example port=6432 user=bot password='s@crt' sslmode = disable dbname=tickets application_name=x")
            .unwrap();
    for settings in [url, pairs] {
        assert_eq!(settings.login.user, "bot");
        assert_eq!(settings.login.password.as_deref(), Some(&b"s@crt"[..]));
        assert_eq!(settings.login.database, "tickets");
        assert_eq!(settings.login.application_name, "x");
        assert_eq!(
            settings.places,
            [Place::Name {
                host: "db.example".into(),
                port: 6432
            }]
        );
        assert!(settings.tls.is_none());
    }
}

#[test]
fn hosts_come_in_their_order_and_literals_need_no_lookup() {
    let settings = parse("postgresql://bot@db1:1,10.0.0.2:2,[::1]:3,%2Frun%2Fpg:4/x").unwrap();
    let tcp = |address: &str| {
        let address: std::net::SocketAddr = address.parse().unwrap();
        Place::Address(Target::at(address.ip(), address.port()))
    };
    let expected = [
        Place::Name {
            host: "db1".into(),
            port: 1,
        },
        tcp("10.0.0.2:2"),
        tcp("[::1]:3"),
        Place::Address(Target {
            address: Address::Unix("/run/pg/.s.PGSQL.4".into()),
            server_name: None,
        }),
    ];
    assert_eq!(settings.places, expected);
    assert!(settings.tls.is_some());
}

#[test]
fn defaults_are_libpqs() {
    let settings = parse("user=bot").unwrap();
    let socket = PathBuf::from("/var/run/postgresql/.s.PGSQL.5432");
    assert_eq!(
        settings.places,
        [Place::Address(Target {
            address: Address::Unix(socket),
            server_name: None
        })]
    );
    assert_eq!(settings.login.database, "bot");
    assert!(settings.tls.is_none(), "a Unix socket needs no TLS");
    let settings = parse("user=bot hostaddr=127.0.0.1 host=db.example").unwrap();
    let server_name = Some(server_name("db.example").unwrap());
    let address = Address::Tcp("127.0.0.1:5432".parse().unwrap());
    assert_eq!(
        settings.places,
        [Place::Address(Target {
            address,
            server_name
        })]
    );
}

#[test]
fn what_a_certificate_must_prove() {
    let table = [
        ("", Ok((SslMode::Prefer, Verify::Nothing))),
        ("sslmode=allow", Ok((SslMode::Prefer, Verify::Nothing))),
        ("sslmode=require", Ok((SslMode::Require, Verify::Nothing))),
        (
            "sslmode=require&sslrootcert=/x",
            Ok((SslMode::Require, Verify::Chain)),
        ),
        ("sslmode=verify-ca", Ok((SslMode::Require, Verify::Chain))),
        (
            "sslmode=verify-full",
            Ok((SslMode::Require, Verify::ChainAndName)),
        ),
        (
            "sslrootcert=system",
            Ok((SslMode::Require, Verify::ChainAndName)),
        ),
        (
            "sslmode=require&sslrootcert=system",
            Err("sslrootcert=system needs"),
        ),
        ("sslmode=nope", Err("sslmode is \"nope\"")),
    ];
    for (query, expected) in table {
        let mut config = Config::new();
        let parts = url::split(&format!("postgresql://h/?{query}")).unwrap();
        match (parts.apply_mode(&mut config), expected) {
            (Ok(verify), Ok(expected)) => {
                assert_eq!((config.get_ssl_mode(), verify), expected, "{query}")
            }
            (Err(message), Err(start)) => assert!(message.starts_with(start), "{query}: {message}"),
            (got, _) => panic!("{query}: {got:?}"),
        }
    }
}

#[test]
fn our_parameters_are_cut_out_of_the_string() {
    let table = [
        (
            "postgresql://h/d?sslmode=require&connect_timeout=3",
            "postgresql://h/d?connect_timeout=3",
        ),
        ("postgresql://h/d?sslrootcert=%2Fa%20b", "postgresql://h/d"),
        ("host=h sslrootcert='/a b' port=1", "host=h port=1 "),
    ];
    for (text, rest) in table {
        let parts = url::split(text).unwrap();
        assert_eq!(parts.rest, rest);
        assert!(
            parts.root_certificate.is_none() || parts.root_certificate.as_deref() == Some("/a b")
        );
    }
}

#[test]
fn faults_name_the_database_and_keep_the_password() {
    let table = [
        ("postgresql://bot:hunter2@h/d?nonsense=1", "nonsense"),
        ("host=a,b port=1,2,3 password=hunter2", "3 ports"),
        ("host=a,b hostaddr=10.0.0.1 password=hunter2", "1 hostaddr"),
        (
            "host=h sslmode=verify-full sslrootcert=/no/such/file password=hunter2",
            "/no/such/file",
        ),
        ("password=hunter2 word", "without `=`"),
    ];
    for (url, expected) in table {
        let message = parse(url).unwrap_err().to_string();
        assert!(
            message.starts_with("database main: ") && message.contains(expected),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
    let options = Options {
        connections: 0,
        ..Options::default()
    };
    assert!(Settings::parse("main", "user=x", &options, &Files::disk()).is_err());
    assert!(!format!("{:?}", parse("user=bot password=hunter2").unwrap()).contains("hunter2"));
}
