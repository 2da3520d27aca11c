//! The table itself: making it with its seed, putting and deleting items.

use std::path::Path;

use serde_json::{Map, Value};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Connection, Row, Sqlite, SqliteConnection};

use super::attribute::{Attribute, quoted};
use super::changes::{as_key, kind_name};
use super::number::Number;
use super::schema::{Lookup, Schema, create, look_up};
use super::triggers::identifier;
use crate::config::{KeyKind, TableSpec};

/// Why a table could not be made or written.
#[derive(Debug)]
pub enum Refusal {
    /// SQLite's word.
    Sqlite(sqlx::Error),
    /// Ours.
    Words(String),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Refusal {
        Refusal::Sqlite(error)
    }
}

impl Refusal {
    /// SQLite's word, if it is its.
    pub fn sqlite(&self) -> Option<&sqlx::Error> {
        match self {
            Refusal::Sqlite(error) => Some(error),
            Refusal::Words(_) => None,
        }
    }
}

/// A value to bind.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// A row to write: columns with their values.
type Cells = Vec<(String, Cell)>;

/// Makes the table and puts its seed into it, all or nothing. Runs before the triggers are there: a seed is
/// what the table begins with, and no change of it.
pub async fn make(
    connection: &mut SqliteConnection,
    spec: &TableSpec,
    seed: &[(usize, Value)],
) -> Result<(), Refusal> {
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(AssertSqlSafe(create(spec))).execute(&mut *write).await?;
    let Lookup::Found(schema) = look_up(&mut write, spec).await? else {
        return Err(Refusal::Words("it is not there after it was made".to_owned()));
    };
    for (line, item) in seed {
        let stored = async { store(&mut write, &schema, &row(&schema, item).map_err(Refusal::Words)?).await };
        stored.await.map_err(|refusal| at_line(spec, *line, refusal))?;
    }
    write.commit().await?;
    Ok(())
}

fn at_line(spec: &TableSpec, line: usize, refusal: Refusal) -> Refusal {
    let why = match refusal {
        Refusal::Words(why) => why,
        Refusal::Sqlite(error) => {
            error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned())
        }
    };
    let file = spec.seed.as_deref().unwrap_or(Path::new(""));
    Refusal::Words(format!(
        "line {line} of its seed {} cannot be put: {why}; nothing of the seed was put",
        file.display()
    ))
}

/// The items of a seed, with their lines.
pub fn read_seed(file: &Path) -> Result<Vec<(usize, Value)>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("its seed {} cannot be read: {error}", file.display()))?;
    let mut items = Vec::new();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let item = serde_json::from_str(text);
        let item = item.map_err(|error| {
            format!("line {} of its seed {} is no JSON: {error}", line + 1, file.display())
        })?;
        items.push((line + 1, item));
    }
    Ok(items)
}

/// Puts an item: it replaces the one of the same key as a whole.
pub async fn put(connection: &mut SqliteConnection, spec: &TableSpec, item: &Value) -> Result<(), Refusal> {
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    let schema = writable(&mut write, spec).await?;
    let cells = row(&schema, item).map_err(Refusal::Words)?;
    store(&mut write, &schema, &cells).await?;
    write.commit().await?;
    Ok(())
}

/// Deletes the item of this key; none is fine. Other attributes in `key` count for nothing.
pub async fn delete(connection: &mut SqliteConnection, spec: &TableSpec, key: &Value) -> Result<(), Refusal> {
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    let schema = writable(&mut write, spec).await?;
    let cells = key_cells(&schema, object(key).map_err(Refusal::Words)?).map_err(Refusal::Words)?;
    let sql = format!("DELETE FROM {} WHERE {}", identifier(&schema.subject.table), equal(&cells, 1));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (_, cell) in &cells {
        query = bind(query, cell);
    }
    query.execute(&mut *write).await?;
    write.commit().await?;
    Ok(())
}

async fn writable(connection: &mut SqliteConnection, spec: &TableSpec) -> Result<Schema, Refusal> {
    match look_up(connection, spec).await? {
        Lookup::Found(schema) => Ok(*schema),
        Lookup::Missing => Err(Refusal::Words("there is no such table any more".to_owned())),
        Lookup::Unfit(why) => Err(Refusal::Words(why)),
    }
}

