//! Logins: passwords, TLS, several hosts.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tine::cluster::{Cluster, SUPERUSER};
use tine_worker::db::{DbError, Options, Settings};
use tine_worker::files::Files;

use super::db_harness::{Loop, admin, allow, cluster, eventually, job, shared, write_for_server};

/// A cluster with users for every method of authentication, and TLS for `localhost` on TCP.
struct Guarded {
    cluster: Cluster,
    /// The authority that signed the server's certificate, and one that did not.
    roots: PathBuf,
    other_roots: PathBuf,
    /// The server's certificate itself.
    server: PathBuf,
}

fn guarded() -> &'static Guarded {
    static GUARDED: OnceLock<Guarded> = OnceLock::new();
    GUARDED.get_or_init(|| {
        let cluster = cluster(&[]);
        let data = cluster.data_folder();
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            (certificate.pem(), Issuer::new(params, key))
        };
        let (authority_pem, issuer) = authority("Tine test authority");
        let (other_pem, _) = authority("Somebody else");
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_string()]).unwrap().signed_by(&key, &issuer).unwrap();
        let file = |name: &str, text: &str| {
            let path = data.join(name);
            write_for_server(&cluster, &path, text);
            path
        };
        let roots = file("authority.pem", &authority_pem);
        let other_roots = file("other.pem", &other_pem);
        let server = file("server.crt", &server.pem());
        file("server.key", &key.serialize_pem());
        let mut admin = admin(&cluster);
        for line in [
            "ALTER SYSTEM SET ssl = on",
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE scrammer LOGIN PASSWORD 'pä$$ w0rd'",
            "SET password_encryption = 'md5'; CREATE ROLE emdee LOGIN PASSWORD 'pä$$ w0rd'",
            "CREATE ROLE clear LOGIN PASSWORD 'pä$$ w0rd'; CREATE ROLE encrypted LOGIN; CREATE ROLE bare LOGIN",
            "CREATE ROLE nobody LOGIN",
        ] {
            // ALTER SYSTEM stands alone; the others are their own transactions too.
            admin.batch_execute(line).unwrap();
        }
        allow(
            &cluster,
            "host all scrammer all scram-sha-256\nlocal all scrammer scram-sha-256\n\
             host all emdee all md5\nlocal all emdee md5\nhost all clear all password\n\
             hostssl all encrypted all trust\nhostnossl all encrypted all reject\n\
             hostnossl all bare all trust\nhostssl all bare all reject\nhost all nobody all reject",
        );
        let url = cluster.tcp_url("postgres", "encrypted");
        eventually("the server has TLS", || Loop::new(&url, Options::default()).run(job("SELECT '1'")).is_ok());
        Guarded { cluster, roots, other_roots, server }
    })
}

const PASSWORD: &str = "p%C3%A4%24%24%20w0rd";

fn url(login: &str, query: &str) -> String {
    format!(
        "postgresql://{login}@127.0.0.1:{}/postgres?{query}",
        guarded().cluster.port()
    )
}

fn try_login(url: &str) -> Result<String, String> {
    let mut it = Loop::new(url, Options::default());
    let sql = "SELECT concat_ws(' ', current_user, ssl, version) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    match it.run(job(sql)) {
        Ok(rows) => Ok(String::from_utf8(rows.json).unwrap()),
        Err(DbError::Unavailable(reason)) => {
            assert_eq!(it.status().last_error.as_deref(), Some(reason.as_str()));
            Err(reason)
        }
        Err(other) => panic!("{url}: {other:?}"),
    }
}

#[test]
fn every_method_of_authentication_lets_the_right_password_in() {
    for user in ["scrammer", "emdee", "clear"] {
        for mode in ["disable", "require"] {
            let query = format!("sslmode={mode}");
            let seen = try_login(&url(&format!("{user}:{PASSWORD}"), &query)).unwrap();
            assert!(seen.starts_with(user), "{seen}");
            let wrong = try_login(&url(&format!("{user}:wrong"), &query)).unwrap_err();
            assert!(
                wrong.contains("28P01") && wrong.contains("127.0.0.1"),
                "{wrong}"
            );
            let none = try_login(&url(user, &query)).unwrap_err();
            assert!(none.contains("asks for a password"), "{none}");
        }
    }
    let socket = guarded().cluster.socket_folder().display().to_string();
    let over_unix = format!(
        "host={socket} port={} user=scrammer password='pä$$ w0rd' dbname=postgres",
        guarded().cluster.port()
    );
    assert!(try_login(&over_unix).unwrap().starts_with("scrammer f"));
    let refused = try_login(&url("nobody", "")).unwrap_err();
    assert!(refused.contains("28000"), "{refused}");
    let no_database =
        try_login(&url("encrypted", "").replace("/postgres?", "/nonsense?")).unwrap_err();
    assert!(no_database.contains("3D000"), "{no_database}");
}

