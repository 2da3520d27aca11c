//! The SQL that captures changes inside the user's file: our tables and the triggers of one table. Pure.
//!
//! What each write leaves in the log, in the transaction that makes it:
//!
//! ```text
//!   INSERT                     BEFORE: stash the rows that it conflicts with    AFTER: those that are gone, (stashed, new)
//!   UPDATE                     BEFORE: stash the row, and those in conflict     AFTER: those that are gone, (stashed, new)
//!   DELETE                     BEFORE: stash the row                            AFTER: (stashed, none)
//! ```
//!
//! The stash is what sees through REPLACE, which removes rows without a word: its DELETE triggers fire only
//! under `recursive_triggers`. Rows that were logged as removed within the same statement (then they do fire)
//! are not told twice: each stashed row knows the end of the log at its time. A stash that nothing came of
//! (INSERT OR IGNORE, a trigger's RAISE) is cleared before the next use.
//!
//! Images are read from the table, not from NEW and OLD, in a scope where each column has a stand-in: so a
//! column can be dropped although our triggers name it.
//!
//! No statement here relies on a conflict clause, because a trigger runs under the clause of the statement that
//! fired it. We create our triggers after all others, because SQLite fires the youngest first: so what another
//! trigger changes in turn comes after what it answers to.

use std::collections::BTreeMap;

use super::image;

/// Our tables. Not STRICT, so that the file stays readable for SQLite before 3.37. Keys have no declared type
/// and so keep what they are given. `log.nonce` tells a row from another that got its number in a restored copy.
pub const TABLES: &str = "
CREATE TABLE IF NOT EXISTS dropwire_meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS dropwire_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT, k1, k2, old TEXT, new TEXT,
    done INTEGER DEFAULT 0, nonce INTEGER DEFAULT (random()));
CREATE TABLE IF NOT EXISTS dropwire_stash (
    tbl TEXT, op TEXT, b1, b2, k1, k2, old TEXT, mark INTEGER);
CREATE INDEX IF NOT EXISTS dropwire_stash_by ON dropwire_stash (tbl, op, b1, b2);
";

/// What begins the name of everything we put into a file.
pub const PREFIX: &str = "dropwire_";

/// What the triggers must know of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The name that log rows carry: the table's in the wiring.
    pub tag: String,
    /// The name in the file.
    pub table: String,
    /// One or two key columns.
    pub keys: Vec<String>,
    /// Whether the only key column is the row id itself, which SQLite chooses after the BEFORE triggers.
    pub key_is_rowid: bool,
    /// All columns, the key's included.
    pub columns: Vec<String>,
    /// What else makes rows conflict: columns with their collations.
    pub unique: Vec<Vec<(String, String)>>,
    /// The defaults of columns that cannot be NULL, as SQL: REPLACE puts them in the place of a NULL.
    pub defaults: BTreeMap<String, String>,
}

/// The six triggers of a table, in the order in which they are made.
pub const KINDS: [&str; 6] =
    ["before_insert", "after_insert", "before_update", "after_update", "before_delete", "after_delete"];

/// The name of a trigger.
pub fn name(tag: &str, kind: &str) -> String {
    format!("{PREFIX}{tag}_{kind}")
}

/// An identifier in double quotes.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Which row an expression speaks of, for the SQL builders here: NEW, OLD or a table's alias.
type Row<'a> = &'a str;

/// NEW as it will be stored, which a BEFORE trigger is not shown.
const COMING: Row<'static> = "COMING";

impl Subject {
    /// The triggers, by name.
    pub fn triggers(&self) -> Vec<(String, String)> {
        let bodies = [
            self.before_insert(),
            self.after_insert(),
            self.before_update(),
            self.after_update(),
            self.before_delete(),
            self.after_delete(),
        ];
        let made = KINDS.iter().zip(bodies).map(|(kind, body)| {
            let (name, when) = (name(&self.tag, kind), kind.replace('_', " "));
            let head = format!("CREATE TRIGGER {} {when} ON {}", identifier(&name), identifier(&self.table));
            (name, format!("{head} BEGIN\n{}\nEND", body.join("\n")))
        });
        made.collect()
    }

    /// Amends the last images of rows that were written since `?1` while the triggers did not know all columns.
    pub fn repair(&self) -> String {
        format!(
            "UPDATE dropwire_log AS l SET new = {image} WHERE l.new IS NOT NULL AND l.seq IN \
             (SELECT max(seq) FROM dropwire_log WHERE tbl = {tag} AND seq > ?1 AND done = 0 GROUP BY k1, k2) \
             AND EXISTS (SELECT 1 FROM {table} AS r WHERE {there})",
            image = self.image("l", &["k1", "k2"]),
            tag = literal(&self.tag),
            table = identifier(&self.table),
            there = self.row_is("l", &["k1", "k2"]),
        )
    }

