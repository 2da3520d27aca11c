//! A table as it is in its file: what its rows are as items, and what the triggers must know.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection};

use super::changes::Shape;
use super::triggers::Subject;
use crate::config::{KeyKind, KeySpec, TableSpec};

/// A table that can be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// For the triggers.
    pub subject: Subject,
    /// For reading rows as items.
    pub shape: Shape,
    /// All columns that can be written, the key's included.
    pub columns: Vec<Column>,
    /// What is not seen of this table, in words.
    pub remarks: Vec<String>,
}

/// A column that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its default, as SQL.
    pub default: Option<String>,
}

/// In the text of the tables that we make: it stays there through dumps, copies and alterations.
pub const OWN_MARK: &str = "/* dropwire: the other attributes, as JSON */";

/// What the table's name stands for in the file.
pub enum Lookup {
    /// Nothing.
    Missing,
    /// Something that cannot be watched, and why, in words.
    Unfit(String),
    /// A table.
    Found(Box<Schema>),
}

struct ColumnRow {
    name: String,
    declared: String,
    default: Option<String>,
    key_place: i64,
    generated: bool,
    not_null: bool,
}

/// Looks the table up.
pub async fn look_up(connection: &mut SqliteConnection, spec: &TableSpec) -> Result<Lookup, sqlx::Error> {
    let sql = "SELECT l.type, l.name, coalesce(s.sql, ''), l.wr FROM pragma_table_list AS l JOIN sqlite_schema AS s ON s.name = l.name \
               WHERE l.schema = 'main' AND s.type IN ('table', 'view') AND l.name = ?1 COLLATE NOCASE";
    let Some(row) = sqlx::query(sql).bind(&spec.name).fetch_optional(&mut *connection).await? else {
        return Ok(Lookup::Missing);
    };
    let (kind, table, sql): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let without_rowid = row.try_get::<i64, _>(3)? != 0;
    if kind != "table" {
        let what = format!("it is a {kind} table").replace("view table", "view");
        return Ok(Lookup::Unfit(format!(
            "{what}, and triggers can capture changes of ordinary tables only"
        )));
    }
    let encoding: String =
        sqlx::query_scalar("SELECT encoding FROM pragma_encoding").fetch_one(&mut *connection).await?;
    if encoding != "UTF-8" {
        return Ok(Lookup::Unfit(format!("the file's text is in {encoding}, and dropwire reads UTF-8 only")));
    }
    let columns = columns(connection, &table).await?;
    let (unique, remarks) = unique(connection, &table).await?;
    Ok(found(spec, Parts { table, sql, without_rowid, columns, unique, remarks }))
}

async fn columns(connection: &mut SqliteConnection, table: &str) -> Result<Vec<ColumnRow>, sqlx::Error> {
    let sql =
        "SELECT name, type, dflt_value, pk, hidden, \"notnull\" FROM pragma_table_xinfo(?1) ORDER BY cid";
    let rows = sqlx::query(sql).bind(table).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(ColumnRow {
                name: row.try_get(0)?,
                declared: row.try_get(1)?,
                default: row.try_get(2)?,
                key_place: row.try_get(3)?,
                generated: row.try_get::<i64, _>(4)? != 0,
                not_null: row.try_get::<i64, _>(5)? != 0,
            })
        })
        .collect()
}

/// A unique index: its columns with their collations.
struct Unique {
    columns: Vec<(String, String)>,
    is_whole: bool,
    is_primary: bool,
}