#[test]
fn tls_proves_what_its_mode_asks_for() {
    let Guarded {
        roots,
        other_roots,
        server,
        ..
    } = guarded();
    let root = |path: &PathBuf| format!("sslrootcert={}", path.display());
    let (good, other, own) = (root(roots), root(other_roots), root(server));
    // (host, query, the words of the fault)
    let table = [
        ("127.0.0.1", "sslmode=prefer".to_string(), None),
        ("127.0.0.1", "sslmode=require".to_string(), None),
        ("127.0.0.1", "sslmode=disable".to_string(), Some("28000")),
        ("127.0.0.1", format!("sslmode=verify-ca&{good}"), None),
        ("127.0.0.1", format!("sslmode=require&{good}"), None),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca&{other}"),
            Some("UnknownIssuer"),
        ),
        (
            "127.0.0.1",
            format!("sslmode=require&{other}"),
            Some("UnknownIssuer"),
        ),
        ("localhost", format!("sslmode=verify-full&{good}"), None),
        ("localhost", format!("sslmode=verify-full&{own}"), None),
        (
            "localhost",
            format!("sslmode=verify-full&{other}"),
            Some("UnknownIssuer"),
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&{good}"),
            Some("not valid for name"),
        ),
    ];
    for (host, query, fault) in table {
        let url = url("encrypted", &query).replace("127.0.0.1", host);
        match (try_login(&url), fault) {
            (Ok(seen), None) => assert_eq!(seen, "encrypted t TLSv1.3", "{url}"),
            (Err(reason), Some(words)) => assert!(reason.contains(words), "{url}: {reason}"),
            (got, _) => panic!("{url}: {got:?}"),
        }
    }
}

#[test]
fn the_session_of_a_check_is_proven_as_the_pools_are() {
    let Guarded {
        roots, other_roots, ..
    } = guarded();
    let scrammer = format!("scrammer:{PASSWORD}");
    let root = |path: &PathBuf| format!("sslrootcert={}", path.display());
    let (good, other) = (root(roots), root(other_roots));
    // (login, host, query, what the session is or the words of the fault)
    let table = [
        (
            "encrypted",
            "127.0.0.1",
            "sslmode=prefer".to_string(),
            "encrypted t",
        ),
        (
            "encrypted",
            "127.0.0.1",
            "sslmode=require".to_string(),
            "encrypted t",
        ),
        (
            "encrypted",
            "localhost",
            format!("sslmode=verify-full&{good}"),
            "encrypted t",
        ),
        (
            "encrypted",
            "127.0.0.1",
            format!("sslmode=verify-full&{good}"),
            "not valid for name",
        ),
        (
            "encrypted",
            "localhost",
            format!("sslmode=verify-full&{other}"),
            "UnknownIssuer",
        ),
        (
            "encrypted",
            "127.0.0.1",
            "sslmode=disable".to_string(),
            "no encryption",
        ),
        ("bare", "127.0.0.1", "sslmode=prefer".to_string(), "bare f"),
        ("bare", "127.0.0.1", "sslmode=require".to_string(), "reject"),
        (
            &scrammer,
            "localhost",
            format!("sslmode=verify-full&channel_binding=require&{good}"),
            "scrammer t",
        ),
        (
            "scrammer:wrong",
            "127.0.0.1",
            "sslmode=require".to_string(),
            "password authentication failed",
        ),
    ];
    for (login, host, query, expected) in table {
        let url = url(login, &query).replace("127.0.0.1", host);
        let settings = Settings::parse("main", &url, &Options::default(), &Files::disk()).unwrap();
        let seen = settings.connect_blocking("tine check").map(|mut client| {
            let sql = "SELECT concat_ws(' ', current_user, ssl, current_setting('application_name')) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            client.query_one(sql, &[]).unwrap().get::<_, String>(0)
        });
        match &seen {
            Ok(seen) => assert_eq!(*seen, format!("{expected} tine check"), "{url}"),
            Err(fault) => assert!(fault.contains(expected), "{url}: {fault}"),
        }
        assert!(
            !seen.is_err_and(|fault| fault.contains("wrong")),
            "a password is never shown"
        );
    }
}

#[test]
fn prefer_goes_without_tls_where_that_is_the_only_way() {
    assert_eq!(try_login(&url("bare", "sslmode=prefer")).unwrap(), "bare f");
    assert!(
        try_login(&url("bare", "sslmode=require"))
            .unwrap_err()
            .contains("28000")
    );
    // A server without TLS at all.
    let plain = shared().tcp_url("postgres", SUPERUSER);
    assert_eq!(
        try_login(&format!("{plain}?sslmode=prefer")).unwrap(),
        "postgres f"
    );
    assert!(
        try_login(&format!("{plain}?sslmode=require"))
            .unwrap_err()
            .contains("has no TLS")
    );
}

#[test]
fn scram_binds_to_the_certificate() {
    let login = format!("scrammer:{PASSWORD}");
    for (binding, encrypted) in [
        ("require", true),
        ("prefer", true),
        ("disable", true),
        ("disable", false),
    ] {
        let mode = if encrypted { "require" } else { "disable" };
        let seen = try_login(&url(
            &login,
            &format!("channel_binding={binding}&sslmode={mode}"),
        ))
        .unwrap();
        assert!(seen.starts_with("scrammer"), "{seen}");
    }
    let refused = try_login(&url(&login, "channel_binding=require&sslmode=disable")).unwrap_err();
    assert!(refused.contains("channel_binding=require"), "{refused}");
    let refused = try_login(&url(
        &format!("emdee:{PASSWORD}"),
        "channel_binding=require",
    ))
    .unwrap_err();
    assert!(refused.contains("channel_binding=require"), "{refused}");
}

