//! What a caller is told, by shape and by what the database answered.

use serde_json::json;

use super::*;
use crate::db::{DbError, Rows};

const PARAMS: &str =
    "[params.id]\ntype = \"integer\"\n[params.since]\ntype = \"text\"\noptional = true";

fn rows(json: &str, count: usize) -> Rows {
    Rows {
        json: json.as_bytes().to_vec(),
        count,
        ..Rows::default()
    }
}

fn run(tool: &Tool, answer: Result<Rows, DbError>) -> (bool, String) {
    let call = bind(tool, &json!({"id": 7})).unwrap();
    let outcome = tool.finish(&call, answer);
    (outcome.is_error, text(&outcome))
}

fn shaped(test: &str, keys: &str) -> Arc<Tool> {
    tool(
        test,
        &format!("{keys}\n{PARAMS}"),
        "SELECT :id AS id, :since AS since",
    )
}

#[test]
fn lists() {
    let tool = shaped("results-list", "result = { max_rows = 3, max_bytes = 100 }");
    let done = |text: &str| (false, text.to_owned());
    assert_eq!(
        run(&tool, Ok(rows(r#"{"a":1},{"a":2}"#, 2))),
        done(r#"{"items":[{"a":1},{"a":2}],"count":2}"#)
    );
    assert_eq!(
        run(&tool, Ok(rows("", 0))),
        done("{\"items\":[],\"count\":0}\n0 rows for id 7.")
    );
    let more = Rows {
        more: true,
        ..rows("1,2,3", 3)
    };
    assert_eq!(
        run(&tool, Ok(more)),
        done(
            "{\"items\":[1,2,3],\"count\":3,\"truncated\":true}\nOnly the first 3 rows are shown: this tool returns at most 3. Narrow it with since."
        )
    );
    let cut = Rows {
        truncated: true,
        ..rows("1", 1)
    };
    assert!(
        run(&tool, Ok(cut))
            .1
            .contains("more do not fit into 100 bytes")
    );
    let nothing_fits = Rows {
        truncated: true,
        ..rows("", 0)
    };
    let (is_error, text) = run(&tool, Ok(nothing_fits));
    assert!(
        is_error && text.contains("larger than the 100 bytes"),
        "{text}"
    );
}

#[test]
fn an_empty_list_says_so_in_the_author_s_words() {
    let tool = shaped(
        "results-empty",
        "result = { empty = \"No ticket {id}, {since}.\" }",
    );
    assert_eq!(
        run(&tool, Ok(rows("", 0))).1,
        "{\"items\":[],\"count\":0}\nNo ticket 7, (none)."
    );
}

#[test]
fn one_row() {
    let tool = shaped(
        "results-row",
        "shape = \"row\"\nnot_found = \"No ticket {id}.\"",
    );
    assert_eq!(
        run(&tool, Ok(rows("{\"a\":1}", 1))),
        (false, "{\"a\":1}".to_owned())
    );
    assert_eq!(
        run(&tool, Ok(rows("", 0))),
        (true, "No ticket 7.".to_owned())
    );
    let (is_error, text) = run(
        &tool,
        Ok(Rows {
            more: true,
            ..rows("{}", 1)
        }),
    );
    assert!(is_error && text.contains("More than one row"), "{text}");
    let (is_error, text) = run(
        &tool,
        Ok(Rows {
            truncated: true,
            ..rows("", 0)
        }),
    );
    assert!(is_error && text.contains("larger than"), "{text}");
}

#[test]
fn documents_and_content() {
    let tool = tool(
        "results-document",
        &format!("shape = \"document\"\n{PARAMS}"),
        "SELECT json_build_object('a', :id, 'b', :since)",
    );
    assert_eq!(
        run(&tool, Ok(rows("{\"a\" : 1,\n\"b\" : null}", 1))),
        (false, "{\"a\":1,\"b\":null}".to_owned())
    );
    assert_eq!(
        run(&tool, Ok(rows("null", 1))),
        (true, "Nothing found for id 7.".to_owned())
    );
    let call = bind(&tool, &json!({"id": 1})).unwrap();
    let list = tool.finish(&call, Ok(rows("[1, 2]", 1)));
    assert_eq!(
        list.content,
        Content::Json {
            object: false,
            bytes: b"[1,2]".to_vec(),
            notes: vec![]
        }
    );

    let tool = super::tool(
        "results-content",
        &format!("shape = \"content\"\n{PARAMS}"),
        "SELECT json_build_array(:id, :since)",
    );
    let call = bind(&tool, &json!({"id": 1})).unwrap();
    let blocks = tool.finish(&call, Ok(rows("[{\"type\" : \"text\"}]", 1)));
    assert_eq!(
        blocks.content,
        Content::Blocks(b"[{\"type\":\"text\"}]".to_vec())
    );
    let (is_error, text) = run(&tool, Ok(rows("{}", 1)));
    assert!(
        is_error && text.contains("no list of content blocks"),
        "{text}"
    );
}

#[test]
fn writes() {
    let keys =
        "annotations = { read_only = false }\nexpect_rows = 1\n[params.id]\ntype = \"integer\"";
    let tool = tool("results-write", keys, "DELETE FROM t WHERE id = :id");
    let call = bind(&tool, &json!({"id": 7})).unwrap();
    assert_eq!(
        (call.access, call.expect_rows),
        (crate::db::Access::ReadWrite, Some(1))
    );
    assert_eq!(call.statement.sql, "DELETE FROM t WHERE id = $1");
    let done = Rows {
        affected: 1,
        ..Rows::default()
    };
    assert_eq!(
        run(&tool, Ok(done)),
        (false, "{\"rows_affected\":1}".to_owned())
    );
    let (is_error, text) = run(&tool, Err(DbError::Lost("gone".into())));
    assert!(
        is_error && text.contains("may or may not have happened"),
        "{text}"
    );
}

#[test]
fn failures_take_the_toolset_s_form_and_keep_the_author_s_order() {
    let files = [
        (
            "_toolset.toml",
            "error = { success = false, error = \"{message}\" }",
        ),
        (
            "object.sql",
            "/*+++\ndescription = \"T.\"\nshape = \"row\"\nnot_found = \"No {id}.\"\n[params.id]\ntype = \"integer\"\n+++*/\nSELECT :id AS id",
        ),
        (
            "plain.sql",
            "/*+++\ndescription = \"T.\"\nshape = \"row\"\nerror = {}\n[params.id]\ntype = \"integer\"\n+++*/\nSELECT :id AS id",
        ),
    ];
    let catalog = catalog("results-failure", &files);
    let toolset = catalog.toolset(Some("bench")).unwrap();
    let object = toolset.find("object").unwrap();
    assert_eq!(
        run(object, Ok(rows("", 0))),
        (true, r#"{"success":false,"error":"No 7."}"#.to_owned())
    );
    assert_eq!(
        bind(object, &json!({})).unwrap_err(),
        r#"{"success":false,"error":"id: is required"}"#
    );
    let plain = toolset.find("plain").unwrap();
    assert_eq!(
        run(plain, Err(DbError::Overloaded)).1,
        "Too many calls wait for the database. Nothing was run. Try again shortly."
    );
}

#[test]
fn builtins_know_their_toolset() {
    let files = [
        (
            "_toolset.toml",
            "instructions = \"Be kind.\"\n[toolsets.few]\ntools = [\"list*\"]",
        ),
        (
            "list.toml",
            "kind = \"builtin\"\nbuiltin = \"tool_list\"\ndescription = \"Lists.\"",
        ),
        (
            "say.toml",
            "kind = \"builtin\"\nbuiltin = \"instructions\"\ndescription = \"Says.\"",
        ),
        (
            "one.sql",
            "/*+++\ndescription = \"One.\"\n[params.a]\ntype = \"text\"\n[params.b]\nfrom = \"now\"\n+++*/\nSELECT :a AS a, :b AS b",
        ),
    ];
    let catalog = catalog("results-builtin", &files);
    let all = catalog.toolset(None).unwrap();
    let Ok(Work::Builtin(builtin)) = all.find("list").unwrap().bind(None, &caller()) else {
        panic!("builtin")
    };
    assert_eq!(
        text(&all.builtin(&builtin)),
        r#"{"items":[{"name":"list","description":"Lists.","parameters":[]},{"name":"one","description":"One.","parameters":["a"]},{"name":"say","description":"Says.","parameters":[]}],"count":3}"#
    );
    let few = catalog.toolset(Some("few")).unwrap();
    assert!(text(&few.builtin(&builtin)).ends_with("\"count\":1}"));
    assert_eq!(text(&few.builtin(&Builtin::Instructions)), "Be kind.");
}
