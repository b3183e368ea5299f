//! Where SQLite keeps what the tables of a transfer hold.

use crate::store::transfer::tables::{Kind, Table};

/// A column that SQLite keeps otherwise than under its own name: how it is read, and what is written for it.
/// `:name` is the value of the column `name`; of a sealed text, its row in `contents`.
struct Elsewhere {
    table: &'static str,
    column: &'static str,
    read: &'static str,
    write: &'static [(&'static str, &'static str)],
}

const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        table: "branches",
        column: "status",
        read: "(SELECT s.status FROM sessions s WHERE s.id = t.session)",
        write: &[],
    },
    Elsewhere {
        table: "events",
        column: "jump_sequence",
        read: "coalesce((SELECT j.sequence FROM events j WHERE j.id = t.jump), 0)",
        write: &[],
    },
    // Numbers of replicas begin at 1: whoever worked on the response is gone.
    Elsewhere {
        table: "responses",
        column: "worker",
        read: "CASE WHEN t.open = 1 THEN 0 END",
        write: &[("open", ":worker IS NOT NULL")],
    },
    // A job that is completed, as it is answered.
    Elsewhere {
        table: "purge_jobs",
        column: "job",
        read:
            "json_object('id', t.receipt ->> '$.purge_job_id', 'object', 'purge_job', 'status', 'completed',
                 'scope', json(t.receipt -> '$.scope'),
                 'requested_at', strftime('%Y-%m-%dT%H:%M:%SZ', t.requested_at, 'unixepoch'))",
        write: &[
            ("artifact_ids", ":job -> '$.scope.artifact_ids'"),
            ("requested_at", "unixepoch(:job ->> '$.requested_at')"),
            ("generation", ":receipt ->> '$.namespace_generation'"),
            ("running", "0"),
            ("trace", "''"),
        ],
    },
    // The sealed answer says its status too; here it only says that there is one.
    Elsewhere {
        table: "answers",
        column: "sealed",
        read: "coalesce(t.sealed, (SELECT c.record FROM contents c WHERE c.id = t.content))",
        write: &[
            ("sealed", ":sealed"),
            ("status", "CASE WHEN coalesce(:sealed, :erasable) IS NOT NULL THEN 200 END"),
        ],
    },
    Elsewhere {
        table: "answers",
        column: "erasable",
        read: "t.content IS NOT NULL",
        write: &[("content", ":erasable")],
    },
    Elsewhere {
        table: "answer_artifacts",
        column: "lookup",
        read: "(SELECT a.lookup FROM answers a WHERE a.id = t.answer)",
        write: &[("answer", "(SELECT a.id FROM answers a WHERE a.lookup = :lookup)")],
    },
    Elsewhere {
        table: "compaction_keys",
        column: "sealed",
        read: "(SELECT c.record FROM contents c WHERE c.id = t.content)",
        write: &[("content", ":sealed")],
    },
];

/// Rows that are left behind: answers that expired a day ago and more, which the sweep has not come to. A later one may
/// have their key.
const LIVE: &[(&str, &str)] = &[
    ("answers", "t.expires_at > (SELECT max(expires_at) FROM answers) - 86400000"),
    (
        "answer_artifacts",
        "(SELECT a.expires_at FROM answers a WHERE a.id = t.answer)
           > (SELECT max(expires_at) FROM answers) - 86400000",
    ),
];

fn elsewhere(table: &Table, column: &str) -> Option<&'static Elsewhere> {
    ELSEWHERE.iter().find(|kept| kept.table == table.name && kept.column == column)
}

/// The rows of a table that are moved, from `FROM` on.
fn rows(table: &Table) -> String {
    let live = LIVE.iter().find(|(name, _)| *name == table.name);
    let live = live.map_or_else(String::new, |(_, live)| format!(" WHERE {live}"));
    format!("FROM {} t{live}", table.name)
}

/// The statement that counts the rows of a table.
pub(super) fn count(table: &Table) -> String {
    format!("SELECT count(*) {}", rows(table))
}

/// The statement that reads a table; a sealed text comes as its record in `contents`.
pub(super) fn select(table: &Table) -> String {
    let read = table.columns.iter().map(|column| match (elsewhere(table, column.name), column.kind) {
        (Some(kept), _) => kept.read.to_owned(),
        (None, Kind::Content) => {
            format!("(SELECT c.record FROM contents c WHERE c.id = t.{})", column.name)
        }
        (None, _) => format!("t.{}", column.name),
    });
    format!("SELECT {} {}", read.collect::<Vec<_>>().join(", "), rows(table))
}

/// The columns that are written, each with what is written to it.
pub(super) fn written(table: &Table) -> Vec<(&'static str, String)> {
    let columns = table.columns.iter().flat_map(|column| match elsewhere(table, column.name) {
        Some(kept) => kept.write.iter().map(|(to, value)| (*to, (*value).to_owned())).collect(),
        None => vec![(column.name, format!(":{}", column.name))],
    });
    columns.collect()
}

/// The statement that writes a row.
pub(super) fn insert(table: &Table) -> String {
    let (columns, values): (Vec<_>, Vec<_>) = written(table).into_iter().unzip();
    format!("INSERT INTO {} ({}) VALUES ({})", table.name, columns.join(", "), values.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::connection;
    use super::*;
    use crate::store::transfer::tables::TABLES;

    /// What of the schema no transfer names: the row of the server, where keys are looked up, sealed texts, which go
    /// with what they belong to, and what is `NULL` unless a purge is running.
    const OWN: &[(&str, &[&str])] = &[
        ("server", &["id", "master_proof", "answers_indexed"]),
        ("answer_index", &["day", "lookup", "answer"]),
        ("contents", &["id", "record"]),
        ("answers", &["id"]),
        ("purge_jobs", &["answer"]),
    ];

    #[test]
    fn every_column_of_the_schema_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let conn = connection::open_new(&folder.path().join("zumik.db")).unwrap();
        let mut schema: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut columns = conn
            .prepare(
                "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY 1, 2",
            )
            .unwrap();
        let mut rows = columns.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            schema.entry(row.get(0).unwrap()).or_default().push(row.get(1).unwrap());
        }
        let mut moved: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in TABLES {
            let columns = moved.entry(table.name.to_owned()).or_default();
            columns.extend(written(table).into_iter().map(|(column, _)| column.to_owned()));
        }
        for (table, columns) in OWN {
            let moved = moved.entry((*table).to_owned()).or_default();
            moved.extend(columns.iter().map(|column| (*column).to_owned()));
        }
        moved.values_mut().for_each(|columns| columns.sort());
        assert_eq!(moved, schema);
        for table in TABLES {
            conn.prepare(&select(table)).unwrap();
            conn.prepare(&insert(table)).unwrap();
        }
    }

    #[test]
    fn what_is_kept_elsewhere_is_a_column_of_a_transfer() {
        for kept in ELSEWHERE {
            let table = TABLES.iter().find(|table| table.name == kept.table).unwrap();
            assert!(table.named(kept.column).is_some(), "{}.{}", kept.table, kept.column);
        }
    }
}