#[test]
fn a_cancel_request_and_large_results_go_through_tls() {
    let mut it = Loop::new(
        &url("encrypted", "sslmode=require"),
        Options {
            connections: 1,
            ..Options::default()
        },
    );
    let large = it.text("SELECT repeat('x', 900000)");
    assert_eq!(large.len(), 900_000);
    let pid = it.text("SELECT pg_backend_pid()::text");
    let sleeper = tine_worker::db::Job {
        deadline: Instant::now() + Duration::from_millis(50),
        ..job("SELECT pg_sleep(30)::text")
    };
    assert_eq!(it.run(sleeper), Err(DbError::Timeout));
    it.settle();
    assert_eq!(it.text("SELECT pg_backend_pid()::text"), pid);
}

#[test]
fn hosts_are_tried_in_their_order() {
    let port = shared().port();
    // Bound but not listening: refused at once.
    let closed = TcpListener::bind("127.0.0.1:0")
        .map(|listener| listener.local_addr().unwrap().port())
        .unwrap();
    let folder = shared()
        .socket_folder()
        .display()
        .to_string()
        .replace('/', "%2F");
    for hosts in [
        format!("127.0.0.1:{closed},127.0.0.1:{port}"),
        format!("%2Fno%2Fsuch%2Ffolder:5432,{folder}:{port}"),
        format!("no-such-host.invalid:{port},localhost:{port}"),
    ] {
        assert!(
            try_login(&format!("postgresql://postgres@{hosts}/postgres"))
                .unwrap()
                .starts_with("postgres"),
            "{hosts}"
        );
    }
    let reason = try_login(&format!(
        "postgresql://postgres@127.0.0.1:{closed},no-such-host.invalid:1/x"
    ))
    .unwrap_err();
    assert!(
        reason.contains(&closed.to_string()) && reason.contains("no-such-host.invalid"),
        "{reason}"
    );
}

#[test]
fn a_host_that_accepts_and_says_nothing_is_passed_over() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_port, port) = (silent.local_addr().unwrap().port(), shared().port());
    let url = format!("postgresql://postgres@127.0.0.1:{silent_port},127.0.0.1:{port}/postgres");
    let options = Options {
        connect_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let mut it = Loop::new(&url, options);
    assert_eq!(it.text("SELECT '1'"), "1");
}

#[test]
fn the_kind_of_server_decides() {
    let standby = standby();
    let port = |cluster: &Cluster| cluster.port();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", port(&standby), port(shared()));
    let ask = |attributes: &str, hosts: &str| {
        let url =
            format!("postgresql://postgres@{hosts}/postgres?target_session_attrs={attributes}");
        let mut it = Loop::new(&url, Options::default());
        it.run(job("SELECT pg_is_in_recovery()::text"))
            .map(|rows| String::from_utf8(rows.json).unwrap())
    };
    assert_eq!(ask("any", &hosts).unwrap(), "true");
    assert_eq!(ask("read-write", &hosts).unwrap(), "false");
    assert_eq!(ask("read-only", &hosts).unwrap(), "true");
    let Err(DbError::Unavailable(reason)) =
        ask("read-write", &format!("127.0.0.1:{}", port(&standby)))
    else {
        panic!()
    };
    assert!(reason.contains("standby"), "{reason}");
    let Err(DbError::Unavailable(reason)) =
        ask("read-only", &format!("127.0.0.1:{}", port(shared())))
    else {
        panic!()
    };
    assert!(reason.contains("primary"), "{reason}");
    standby.stop().unwrap();
}

/// A server in recovery: a cluster that was stopped and started again with `standby.signal`.
fn standby() -> Cluster {
    let mut cluster = cluster(&[]);
    cluster.halt().unwrap();
    write_for_server(&cluster, &cluster.data_folder().join("standby.signal"), "");
    cluster.relaunch().unwrap();
    cluster
}

#[test]
fn settings_read_their_certificates_at_once() {
    let missing = Settings::parse(
        "main",
        &url("encrypted", "sslmode=verify-ca&sslrootcert=/no/such"),
        &Options::default(),
        &Files::disk(),
    );
    assert!(missing.unwrap_err().to_string().contains("/no/such"));
    let empty = std::env::temp_dir().join(format!("tine-empty-{}.pem", std::process::id()));
    fs::write(&empty, "nothing").unwrap();
    let query = format!("sslmode=verify-ca&sslrootcert={}", empty.display());
    let fault = Settings::parse(
        "main",
        &url("encrypted", &query),
        &Options::default(),
        &Files::disk(),
    )
    .unwrap_err()
    .to_string();
    fs::remove_file(&empty).unwrap();
    assert!(fault.contains("no certificate in PEM form"), "{fault}");
}