    fn before_insert(&self) -> Vec<String> {
        let mut body = vec![self.clear("I", COMING)];
        if self.key_is_rowid {
            body.push(self.clear("A", COMING));
            let (tag, key) = (literal(&self.tag), self.key(COMING, 0));
            body.push(format!(
                "INSERT INTO dropwire_stash (tbl, op, b1, b2) VALUES ({tag}, 'A', {key}, '');"
            ));
        }
        body.push(self.stash("I", COMING, &self.conflicts()));
        body
    }

    fn after_insert(&self) -> Vec<String> {
        let (mine, announced) = match self.key_is_rowid {
            true => (self.announced("I"), Some(self.announced("A"))),
            false => (self.stashed_by("I", "NEW"), None),
        };
        let mut body = vec![
            self.log_gone(&mine, &format!("NOT ({})", self.stashed_is("NEW"))),
            self.forget_removal(&mine),
            self.log_new(&mine),
            format!("DELETE FROM dropwire_stash WHERE {mine};"),
        ];
        body.extend(announced.map(|announced| format!("DELETE FROM dropwire_stash WHERE {announced};")));
        body
    }

    /// What was stashed under the key that this insert had before SQLite chose its row id: then it read -1. Each
    /// insert announces itself, and of those that it may have been, the last is still on its way.
    fn announced(&self, op: &str) -> String {
        let (tag, key) = (literal(&self.tag), self.key("NEW", 0));
        format!(
            "tbl = {tag} AND op = '{op}' AND b1 IS (SELECT m.b1 FROM dropwire_stash AS m WHERE m.tbl = {tag} \
             AND m.op = 'A' AND m.b1 IN ({key}, -1) ORDER BY m.rowid DESC LIMIT 1)"
        )
    }

    fn before_update(&self) -> Vec<String> {
        let itself = format!("({})", self.each_key(|i, name| format!("c.{name} = {}", self.key("OLD", i))));
        vec![self.clear("U", "OLD"), self.stash("U", "OLD", &format!("{itself} OR {}", self.conflicts()))]
    }

    fn after_update(&self) -> Vec<String> {
        let mine = self.stashed_by("U", "OLD");
        let same_key =
            self.each_key(|i, _| format!("{} COLLATE BINARY IS {}", self.key("OLD", i), self.key("NEW", i)));
        vec![
            self.log_gone(
                &mine,
                &format!("NOT ({}) AND NOT ({})", self.stashed_is("OLD"), self.stashed_is("NEW")),
            ),
            format!(
                "INSERT INTO dropwire_log (tbl, k1, k2, old) SELECT s.tbl, s.k1, s.k2, s.old FROM dropwire_stash AS s \
                 WHERE {mine} AND {} AND NOT ({same_key});",
                self.stashed_is("OLD")
            ),
            self.forget_removal(&format!("{mine} AND NOT ({same_key})")),
            self.log_new(&mine),
            self.clear("U", "OLD"),
            // An upsert began as an insert.
            self.clear("I", "NEW"),
            self.clear("A", "NEW"),
        ]
    }

    fn before_delete(&self) -> Vec<String> {
        let itself = self.each_key(|i, name| format!("c.{name} = {}", self.key("OLD", i)));
        vec![self.clear("D", "OLD"), self.stash("D", "OLD", &itself)]
    }

    fn after_delete(&self) -> Vec<String> {
        vec![
            // An update of this very row whose REPLACE, through a foreign key, came to delete it: no AFTER UPDATE
            // comes any more.
            self.log_gone(&self.stashed_by("U", "OLD"), &format!("NOT ({})", self.stashed_is("OLD"))),
            self.log_gone(&self.stashed_by("D", "OLD"), &self.stashed_is("OLD")),
            self.clear("U", "OLD"),
            self.clear("D", "OLD"),
        ]
    }

    /// Stashes the rows `c` that `which` says, for the statement's row.
    fn stash(&self, op: &str, by: Row<'_>, which: &str) -> String {
        format!(
            "INSERT INTO dropwire_stash (tbl, op, b1, b2, k1, k2, old, mark) \
             SELECT {tag}, '{op}', {b1}, {b2}, {k1}, {k2}, {image}, (SELECT coalesce(max(seq), 0) FROM dropwire_log) \
             FROM {table} AS c WHERE {which};",
            tag = literal(&self.tag),
            b1 = self.key(by, 0),
            b2 = self.key(by, 1),
            k1 = self.key("c", 0),
            k2 = self.key("c", 1),
            image = self.image("c", &self.key_refs()),
            table = identifier(&self.table),
        )
    }

    /// The rows `c` that NEW cannot stand beside.
    fn conflicts(&self) -> String {
        let by_key = format!("({})", self.each_key(|i, name| format!("c.{name} = {}", self.key(COMING, i))));
        let by_index = self.unique.iter().map(|columns| {
            let equal = columns.iter().map(|(name, collation)| {
                format!(
                    "c.{} COLLATE {} = {}",
                    identifier(name),
                    identifier(collation),
                    self.value(COMING, name)
                )
            });
            format!("({})", equal.collect::<Vec<_>>().join(" AND "))
        });
        std::iter::once(by_key).chain(by_index).collect::<Vec<_>>().join(" OR ")
    }

