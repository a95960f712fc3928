//! Every list with a limit, walked to its end: nothing is missing, nothing comes twice, and equal times keep their places.

use super::table::{Fields, Is, objects};
use super::*;

/// A list that is walked by the time of its last item.
struct Walk {
    tool: &'static str,
    /// Fields of an item that tell rows apart, and the time.
    fields: Fields,
    time: &'static str,
    from: &'static str,
    order: &'static str,
    limit: usize,
}

const WALKS: [Walk; 7] = [
    Walk {
        tool: "swf_list_messages",
        fields: &[
            ("message_type", Is::Plain("message_type")),
            ("sender_agent", Is::Plain("sender_agent")),
            ("sent_at", Is::Time("sent_at")),
            ("execution_id", Is::Plain("execution_id")),
        ],
        time: "sent_at",
        from: "swf_workflow_messages",
        order: "sent_at DESC, message_id DESC",
        limit: 200,
    },
    Walk {
        tool: "swf_list_tf_slices",
        fields: &[
            ("slice_id", Is::Plain("slice_id")),
            ("tf_filename", Is::Plain("tf_filename")),
            ("created_at", Is::Time("created_at")),
        ],
        time: "created_at",
        from: "swf_tf_slices",
        order: "created_at DESC, id DESC",
        limit: 200,
    },
    Walk {
        tool: "swf_list_logs",
        fields: &[
            ("id", Is::Plain("id")),
            ("timestamp", Is::Time("\"timestamp\"")),
        ],
        time: "timestamp",
        from: "swf_applog",
        order: "\"timestamp\" DESC, id DESC",
        limit: 200,
    },
    Walk {
        tool: "swf_list_stf_files",
        fields: &[
            ("file_id", Is::Plain("file_id")),
            ("created_at", Is::Time("created_at")),
        ],
        time: "created_at",
        from: "swf_stf_files",
        order: "created_at DESC, file_id DESC",
        limit: 100,
    },
    Walk {
        tool: "swf_list_workflow_executions",
        fields: &[
            ("execution_id", Is::Plain("execution_id")),
            ("start_time", Is::Time("start_time")),
        ],
        time: "start_time",
        from: "swf_workflow_executions",
        order: "start_time DESC, execution_id DESC",
        limit: 100,
    },
    Walk {
        tool: "swf_list_runs",
        fields: &[
            ("run_number", Is::Plain("run_number")),
            ("start_time", Is::Time("start_time")),
        ],
        time: "start_time",
        from: "swf_runs",
        order: "start_time DESC, run_number DESC",
        limit: 100,
    },
    Walk {
        tool: "swf_list_agents",
        fields: &[
            ("name", Is::Plain("instance_name")),
            ("last_heartbeat", Is::Time("last_heartbeat")),
        ],
        time: "last_heartbeat",
        from: "swf_systemagent",
        order: "last_heartbeat DESC NULLS FIRST, id DESC",
        limit: 100,
    },
];

impl Walk {
    /// An item's fields that tell it apart.
    fn cut(&self, item: &Value) -> Value {
        let kept = self
            .fields
            .iter()
            .map(|(name, _)| ((*name).to_owned(), item[*name].clone()));
        Value::Object(kept.collect())
    }

    /// Goes back in time to the end, as a client does whose list has a limit: a page begins at the last moment of the one before, so what
    /// shares that moment comes again, in the same places. Says how many moments were shared across the border of two pages.
    fn go(&self, bench: &Bench) -> (Vec<Value>, usize) {
        let mut arguments = match self.tool {
            // Without a window, lest those be left out who never had a heartbeat.
            "swf_list_agents" => json!({"status": "all"}),
            _ => json!({"start_time": "2000-01-01"}),
        };
        let (mut seen, mut shared): (Vec<Value>, usize) = (Vec::new(), 0);
        loop {
            let page = bench.call(self.tool, arguments.clone());
            let items = page["items"].as_array().expect("items");
            if let Some(moment) = arguments.get("end_time") {
                let again: Vec<Value> = seen
                    .extract_if(.., |item| item[self.time] == *moment)
                    .collect();
                shared += usize::from(
                    again.len() > 1 || items.get(1).is_some_and(|item| item[self.time] == *moment),
                );
                let begin: Vec<Value> = items.iter().map(|item| self.cut(item)).collect();
                assert_eq!(begin[..again.len()], again, "{}", self.tool);
            }
            seen.extend(items.iter().map(|item| self.cut(item)));
            if page["has_more"] == false {
                return (seen, shared);
            }
            assert_eq!(items.len(), self.limit, "{}", self.tool);
            let end = items.last().expect("an item")[self.time].clone();
            assert_ne!(
                Some(&end),
                arguments.get("end_time"),
                "{}: a tie as long as a page",
                self.tool
            );
            arguments["end_time"] = end;
        }
    }
}

#[test]
fn lists_are_walked_to_their_end_by_time() {
    let mut bench = Bench::start();
    for walk in WALKS {
        let rest = format!("FROM {} ORDER BY {}", walk.from, walk.order);
        // Other tests add rows: the walk counts that nobody crossed.
        let (expected, seen, shared) = loop {
            let before = objects(&mut bench.swf, walk.fields, &rest);
            let (seen, shared) = walk.go(&bench);
            if objects(&mut bench.swf, walk.fields, &rest) == before {
                break (before, seen, shared);
            }
        };
        assert!(expected.len() > walk.limit, "{}: too few", walk.tool);
        assert_eq!(seen.len(), expected.len(), "{}", walk.tool);
        for (place, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
            assert_eq!(seen, expected, "{} at {place}", walk.tool);
        }
        let ties = number(
            &mut bench.swf,
            &format!(
                "SELECT count(*) - count(DISTINCT \"{}\") FROM {}",
                walk.time, walk.from
            ),
            &[],
        );
        println!("{}: {ties} ties, {shared} across a border", walk.tool);
        assert!(ties > 0, "{}: no two at one moment", walk.tool);
    }
}