/// The unique indexes over columns, and a remark on each that is over an expression.
async fn unique(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<(Vec<Unique>, Vec<String>), sqlx::Error> {
    let sql = "SELECT l.name, l.origin, l.partial, x.name, x.coll FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS x \
               WHERE l.\"unique\" AND x.key ORDER BY l.seq, x.seqno";
    let mut indexes: BTreeMap<String, Option<Unique>> = BTreeMap::new();
    for row in sqlx::query(sql).bind(table).fetch_all(connection).await? {
        let (index, origin, partial): (String, String, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let column: Option<String> = row.try_get(3)?;
        let known = indexes.entry(index).or_insert_with(|| {
            Some(Unique { columns: Vec::new(), is_whole: partial == 0, is_primary: origin == "pk" })
        });
        match (column, known.as_mut()) {
            (Some(column), Some(known)) => known.columns.push((column, row.try_get(4)?)),
            _ => *known = None,
        }
    }
    let remark = |index: &String| {
        format!(
            "a row of `{table}` that REPLACE removes because of the unique index `{index}` gives no REMOVE record: the index is over an expression"
        )
    };
    let remarks =
        indexes.iter().filter(|(_, unique)| unique.is_none()).map(|(index, _)| remark(index)).collect();
    Ok((indexes.into_values().flatten().collect(), remarks))
}

struct Parts {
    table: String,
    sql: String,
    without_rowid: bool,
    columns: Vec<ColumnRow>,
    unique: Vec<Unique>,
    remarks: Vec<String>,
}

fn found(spec: &TableSpec, parts: Parts) -> Lookup {
    let keys = match keys(spec, &parts.columns) {
        Ok(keys) => keys,
        Err(why) => return Lookup::Unfit(why),
    };
    let row_id = row_id(&parts);
    let is_key = |name: &String| keys.iter().any(|key| key.name == *name);
    let holds = |unique: &Unique| unique.is_whole && unique.columns.iter().all(|(name, _)| is_key(name));
    if !row_id.as_ref().is_some_and(is_key) && !parts.unique.iter().any(holds) {
        let list =
            keys.iter().map(|key| super::triggers::identifier(&key.name)).collect::<Vec<_>>().join(", ");
        let table = super::triggers::identifier(&parts.table);
        return Lookup::Unfit(format!(
            "several rows may have the same key, and an item has a key of its own; make it unique: CREATE UNIQUE INDEX \"{}_key\" ON {table} ({list})",
            parts.table.replace('"', "\"\"")
        ));
    }
    let mut unique: Vec<Vec<(String, String)>> = parts
        .unique
        .into_iter()
        .filter(|unique| !(holds(unique) && unique.columns.len() == keys.len()))
        .map(|unique| unique.columns)
        .collect();
    unique.extend(
        row_id.iter().filter(|name| !is_key(name)).map(|name| vec![(name.clone(), "BINARY".to_owned())]),
    );
    let own = parts.sql.contains(OWN_MARK);
    let has = |name: &str| {
        parts.columns.iter().any(|column| column.name == name) && !keys.iter().any(|key| key.name == name)
    };
    let rest = REST_NAMES.into_iter().find(|name| own && has(name)).map(str::to_owned);
    let key_is_rowid = keys.len() == 1 && row_id.is_some_and(|name| is_key(&name));
    let columns: Vec<String> = parts.columns.iter().map(|column| column.name.clone()).collect();
    let not_null = parts.columns.iter().filter(|column| column.not_null);
    let defaults =
        not_null.filter_map(|column| Some((column.name.clone(), column.default.clone()?))).collect();
    let writable = parts.columns.into_iter().filter(|column| !column.generated);
    Lookup::Found(Box::new(Schema {
        subject: Subject {
            tag: spec.name.clone(),
            table: parts.table,
            keys: keys.iter().map(|key| key.name.clone()).collect(),
            key_is_rowid,
            columns,
            unique,
            defaults,
        },
        shape: Shape { keys, rest },
        columns: writable.map(|column| Column { name: column.name, default: column.default }).collect(),
        remarks: parts.remarks,
    }))
}

/// The names of the column for the other attributes: the second for a table whose key is called like the first.
const REST_NAMES: [&str; 2] = ["item", "attributes"];

/// The column that is the row id, if there is one.
fn row_id(parts: &Parts) -> Option<String> {
    let mut primary = parts.columns.iter().filter(|column| column.key_place > 0);
    let only = primary.next().filter(|_| primary.next().is_none())?;
    let is_integer = only.declared.eq_ignore_ascii_case("INTEGER");
    // INTEGER PRIMARY KEY DESC is an ordinary key, with an index of its own.
    let has_index = parts.unique.iter().any(|unique| unique.is_primary);
    (is_integer && !parts.without_rowid && !has_index).then(|| only.name.clone())
}

/// The key's columns: the declared ones, or else the primary key's.
fn keys(spec: &TableSpec, columns: &[ColumnRow]) -> Result<Vec<KeySpec>, String> {
    if !spec.keys.is_empty() {
        return spec.keys.iter().map(|key| declared_key(key, columns)).collect();
    }
    let mut primary: Vec<&ColumnRow> = columns.iter().filter(|column| column.key_place > 0).collect();
    primary.sort_by_key(|column| column.key_place);
    match primary.len() {
        1 | 2 => {
            Ok(primary.iter().map(|c| KeySpec { name: c.name.clone(), kind: kind(&c.declared) }).collect())
        }
        0 => Err("it has no primary key; say which column is the key: key = \"COLUMN:S\"".to_owned()),
        count => Err(format!(
            "its primary key has {count} columns, and an item's key has one or two attributes; say which: key = \"COLUMN:S, COLUMN:N\""
        )),
    }
}

fn declared_key(key: &KeySpec, columns: &[ColumnRow]) -> Result<KeySpec, String> {
    let exact = columns.iter().find(|column| column.name == key.name);
    match exact.or_else(|| columns.iter().find(|column| column.name.eq_ignore_ascii_case(&key.name))) {
        Some(column) => Ok(KeySpec { name: column.name.clone(), kind: key.kind }),
        None => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            Err(format!("it has no column `{}` to be its key; it has {}", key.name, names.join(", ")))
        }
    }
}

/// The key type of a column that is declared so. Where SQLite would hold text or numbers alike, text: every
/// number can be written as text.
fn kind(declared: &str) -> KeyKind {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    match () {
        () if has(&["INT"]) => KeyKind::N,
        () if has(&["CHAR", "CLOB", "TEXT"]) => KeyKind::S,
        () if has(&["BLOB"]) => KeyKind::B,
        () if has(&["REAL", "FLOA", "DOUB", "NUM", "DEC", "BOOL"]) => KeyKind::N,
        () => KeyKind::S,
    }
}

/// The statement that makes our own table with these keys.
pub fn create(spec: &TableSpec) -> String {
    let identifier = super::triggers::identifier;
    let mut lines: Vec<String> = spec
        .keys
        .iter()
        .map(|key| {
            let (declared, types) = match key.kind {
                KeyKind::S => ("TEXT", "'text'"),
                KeyKind::N => ("NUMERIC", "'integer', 'real'"),
                KeyKind::B => ("BLOB", "'blob'"),
            };
            let name = identifier(&key.name);
            let rule =
                identifier(&format!("{} must be of type {}", key.name, super::changes::kind_name(key.kind)));
            format!("  {name} {declared} NOT NULL CONSTRAINT {rule} CHECK (typeof({name}) IN ({types})),")
        })
        .collect();
    let is_taken = |name: &str| spec.keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
    let rest = REST_NAMES.into_iter().find(|name| !is_taken(name)).unwrap_or("item");
    lines.push(format!(
        "  {rest} TEXT NOT NULL DEFAULT '{{}}' CONSTRAINT \"{rest} must be a JSON object\" \
         CHECK (json_valid({rest}) AND json_type({rest}) IS 'object'), {OWN_MARK}"
    ));
    let keys: Vec<String> = spec.keys.iter().map(|key| identifier(&key.name)).collect();
    format!(
        "CREATE TABLE {} (\n{}\n  PRIMARY KEY ({})\n)",
        identifier(&spec.name),
        lines.join("\n"),
        keys.join(", ")
    )
}