    /// Logs the removal of stashed rows that are gone and were not logged as removed since.
    fn log_gone(&self, mine: &str, others: &str) -> String {
        format!(
            "INSERT INTO dropwire_log (tbl, k1, k2, old) SELECT s.tbl, s.k1, s.k2, s.old FROM dropwire_stash AS s \
             WHERE {mine} AND {others} AND NOT EXISTS (SELECT 1 FROM {table} AS r WHERE {there}) \
             AND NOT EXISTS (SELECT 1 FROM dropwire_log AS l WHERE l.seq > s.mark AND l.tbl = s.tbl \
             AND l.k1 IS s.k1 AND l.k2 IS s.k2 AND l.new IS NULL);",
            table = identifier(&self.table),
            there = self.row_is("s", &["k1", "k2"]),
        )
    }

    /// A removal of NEW's key that was logged within this statement is the first half of a REPLACE.
    fn forget_removal(&self, mine: &str) -> String {
        format!(
            "DELETE FROM dropwire_log WHERE seq > (SELECT s.mark FROM dropwire_stash AS s WHERE {mine} AND {}) \
             AND tbl = {} AND k1 IS {} AND k2 IS {} AND new IS NULL;",
            self.stashed_is("NEW"),
            literal(&self.tag),
            self.key("NEW", 0),
            self.key("NEW", 1),
        )
    }

    /// Logs NEW, as changed from what is stashed of its key.
    fn log_new(&self, mine: &str) -> String {
        format!(
            "INSERT INTO dropwire_log (tbl, k1, k2, old, new) VALUES ({}, {}, {}, \
             (SELECT s.old FROM dropwire_stash AS s WHERE {mine} AND {}), {});",
            literal(&self.tag),
            self.key("NEW", 0),
            self.key("NEW", 1),
            self.stashed_is("NEW"),
            self.image("NEW", &self.key_refs()),
        )
    }

    fn clear(&self, op: &str, by: Row<'_>) -> String {
        format!("DELETE FROM dropwire_stash WHERE {};", self.stashed_by(op, by))
    }

    /// The stash of this statement's row.
    fn stashed_by(&self, op: &str, by: Row<'_>) -> String {
        let tag = literal(&self.tag);
        format!("tbl = {tag} AND op = '{op}' AND b1 IS {} AND b2 IS {}", self.key(by, 0), self.key(by, 1))
    }

    /// The stashed row `s` has this row's very key.
    fn stashed_is(&self, row: Row<'_>) -> String {
        format!("s.k1 IS {} AND s.k2 IS {}", self.key(row, 0), self.key(row, 1))
    }

    /// The `i`th key value of this row; a key of one part has an empty second one.
    fn key(&self, row: Row<'_>, i: usize) -> String {
        self.keys.get(i).map_or_else(|| "''".to_owned(), |name| self.value(row, name))
    }

    fn value(&self, row: Row<'_>, name: &str) -> String {
        let column = identifier(name);
        match self.defaults.get(name).filter(|_| row == COMING) {
            Some(default) => format!("coalesce(NEW.{column}, ({default}))"),
            None if row == COMING => format!("NEW.{column}"),
            None => format!("{row}.{column}"),
        }
    }

    fn key_refs(&self) -> Vec<String> {
        self.keys.iter().map(|name| identifier(name)).collect()
    }

    fn each_key(&self, says: impl Fn(usize, &str) -> String) -> String {
        self.keys
            .iter()
            .enumerate()
            .map(|(i, name)| says(i, &identifier(name)))
            .collect::<Vec<_>>()
            .join(" AND ")
    }

    /// The row `r` has the key that `row` holds in these columns: first as the index finds it, then to the letter.
    fn row_is(&self, row: Row<'_>, columns: &[impl AsRef<str>]) -> String {
        self.each_key(|i, name| {
            let value = format!("{row}.{}", columns[i].as_ref());
            format!("r.{name} = {value} AND r.{name} COLLATE BINARY = {value}")
        })
    }

    /// The image of the table's row with the key that `row` holds in these columns; NULL if there is none.
    fn image(&self, row: Row<'_>, columns: &[impl AsRef<str>]) -> String {
        let stand_ins: Vec<String> =
            self.columns.iter().map(|name| format!("NULL AS {}", identifier(name))).collect();
        format!(
            "(SELECT (SELECT {} FROM {} AS r WHERE {}) FROM (SELECT {}))",
            image::expression(&self.columns),
            identifier(&self.table),
            self.row_is(row, columns),
            stand_ins.join(", ")
        )
    }
}

#[cfg(test)]
#[path = "triggers_tests.rs"]
mod tests;
