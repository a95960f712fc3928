//! One tool that uses most of what there is, from its file to what a client and PostgreSQL see of it.

use serde_json::json;

use super::*;

const LIST_TICKETS: &str = include_str!("list_tickets.sql");

const SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"#,
    r#""project":{"type":"string","description":"Project key, e.g. p3","pattern":"^[a-z][a-z0-9]{0,15}$","examples":["p3"]},"#,
    r#""status":{"type":"string","enum":["open","wip","closed"]},"#,
    r#""since":{"type":"string","description":"RFC 3339 time, date, or relative such as now-7d.","default":"now-7d"},"#,
    r#""tags":{"type":"array","items":{"enum":["a","b"],"type":"string"},"maxItems":3},"#,
    r#""region":{"type":"string","x-mcp-header":"Region"},"#,
    r#""limit":{"type":"integer","description":"How many rows to return.","minimum":1,"maximum":100,"default":20},"#,
    r#""cursor":{"type":"string","description":"The next_cursor of the previous page; leave it out for the first page."}"#,
    r#"},"required":["project"]}"#,
);

#[test]
fn clients_see_the_whole_contract() {
    let catalog = catalog("golden-list", &[("list_tickets.sql", LIST_TICKETS)]);
    let toolset = catalog.toolset(None).unwrap();
    let expected = format!(
        "{}{SCHEMA}{}",
        concat!(
            r#""tools":[{"name":"list_tickets","title":"List tickets","#,
            r#""description":"Newest tickets of one project.\nPass next_cursor back as cursor for the following page.","inputSchema":"#,
        ),
        r#","annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}]"#,
    );
    let modern = std::str::from_utf8(toolset.list(Era::Modern, None).unwrap()).unwrap();
    assert_eq!(modern, expected);
    let legacy = std::str::from_utf8(toolset.list(Era::Legacy, None).unwrap()).unwrap();
    assert_eq!(legacy, expected.replace(r#","x-mcp-header":"Region""#, ""));
}

#[test]
fn postgresql_sees_the_lines_that_count() {
    let catalog = catalog("golden-sql", &[("list_tickets.sql", LIST_TICKETS)]);
    let tool = &catalog.tools()[0];
    let call = bind(tool, &json!({"project": "p3"})).unwrap();
    assert_eq!(
        call.statement.sql,
        "SELECT row_to_json(tine_q)::text, tine_q.\"created_at\"::text, tine_q.\"id\"::text FROM (\
         SELECT t.id, t.title, t.status, t.created_at\n\
         FROM   ticket t\n\
         WHERE  t.project = $1\n\n\
         \x20 AND  t.created_at >= $2\n\n\n\n\
         \x20 AND  t.owner = $3\n\
         ORDER  BY t.created_at DESC, t.id DESC\n\
         LIMIT  $4\n) tine_q"
    );
    assert_eq!(call.statement.types, [25, 1184, 25, 20]);
    let values: Vec<Option<&str>> = call.parameters.iter().map(Option::as_deref).collect();
    assert_eq!(
        values,
        [
            Some("p3"),
            Some("2026-04-21T12:00:00Z"),
            Some("amara"),
            Some("21")
        ]
    );
    assert_eq!((call.max_rows, call.max_bytes), (20, 32_768));
    assert_eq!(call.timeout.as_secs(), 2);
    assert_eq!(
        (call.access, call.database()),
        (crate::db::Access::ReadOnly, Some("main"))
    );
}

#[test]
fn a_page_leads_to_the_next_and_only_of_the_same_list() {
    let catalog = catalog("golden-page", &[("list_tickets.sql", LIST_TICKETS)]);
    let tool = &catalog.tools()[0];
    let arguments =
        json!({"project": "p3", "status": "open", "since": "now-1d", "tags": ["a"], "limit": 2});
    let call = bind(tool, &arguments).unwrap();
    let rows = crate::db::Rows {
        json: br#"{"id":9},{"id":8}"#.to_vec(),
        count: 2,
        more: true,
        keys: vec![Some("2026-04-28 08:00:00+00".into()), Some("8".into())],
        ..Default::default()
    };
    let page = text(&tool.finish(&call, Ok(rows)));
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["has_more"], true);
    assert_eq!(page["count"], 2);
    let mut next = arguments.clone();
    next["cursor"] = page["next_cursor"].clone();
    next["limit"] = json!("50");
    let call = bind(tool, &next).unwrap();
    assert!(
        call.statement
            .sql
            .contains("(t.created_at, t.id) < ($5, $6)"),
        "{}",
        call.statement.sql
    );
    assert_eq!(&call.statement.types[4..6], [0, 0]);
    assert_eq!(
        call.parameters[4].as_deref(),
        Some("2026-04-28 08:00:00+00")
    );
    assert_eq!(call.parameters[5].as_deref(), Some("8"));
    assert_eq!(call.parameters.last().unwrap().as_deref(), Some("51"));
    next["status"] = json!("wip");
    assert_eq!(
        bind(tool, &next).unwrap_err(),
        "cursor: belongs to other arguments; repeat those of the first page, or leave cursor out to start again"
    );
    next["cursor"] = json!("nonsense");
    let complaint = bind(tool, &next).unwrap_err();
    assert!(
        complaint.starts_with("cursor: is not one that this tool gave out"),
        "{complaint}"
    );
    next["cursor"] = json!("");
    assert!(
        bind(tool, &next)
            .unwrap()
            .statement
            .sql
            .find("$5, $6")
            .is_none()
    );
}
