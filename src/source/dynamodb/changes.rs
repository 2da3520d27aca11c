//! From rows of the change log to changes of items. Pure.

use super::attribute::{self, Attribute, Item};
use super::image;
use super::number::Number;
use crate::config::{KeyKind, KeySpec};

/// How rows of a table are read as items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The key's columns with their types: one or two.
    pub keys: Vec<KeySpec>,
    /// The column that holds the other attributes as JSON, in tables that we made.
    pub rest: Option<String>,
}

/// One row of the log: what a row of the table was and what it is, each as the image that the triggers write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the log.
    pub seq: i64,
    /// None if there was no row.
    pub old: Option<Vec<u8>>,
    /// None if there is no row.
    pub new: Option<Vec<u8>>,
}

/// An item's key: its one or two attributes, the partition key first.
pub type Key = Vec<(String, Attribute)>;

/// One change of one item. At least one of `old` and `new` is there, and they differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Of the log row that told it.
    pub seq: i64,
    /// Counts the changes of one log row: an update of the key is two.
    pub part: u32,
    /// The item's key.
    pub key: Key,
    /// The item as it was.
    pub old: Option<Item>,
    /// The item as it is.
    pub new: Option<Item>,
}

/// What one log row tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// In order. None for a write that changed nothing.
    pub changes: Vec<Change>,
    /// Why a row is no item, if one is not: its key is NULL, or not of the key's type.
    pub unfit: Option<String>,
}

/// Reads one log row.
pub fn read(row: &LogRow, shape: &Shape) -> Told {
    let mut told = Told::default();
    if row.old.is_none() && row.new.is_none() {
        told.unfit = Some("its key is NULL".to_owned());
        return told;
    }
    let mut side = |image: &Option<Vec<u8>>| match image.as_deref().map(|image| keyed(image, shape)) {
        None => None,
        Some(Ok(found)) => Some(found),
        Some(Err(why)) => {
            told.unfit = Some(why);
            None
        }
    };
    let (old, new) = (side(&row.old), side(&row.new));
    let seq = row.seq;
    match (old, new) {
        (None, None) => {}
        (Some((key, old)), None) => {
            told.changes.push(Change { seq, part: 0, key, old: Some(old), new: None })
        }
        (None, Some((key, new))) => {
            told.changes.push(Change { seq, part: 0, key, old: None, new: Some(new) })
        }
        (Some((key, old)), Some((new_key, new))) if key == new_key => {
            if old != new {
                told.changes.push(Change { seq, part: 0, key, old: Some(old), new: Some(new) });
            }
        }
        (Some((old_key, old)), Some((key, new))) => {
            told.changes.push(Change { seq, part: 0, key: old_key, old: Some(old), new: None });
            told.changes.push(Change { seq, part: 1, key, old: None, new: Some(new) });
        }
    }
    told
}

/// The item that a row image shows, with its key.
fn keyed(image: &[u8], shape: &Shape) -> Result<(Key, Item), String> {
    let mut item = item(image, shape)?;
    let mut key = Key::new();
    for spec in &shape.keys {
        let value = item.get(&spec.name).ok_or_else(|| format!("it has no `{}`", spec.name))?;
        let value = as_key(value, spec.kind).ok_or_else(|| {
            format!("its key `{}` is {} and not {}", spec.name, value.kind(), kind_name(spec.kind))
        })?;
        item.insert(spec.name.clone(), value.clone());
        key.push((spec.name.clone(), value));
    }
    Ok((key, item))
}

fn item(image: &[u8], shape: &Shape) -> Result<Item, String> {
    let mut item = Item::new();
    let mut rest = Item::new();
    for (name, value) in image::read(image).ok_or("its image in the log is damaged")? {
        if shape.rest.as_ref() == Some(&name) {
            // The table's own CHECK keeps it an object; without it the value still is an attribute.
            rest = others(&value).unwrap_or_else(|| Item::from([(name, value)]));
        } else {
            item.insert(name, value);
        }
    }
    // A column is its attribute, whatever the JSON says beside it.
    for (name, value) in rest {
        item.entry(name).or_insert(value);
    }
    Ok(item)
}

