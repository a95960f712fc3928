//! Folders, faults and toolsets.

use super::*;

const GOOD: &str = "/*+++\ndescription = \"Good.\"\n+++*/\nSELECT 1 AS one";

#[test]
fn a_faulty_file_costs_only_its_own_tool_and_all_faults_are_told() {
    let files = [
        ("_toolset.toml", "databas = \"main\""),
        ("good.sql", GOOD),
        (
            "bad.sql",
            "/*+++\ntitel = \"x\"\ntimeout = \"2 hours\"\n[params.a]\ntype = \"txt\"\n+++*/\nSELECT :b --? c\n",
        ),
        ("none.sql", "SELECT 1"),
        ("open.sql", "/*+++ description = \"x\""),
        ("kind.toml", "kind = \"htpp\"\ndescription = \"x\""),
        ("README.md", "not a tool"),
    ];
    let (catalog, faults) = Folder::new("loading-faults", &files).load();
    let names: Vec<&str> = catalog
        .tools()
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(names, ["good"]);
    let told: Vec<String> = faults
        .iter()
        .map(|fault| {
            let file = fault
                .source
                .file
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let (line, column) = fault.source.line_column(fault.span.start);
            format!("{file}:{line}:{column} {}", fault.message)
        })
        .collect();
    for expected in [
        "_toolset.toml:1:1 unknown key `databas`",
        "bad.sql:1:6 the tool has no description",
        "bad.sql:3:11 `timeout` is not a duration",
        "bad.sql:5:8 unknown type `txt`",
        "bad.sql:2:1 unknown key `titel`",
        "bad.sql:7:8 `:b` is no parameter",
        "bad.sql:7:15 `--? c` names no parameter",
        "bad.sql:4:9 the statement never uses the parameter `a`",
        "none.sql:1:1 the file has no front matter",
        "open.sql:1:1 the front matter never ends",
        "kind.toml:1:8 `kind` must be one of builtin, http, program, stomp, not `htpp`",
    ] {
        assert!(
            told.iter().any(|fault| fault.starts_with(expected)),
            "{expected}: {told:#?}"
        );
    }
}

#[test]
fn what_does_not_fit_together_is_a_fault() {
    let page = "page = { key = [\"id\"] }";
    let table = [
        (
            "",
            "INSERT INTO t VALUES (1)",
            "the statement writes, but the tool is read-only",
        ),
        ("", "COMMIT", "can't run such a statement"),
        (
            "expect_rows = 1",
            "SELECT 1",
            "`expect_rows` is for tools that write",
        ),
        (
            "shape = \"row\"\nannotations = { read_only = false }",
            "DELETE FROM t",
            "yields no row for this shape",
        ),
        (
            "annotations = { destructive = true }",
            "SELECT 1",
            "can't be destructive",
        ),
        (
            page,
            "SELECT 1 AS id WHERE 1 > :cursor.id",
            "no LIMIT :limit",
        ),
        (
            page,
            "SELECT 1 AS id LIMIT :limit",
            "doesn't compare `id` with :cursor.id",
        ),
        (
            page,
            "SELECT :cursor.x, :cursor.id LIMIT :limit",
            "`:cursor.x` is no parameter",
        ),
        (
            "shape = \"row\"\npage = { key = [\"id\"] }",
            "SELECT 1",
            "only shape = \"rows\" can have pages",
        ),
        (
            "page = { key = [\"id up\"] }",
            "SELECT 1",
            "`id up` is not a page key",
        ),
        (
            "page = { key = [\"id\"], size = 9, max = 3 }",
            "SELECT 1",
            "size 9 is above max 3",
        ),
        (
            "page = { key = [\"id\"] }\n[params.limit]\ntype = \"integer\"",
            "SELECT :cursor.id LIMIT :limit",
            "the page's own argument",
        ),
        ("", "SELECT :cursor.id", "a cursor needs page"),
        ("", "SELECT :limit", "declare page"),
        (
            "not_found = \"x\"",
            "SELECT 1",
            "`not_found` is for one row or document",
        ),
        (
            "shape = \"row\"\nnot_found = \"{x}\"",
            "SELECT 1",
            "`x` is no argument",
        ),
        (
            "shape = \"row\"\nresult = { empty = \"x\" }",
            "SELECT 1",
            "`empty` is for lists",
        ),
        (
            "error = { error = \"x\" }",
            "SELECT 1",
            "with {message} in one of its strings",
        ),
        (
            "database = \"othr\"",
            "SELECT 1",
            "no database `othr` is configured (help: did you mean `other`?)",
        ),
        (
            "timeout = \"1m\"",
            "SELECT 1",
            "longer than the server's limit of 8000 ms",
        ),
        (
            "input_schema = \"[]\"",
            "SELECT 1",
            "must have \"type\": \"object\"",
        ),
        ("input_schema = \"{\"", "SELECT 1", "is not JSON"),
        (
            "input_schema = '{\"type\":\"object\"}'\n[params.a]\ntype = \"text\"",
            "SELECT :a",
            "stands in place of [params]",
        ),
        (
            "[params.a]\nfrom = \"setting.x\"",
            "SELECT :a",
            "the toolset has no setting `x`",
        ),
        (
            "[[example]]\nargs = 1",
            "SELECT 1",
            "`args` must be a table",
        ),
        (
            "[[example]]\nexpect = { rows = 1 }",
            "SELECT 1",
            "unknown key `example.expect.rows`",
        ),
    ];
    for (index, (front_matter, sql, expected)) in table.iter().enumerate() {
        let told = faults(&format!("loading-fit-{index}"), front_matter, sql);
        assert!(
            told.iter().any(|fault| fault.contains(expected)),
            "{front_matter} {sql}: {told:#?}"
        );
    }
}

