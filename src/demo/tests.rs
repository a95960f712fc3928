//! The demo on a real PostgreSQL.

use postgres::{Client, NoTls};

use super::*;

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap().get(0)
}

fn folder_of(demo: &Demo) -> PathBuf {
    demo.config().parent().unwrap().to_path_buf()
}

#[test]
fn a_temporary_demo_has_data_and_a_narrow_login_and_leaves_nothing() {
    let mut tables = 0;
    let demo = prepare(&Options::default(), &mut |progress| {
        if let Progress::Table { rows, .. } = progress {
            assert!(rows > 0);
            tables += 1;
        }
    })
    .unwrap();
    assert_eq!(tables, data::TABLES.len());
    assert_eq!(demo.loaded(), Loaded::Now);

    let mut swf = Client::connect(&demo.cluster().url(SWF, LOGIN), NoTls).unwrap();
    assert_eq!(number(&mut swf, "SELECT count(*) FROM swf_applog"), 10_000);
    assert!(
        number(
            &mut swf,
            "SELECT count(*) FROM swf_applog WHERE timestamp >= now() - interval '24 hours'"
        ) > 1_000
    );
    swf.execute(
        "INSERT INTO swf_ai_memory (username, session_id, role, content, created_at) VALUES ('u', 's', 'user', 'c', now())",
        &[],
    )
    .unwrap();
    for refused in [
        "UPDATE swf_systemagent SET description = ''",
        "DELETE FROM swf_ai_memory",
        "INSERT INTO swf_namespace SELECT * FROM swf_namespace",
        "CREATE TABLE mine (a int)",
    ] {
        let error = swf.batch_execute(refused).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{refused}");
    }
    let mut panda = Client::connect(&demo.cluster().url(PANDA, LOGIN), NoTls).unwrap();
    assert_eq!(
        number(
            &mut panda,
            "SELECT (SELECT count(*) FROM doma_panda.jobsactive4) + (SELECT count(*) FROM doma_panda.jobsarchived4)"
        ),
        20_000
    );
    // Every job's task exists, as a foreign key that PanDA does not have would say.
    assert_eq!(
        number(
            &mut panda,
            "SELECT count(*) FROM doma_panda.jobsarchived4 j \
             WHERE NOT EXISTS (SELECT FROM doma_panda.jedi_tasks t WHERE t.jeditaskid = j.jeditaskid)"
        ),
        0
    );

    let folder = folder_of(&demo);
    assert!(folder.join("toolsets/swf/swf_get_agent.sql").exists());
    let config = fs::read_to_string(demo.config()).unwrap();
    assert!(config.parse::<toml::Table>().unwrap()["databases"]["panda"]["url"].is_str());
    drop((swf, panda));
    demo.stop().unwrap();
    assert!(!folder.exists());
}

#[test]
fn a_kept_demo_is_found_again_until_it_is_to_be_fresh() {
    let state = std::env::temp_dir().join(format!("tine-demo-kept-{}", std::process::id()));
    let mut options = Options {
        state: Some(state.clone()),
        ..Options::default()
    };
    let count = |demo: &Demo| {
        let mut client = Client::connect(&demo.cluster().url(SWF, LOGIN), NoTls).unwrap();
        number(&mut client, "SELECT count(*) FROM swf_ai_memory")
    };

    let demo = prepare(&options, &mut |_| {}).unwrap();
    assert_eq!(demo.loaded(), Loaded::Now);
    let mut client = Client::connect(&demo.cluster().url(SWF, SUPERUSER), NoTls).unwrap();
    client.batch_execute("DELETE FROM swf_ai_memory").unwrap();
    drop(client);
    demo.stop().unwrap();

    let demo = prepare(&options, &mut |_| {}).unwrap();
    assert_eq!(demo.loaded(), Loaded::Before { days: 0 });
    assert_eq!(count(&demo), 0);
    demo.stop().unwrap();

    options.fresh = true;
    let demo = prepare(&options, &mut |_| {}).unwrap();
    assert_eq!(demo.loaded(), Loaded::Now);
    assert_eq!(count(&demo), 1_000);
    demo.stop().unwrap();
    fs::remove_dir_all(&state).unwrap();
}