/// Updates the row of this key, or inserts it. Not REPLACE: that would take along rows that refer to it.
async fn store(connection: &mut SqliteConnection, schema: &Schema, cells: &Cells) -> Result<(), Refusal> {
    let (table, keys) = (identifier(&schema.subject.table), schema.subject.keys.len());
    let mut sets: Vec<String> = Vec::new();
    for column in &schema.columns {
        let name = identifier(&column.name);
        let given = cells.iter().position(|(cell, _)| *cell == column.name);
        match (given, &column.default) {
            (Some(at), _) => sets.push(format!("{name} = ?{}", at + 1)),
            (None, Some(default)) => sets.push(format!("{name} = ({default})")),
            (None, None) => sets.push(format!("{name} = NULL")),
        }
    }
    let update = format!("UPDATE {table} SET {} WHERE {}", sets.join(", "), equal(&cells[..keys], 1));
    let names: Vec<String> = cells.iter().map(|(name, _)| identifier(name)).collect();
    let marks: Vec<String> = (1..=cells.len()).map(|i| format!("?{i}")).collect();
    let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "));
    for sql in [update, insert] {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (_, cell) in cells {
            query = bind(query, cell);
        }
        if query.execute(&mut *connection).await?.rows_affected() > 0 {
            break;
        }
    }
    Ok(())
}

/// `"a" = ?1 AND "b" = ?2`.
fn equal(cells: &[(String, Cell)], first: usize) -> String {
    let terms =
        cells.iter().enumerate().map(|(i, (name, _))| format!("{} = ?{}", identifier(name), first + i));
    terms.collect::<Vec<_>>().join(" AND ")
}

fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, cell: &Cell) -> Query<'q, Sqlite, SqliteArguments> {
    match cell {
        Cell::Null => query.bind(None::<String>),
        Cell::Int(value) => query.bind(*value),
        Cell::Real(value) => query.bind(*value),
        Cell::Text(value) => query.bind(value.clone()),
        Cell::Blob(value) => query.bind(value.clone()),
    }
}

fn object(item: &Value) -> Result<&Map<String, Value>, String> {
    item.as_object().ok_or_else(|| format!("an item is a JSON object, and this is {item}"))
}

/// The row that this item is, its key first.
fn row(schema: &Schema, item: &Value) -> Result<Cells, String> {
    let item = object(item)?;
    let mut cells = key_cells(schema, item)?;
    let mut rest = Map::new();
    for (name, value) in item.iter().filter(|(name, _)| !schema.subject.keys.contains(name)) {
        let is_rest = schema.shape.rest.as_ref() == Some(name);
        match schema.columns.iter().find(|column| column.name == *name).filter(|_| !is_rest) {
            Some(_) => cells.push((name.clone(), cell(value))),
            None if schema.shape.rest.is_some() => {
                rest.insert(name.clone(), value.clone());
            }
            None => {
                let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
                return Err(format!(
                    "it has no column for the attribute `{name}`; it has {}",
                    names.join(", ")
                ));
            }
        }
    }
    if let Some(column) = &schema.shape.rest {
        cells.push((column.clone(), Cell::Text(Value::Object(rest).to_string())));
    }
    Ok(cells)
}

fn key_cells(schema: &Schema, item: &Map<String, Value>) -> Result<Cells, String> {
    let of = |key: &crate::config::KeySpec| {
        let kind = kind_name(key.kind);
        let value =
            item.get(&key.name).ok_or_else(|| format!("the item has no key `{}` ({kind})", key.name))?;
        let typed = attribute(value);
        let fits = as_key(&typed, key.kind).filter(|fit| key.kind != KeyKind::S || *fit == typed);
        let fit =
            fits.ok_or_else(|| format!("its key `{}` is {value}, and must be of type {kind}", key.name))?;
        Ok((key.name.clone(), bindable(&fit)))
    };
    schema.shape.keys.iter().map(of).collect()
}

fn attribute(value: &Value) -> Attribute {
    // A value's own text is JSON.
    Attribute::from_plain(&value.to_string()).unwrap_or(Attribute::Null)
}

/// What a column gets for a plain value: lists, maps and sets as their JSON text.
fn cell(value: &Value) -> Cell {
    match attribute(value) {
        Attribute::L(_) | Attribute::M(_) | Attribute::Ss(_) | Attribute::Ns(_) | Attribute::Bs(_) => {
            Cell::Text(value.to_string())
        }
        simple => bindable(&simple),
    }
}

fn bindable(value: &Attribute) -> Cell {
    match value {
        Attribute::S(text) => Cell::Text(text.clone()),
        Attribute::N(number) => numeric(number),
        Attribute::B(bytes) => Cell::Blob(bytes.clone()),
        Attribute::Bool(value) => Cell::Int(i64::from(*value)),
        Attribute::Null => Cell::Null,
        other => Cell::Text(quoted(&other.shown())),
    }
}

/// An integer, or the nearest double.
fn numeric(number: &Number) -> Cell {
    let text = number.as_str();
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(value), _) => Cell::Int(value),
        (_, Ok(value)) => Cell::Real(value),
        _ => Cell::Text(text.to_owned()),
    }
}

/// The version that SQLite counts up with every change of the schema.
pub async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("PRAGMA schema_version").fetch_one(connection).await?.try_get(0)
}