#[test]
fn toolsets_select_and_order_tools() {
    let numbered = "/*+++\ndescription = \"N.\"\norder = 1\n+++*/\nSELECT 1 AS one";
    let files = [
        (
            "_toolset.toml",
            "title = \"All\"\ninstructions = \"Read.\"\n[toolsets.bot]\ntitle = \"Bot\"\ntools = [\"a*\", \"z\", \"nope\"]",
        ),
        ("b.sql", GOOD),
        ("a2.sql", GOOD),
        ("z.sql", numbered),
        ("a1.sql", GOOD),
    ];
    let (catalog, faults) = Folder::new("loading-order", &files).load();
    assert_eq!(faults.len(), 1);
    assert_eq!(
        (faults[0].severity, faults[0].message.as_str()),
        (Severity::Warning, "no tool of this folder is named `nope`")
    );
    let names = |toolset: Option<&str>| -> Vec<String> {
        catalog
            .toolset(toolset)
            .unwrap()
            .tools()
            .iter()
            .map(|tool| tool.name.clone())
            .collect()
    };
    assert_eq!(names(None), ["z", "a1", "a2", "b"]);
    assert_eq!(names(Some("bench")), names(None));
    assert_eq!(names(Some("bot")), ["z", "a1", "a2"]);
    let bot = catalog.toolset(Some("bot")).unwrap();
    assert_eq!(
        (bot.title.as_deref(), bot.instructions.as_deref()),
        (Some("Bot"), Some("Read."))
    );
    assert!(bot.find("b").is_none() && bot.find("a1").is_some());
    assert_eq!(
        catalog.toolset_names().collect::<Vec<_>>(),
        ["bench", "bot"]
    );
    assert!(catalog.toolset(Some("other")).is_none());
}

#[test]
fn folders_of_toolsets_and_double_names() {
    let first = Folder::new("loading-two-a", &[("a.sql", GOOD), ("b.sql", GOOD)]);
    let root = first.0.parent().unwrap().to_owned();
    let second = root.join("extra");
    std::fs::create_dir(&second).unwrap();
    std::fs::write(second.join("b.sql"), GOOD).unwrap();
    std::fs::write(second.join("c.sql"), GOOD).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    let (catalog, faults) = Catalog::load(
        std::slice::from_ref(&root),
        &LoadContext::default(),
        &Files::disk(),
    );
    assert_eq!(
        catalog.toolset_names().collect::<Vec<_>>(),
        ["bench", "extra"]
    );
    assert_eq!(catalog.tools().len(), 3);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0]
            .message
            .starts_with("a tool named `b` exists already"),
        "{}",
        faults[0].message
    );
    let (_, faults) = Catalog::load(
        &[root.join("empty")],
        &LoadContext::default(),
        &Files::disk(),
    );
    assert!(faults[0].message.contains("no tool files here"));
    let (_, faults) = Catalog::load(
        &[root.join("missing")],
        &LoadContext::default(),
        &Files::disk(),
    );
    assert!(faults[0].message.contains("can't be read"));
}

