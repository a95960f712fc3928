//! The private cluster itself: it starts, restarts, and never outlives its owner.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tine::cluster::{Auth, Cluster, ClusterError, Options, SUPERUSER};

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(10));
    }
}

fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_temporary_cluster_answers_on_both_sockets_and_leaves_nothing_behind() {
    let mut steps = Vec::new();
    let options = Options {
        tcp: true,
        auth: Auth::Scram("p@ss/word".to_string()),
        ..Options::temporary()
    };
    let folder = options.folder.clone();
    let mut cluster = Cluster::start(options, &mut |step| steps.push(step.to_string())).unwrap();
    assert_eq!(steps.len(), 3, "{steps:?}");
    for url in [
        cluster.url("postgres", SUPERUSER),
        cluster.tcp_url("postgres", SUPERUSER),
    ] {
        let mut client = Client::connect(&url, NoTls).unwrap();
        assert_eq!(
            client
                .query_one("SHOW fsync", &[])
                .unwrap()
                .get::<_, String>(0),
            "off"
        );
    }
    let mut client = Client::connect(&cluster.url("postgres", SUPERUSER), NoTls).unwrap();
    client.batch_execute("CREATE TABLE kept(id int)").unwrap();
    cluster.restart().unwrap();
    assert!(
        client.batch_execute("SELECT 1").is_err(),
        "the old session must be gone"
    );
    let mut client = Client::connect(&cluster.url("postgres", SUPERUSER), NoTls).unwrap();
    client.batch_execute("SELECT * FROM kept").unwrap();
    let pid = cluster.server_pid().unwrap();
    cluster.stop().unwrap();
    assert!(!folder.exists() && !exists(pid));
}

#[test]
fn a_kept_cluster_is_started_again_with_its_data() {
    let folder = Options::temporary().folder;
    for round in 0..2 {
        let cluster = Cluster::start(Options::kept(&folder), &mut |_| {}).unwrap();
        let mut client = Client::connect(&cluster.url("postgres", SUPERUSER), NoTls).unwrap();
        let sql = if round == 0 {
            "CREATE TABLE kept(id int)"
        } else {
            "SELECT * FROM kept"
        };
        client.batch_execute(sql).unwrap();
        assert_eq!(
            client
                .query_one("SHOW fsync", &[])
                .unwrap()
                .get::<_, String>(0),
            "on"
        );
        cluster.stop().unwrap();
        assert!(folder.join("data/PG_VERSION").exists());
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_folder_too_long_for_a_socket_gets_a_short_one_beside_it() {
    let options = Options::temporary();
    let folder = options.folder.join("x".repeat(90));
    let cluster = Cluster::start(
        Options {
            folder: folder.clone(),
            ..options
        },
        &mut |_| {},
    )
    .unwrap();
    let socket_folder = cluster.socket_folder().to_path_buf();
    assert!(!socket_folder.starts_with(&folder));
    Client::connect(&cluster.url("postgres", SUPERUSER), NoTls).unwrap();
    cluster.stop().unwrap();
    assert!(!folder.exists() && !socket_folder.exists());
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let options = Options {
        settings: vec![("shared_buffers".into(), "nonsense".into())],
        ..Options::temporary()
    };
    let folder = options.folder.clone();
    let fault = Cluster::start(options, &mut |_| {}).unwrap_err();
    assert!(matches!(fault, ClusterError::DidNotStart { .. }));
    assert!(fault.to_string().contains("shared_buffers"), "{fault}");
    fs::remove_dir_all(folder).unwrap();
}

/// The body of the child process of the next test; idle in an ordinary run.
#[test]
fn owner_of_a_cluster() {
    if std::env::var_os("TINE_TEST_OWNER").is_none() {
        return;
    }
    let cluster = Cluster::start(Options::temporary(), &mut |_| {}).unwrap();
    println!(
        "\ncluster {} {}",
        cluster.server_pid().unwrap(),
        cluster.data_folder().display()
    );
    loop {
        thread::park();
    }
}

#[test]
fn killing_the_owner_ends_the_server() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "db_cluster::owner_of_a_cluster", "--nocapture"])
        .env("TINE_TEST_OWNER", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let line = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("cluster "))
        .unwrap();
    let mut words = line.split(' ').skip(1);
    let pid: i32 = words.next().unwrap().parse().unwrap();
    let data = words.next().unwrap().to_string();
    assert!(exists(pid));
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the server ends", || !exists(pid));
    eventually("its files are removed", || !Path::new(&data).exists());
}

#[test]
fn a_paused_server_is_silent_and_can_be_stopped() {
    let cluster = Cluster::start(Options::temporary(), &mut |_| {}).unwrap();
    let mut client = Client::connect(&cluster.url("postgres", SUPERUSER), NoTls).unwrap();
    cluster.pause().unwrap();
    let (answered, answer) = std::sync::mpsc::channel();
    let waiting = thread::spawn(move || {
        answered
            .send(client.batch_execute("SELECT 1").is_ok())
            .unwrap()
    });
    assert!(answer.recv_timeout(Duration::from_millis(200)).is_err());
    cluster.resume().unwrap();
    assert!(answer.recv().unwrap());
    waiting.join().unwrap();
    cluster.pause().unwrap();
    cluster.stop().unwrap();
}