/// The attributes in the column of the others, which somebody may have written as a BLOB.
fn others(value: &Attribute) -> Option<Item> {
    match value {
        Attribute::S(text) => attribute::item(text),
        Attribute::B(bytes) => attribute::item(&String::from_utf8_lossy(bytes)),
        _ => None,
    }
}

/// The value as a key of this type: SQLite is easy about types, so digits may stand for a number and a
/// number for its digits. None if it cannot be.
pub fn as_key(value: &Attribute, kind: KeyKind) -> Option<Attribute> {
    match (kind, value) {
        (KeyKind::S, Attribute::S(_)) | (KeyKind::N, Attribute::N(_)) | (KeyKind::B, Attribute::B(_)) => {
            Some(value.clone())
        }
        (KeyKind::S, Attribute::N(number)) => Some(Attribute::S(number.as_str().to_owned())),
        (KeyKind::N, Attribute::S(text)) => Number::parse(text.trim()).map(Attribute::N),
        (KeyKind::B, Attribute::S(text)) => Some(Attribute::B(text.clone().into_bytes())),
        _ => None,
    }
}

/// The key type's name.
pub fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::S => "S",
        KeyKind::N => "N",
        KeyKind::B => "B",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(keys: &[(&str, KeyKind)], rest: Option<&str>) -> Shape {
        let keys = keys.iter().map(|(name, kind)| KeySpec { name: (*name).into(), kind: *kind }).collect();
        Shape { keys, rest: rest.map(str::to_owned) }
    }

    /// Images given as JSON objects of SQL literals.
    fn row(old: Option<&str>, new: Option<&str>) -> LogRow {
        let image = |json: &str| {
            let members: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(json).expect("JSON");
            let pairs = members.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("text")));
            image::of(&pairs.collect::<Vec<_>>())
        };
        LogRow { seq: 7, old: old.map(image), new: new.map(image) }
    }

    /// Each change as `part key old>new`, items as typed JSON.
    fn shown(told: &Told) -> Vec<String> {
        let text = |item: &Option<Item>| {
            let mut out = String::new();
            item.iter().for_each(|item| attribute::write_item(&mut out, item.iter()));
            out
        };
        let key = |key: &Key| key.iter().map(|(_, value)| value.shown()).collect::<Vec<_>>().join("/");
        told.changes
            .iter()
            .map(|c| format!("{} {} {}>{}", c.part, key(&c.key), text(&c.old), text(&c.new)))
            .collect()
    }

    fn check(shape: &Shape, row: &LogRow, expected: &[&str]) {
        let told = read(row, shape);
        assert_eq!(shown(&told), expected);
        assert_eq!(told.unfit, None);
    }

    #[test]
    fn a_log_row_tells_what_happened_to_the_item() {
        let by_id = shape(&[("id", KeyKind::S)], None);
        let (one, two) = (r#"{"id":"ta","n":"1"}"#, r#"{"id":"ta","n":"2"}"#);
        check(&by_id, &row(None, Some(one)), &[r#"0 a >{"id":{"S":"a"},"n":{"N":"1"}}"#]);
        check(&by_id, &row(Some(one), None), &[r#"0 a {"id":{"S":"a"},"n":{"N":"1"}}>"#]);
        check(
            &by_id,
            &row(Some(one), Some(two)),
            &[r#"0 a {"id":{"S":"a"},"n":{"N":"1"}}>{"id":{"S":"a"},"n":{"N":"2"}}"#],
        );
    }

    #[test]
    fn an_update_of_the_key_is_a_removal_and_an_insert() {
        let by_both = shape(&[("id", KeyKind::S), ("at", KeyKind::N)], None);
        check(
            &by_both,
            &row(Some(r#"{"id":"ta","at":"1"}"#), Some(r#"{"id":"ta","at":"2"}"#)),
            &[r#"0 a/1 {"at":{"N":"1"},"id":{"S":"a"}}>"#, r#"1 a/2 >{"at":{"N":"2"},"id":{"S":"a"}}"#],
        );
    }

    #[test]
    fn what_is_the_same_value_is_no_change() {
        let own = shape(&[("id", KeyKind::S)], Some("item"));
        let same = [
            (r#"{\"a\":1.0,\"b\":[]}"#, r#"{\"b\" : [], \"a\":1e0}"#),
            (r#"{\"s\":{\"SS\":[\"x\",\"y\"]}}"#, r#"{\"s\":{\"SS\":[\"y\",\"x\"]}}"#),
        ];
        for (old, new) in same {
            let (old, new) =
                (format!(r#"{{"id":"tk","item":"t{old}"}}"#), format!(r#"{{"id":"tk","item":"t{new}"}}"#));
            check(&own, &row(Some(&old), Some(&new)), &[]);
        }
        let attached = shape(&[("id", KeyKind::N)], None);
        check(&attached, &row(Some(r#"{"id":"1","x":"1"}"#), Some(r#"{"id":"1.0","x":"1.0"}"#)), &[]);
        // A changed type is a change.
        let told = read(&row(Some(r#"{"id":"1","x":"1"}"#), Some(r#"{"id":"1","x":"t1"}"#)), &attached);
        assert_eq!(told.changes.len(), 1);
    }

    #[test]
    fn other_attributes_come_from_the_json_and_columns_go_first() {
        let own = shape(&[("id", KeyKind::S)], Some("item"));
        let image = r#"{"id":"tk","item":"t{\"id\":9,\"note\":\"x\",\"a\":null}","note":"7"}"#;
        check(
            &own,
            &row(None, Some(image)),
            &[r#"0 k >{"a":{"NULL":true},"id":{"S":"k"},"note":{"N":"7"}}"#],
        );
        let blob = format!(r#"{{"id":"tk","item":"X'{}'"}}"#, hex::encode_upper(r#"{"a":1}"#));
        check(&own, &row(None, Some(&blob)), &[r#"0 k >{"a":{"N":"1"},"id":{"S":"k"}}"#]);
    }

    #[test]
    fn keys_take_the_declared_type_or_the_row_is_no_item() {
        let key = |literal: &str, kind| {
            let told =
                read(&row(None, Some(&format!(r#"{{"id":"{literal}"}}"#))), &shape(&[("id", kind)], None));
            told.changes.first().map(|c| c.key[0].1.clone()).ok_or(told.unfit.unwrap_or_default())
        };
        assert_eq!(key("12", KeyKind::S), Ok(Attribute::S("12".into())));
        assert_eq!(key("t 12.0", KeyKind::N).ok(), Number::parse("12").map(Attribute::N));
        assert_eq!(key("tab", KeyKind::B), Ok(Attribute::B(b"ab".to_vec())));
        assert_eq!(key("NULL", KeyKind::S), Err("its key `id` is NULL and not S".into()));
        assert_eq!(key("tx", KeyKind::N), Err("its key `id` is S and not N".into()));
        let damaged = LogRow { new: Some(b"[".to_vec()), ..LogRow::default() };
        assert!(read(&damaged, &shape(&[("id", KeyKind::S)], None)).unfit.is_some());
        assert!(read(&row(None, None), &shape(&[("id", KeyKind::S)], None)).unfit.is_some());
        // A row that becomes an item when it gets its key is inserted then.
        let told =
            read(&row(Some(r#"{"id":"NULL"}"#), Some(r#"{"id":"tk"}"#)), &shape(&[("id", KeyKind::S)], None));
        assert_eq!(shown(&told), [r#"0 k >{"id":{"S":"k"}}"#]);
    }
}