#[test]
fn long_lists_have_pages() {
    let files: Vec<(String, &str)> = (0..5).map(|n| (format!("t{n}.sql"), GOOD)).collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    let folder = Folder::new("loading-pages", &files);
    let context = LoadContext {
        page_size: 2,
        ..LoadContext::default()
    };
    let (catalog, _) = Catalog::load(std::slice::from_ref(&folder.0), &context, &Files::disk());
    let toolset = catalog.toolset(None).unwrap();
    let mut names = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = toolset.list(Era::Modern, cursor.as_deref()).unwrap();
        let page: Value =
            serde_json::from_str(&format!("{{{}}}", String::from_utf8_lossy(page))).unwrap();
        names.extend(
            page["tools"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tool| tool["name"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4"]);
    for bad in ["", "x", "MA", "%%%"] {
        assert!(toolset.list(Era::Legacy, Some(bad)).is_none(), "{bad}");
    }
    let (other, _) = Folder::new("loading-pages-other", &files[..3]).load();
    assert!(
        other
            .toolset(None)
            .unwrap()
            .list(Era::Legacy, cursor.as_deref())
            .is_none(),
        "a cursor of another catalog"
    );
}

#[test]
fn the_digest_is_that_of_what_clients_see() {
    let digests = |test: &str, files: &[(&str, &str)]| {
        let catalog = Folder::new(test, files).load().0;
        let list = catalog.toolset(None).unwrap().digest().to_owned();
        (catalog.digest().to_owned(), list)
    };
    let one = digests("loading-digest", &[("a.sql", GOOD)]);
    assert_eq!((one.0.len(), one.1.len()), (64, 64));
    assert_eq!(one, digests("loading-digest", &[("a.sql", GOOD)]));
    let corrected = GOOD.replace("SELECT 1", "SELECT 1 + 1");
    assert_ne!(corrected, GOOD);
    assert_eq!(one, digests("loading-digest", &[("a.sql", &corrected)]));
    let described = GOOD.replace("Good.", "Better.");
    assert_ne!(described, GOOD);
    for other in [("b.sql", GOOD), ("a.sql", described.as_str())] {
        let other = digests("loading-digest", &[other]);
        assert!(one.0 != other.0 && one.1 != other.1, "{other:?}");
    }
    let named = [
        ("a.sql", GOOD),
        ("_toolset.toml", "[toolsets.bot]\ntools = [\"a\"]\n"),
    ];
    let named = digests("loading-digest", &named);
    assert!(one.0 != named.0 && one.1 == named.1, "only a toolset more");
}

#[test]
fn a_null_guard_asks_for_a_custom_plan() {
    let params = "[params.p]\ntype = \"text\"\noptional = true";
    let guarded = tool(
        "loading-guard-1",
        params,
        "SELECT 1 AS a WHERE (:p IS NULL OR 'x' = :p)",
    );
    let plain = tool(
        "loading-guard-2",
        params,
        "SELECT 1 AS a WHERE 'x' = :p --? p\n",
    );
    let asked = tool(
        "loading-guard-3",
        &format!("custom_plan = true\n{params}"),
        "SELECT 1 AS a WHERE 'x' = :p --? p\n",
    );
    let custom = |tool: &Tool| tool.sql().unwrap().custom_plan;
    assert_eq!(
        (custom(&guarded), custom(&plain), custom(&asked)),
        (true, false, true)
    );
}

fn project() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The toolsets that come with the project have no fault.
#[test]
fn the_project_s_own_toolsets_load() {
    for folder in ["toolsets", "tests/conformance/toolset", "benches/toolset"] {
        let (catalog, faults) = Catalog::load(
            &[project().join(folder)],
            &LoadContext::default(),
            &Files::disk(),
        );
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{told:#?}");
        assert!(!catalog.tools().is_empty());
    }
}

/// Whoever copies an example from the documentation gets a tool without faults.
#[test]
fn the_documentation_s_own_examples_load() {
    let mut count = 0;
    for page in ["README.md", "docs/tools.md"] {
        let text = std::fs::read_to_string(project().join(page)).unwrap();
        let blocks = text.split("```").skip(1).step_by(2);
        for block in blocks.filter_map(|block| block.strip_prefix("sql\n/*+++")) {
            count += 1;
            catalog("loading-docs", &[("tool.sql", &format!("/*+++{block}"))]);
        }
    }
    assert!(count >= 3, "{count}");
    let text = std::fs::read_to_string(project().join("docs/tools.md")).unwrap();
    let toolset = text
        .split("```toml\n")
        .find(|block| block.starts_with("title = \"Tickets\""))
        .unwrap();
    let toolset = toolset
        .split("```")
        .next()
        .unwrap()
        .replace("database = \"tickets\"", "database = \"main\"");
    let files = [
        ("_toolset.toml", toolset.as_str()),
        ("list_x.sql", GOOD),
        ("get_ticket.sql", GOOD),
    ];
    assert!(
        catalog("loading-docs-toolset", &files)
            .toolset(Some("bot"))
            .is_some()
    );
}
