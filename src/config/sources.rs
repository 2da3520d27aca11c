//! `[bucket.NAME]`, `[table.NAME]`, `[topic.NAME]`, `[queue.NAME]`.

use std::path::{Path, PathBuf};

use super::complaint::Complaint;
use super::parse::Draft;
use super::reader::{Placed, Reader, Section, Setting};
use super::{
    BucketSpec, IGNORED_BY_DEFAULT, KeyKind, KeySpec, Origin, QueueSpec, StreamView, TableSpec, TopicSpec,
};

/// What SQS would take and this version does not honour.
const QUEUE_LATER: &[&str] =
    &["visibility", "dlq", "max_receives", "delay", "retain", "retention", "fifo", "wait", "encrypted"];

const VIEWS: &[&str] = &["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"];

/// Reads `[bucket.NAME]`.
pub(super) fn bucket(reader: &mut Reader, draft: &mut Draft, setting: &Setting) {
    let name = setting.key;
    let Some(section) = reader.section(setting, format!("bucket `{name}`")) else {
        return;
    };
    draft.declare(reader, "bucket", setting);
    reader.only(&section, &["folder", "existing", "ignore", "overlap"]);
    let mut spec = default_bucket(&reader.root, name, reader.origin(&section.span));
    if let Some(setting) = section.get("folder")
        && let Some(text) = reader.text_like(&setting, "a folder")
    {
        spec.folder = reader.path(&text.value);
        must_be_folder(
            reader,
            &text,
            &spec.folder,
            "make it, or leave `folder` out: `buckets/NAME` is made for you",
        );
    } else if spec.folder.exists() && !spec.folder.is_dir() {
        let label = format!("{} is a file", spec.folder.display());
        let title = format!("bucket `{name}` needs a folder");
        reader.complain(
            Complaint::new("W120", title).at(&section.span, label).help("name another one with `folder`"),
        );
    }
    let existing = section.get("existing").and_then(|setting| reader.choice(&setting, &["ignore", "emit"]));
    spec.emit_existing = existing == Some(1);
    let overlap = section.get("overlap").and_then(|setting| reader.choice(&setting, &["refuse", "allow"]));
    spec.allow_overlap = overlap == Some(1);
    if let Some(setting) = section.get("ignore") {
        spec.ignore = ignored(reader, &setting);
    }
    draft.config.buckets.insert(name.to_owned(), spec);
}

/// A bucket of which only the name is known.
pub(super) fn default_bucket(root: &Path, name: &str, origin: Origin) -> BucketSpec {
    BucketSpec {
        name: name.to_owned(),
        folder: root.join("buckets").join(name),
        emit_existing: false,
        ignore: IGNORED_BY_DEFAULT.iter().map(|glob| (*glob).to_owned()).collect(),
        allow_overlap: false,
        origin,
    }
}

/// Where a bucket is from that a call has made.
pub const MADE_BY_CALL: &str = "CreateBucket";

/// A bucket that a call has made.
pub fn made_bucket(root: &Path, name: &str) -> BucketSpec {
    default_bucket(root, name, Origin { file: MADE_BY_CALL.to_owned(), line: 0 })
}

/// Reads `[table.NAME]`.
pub(super) fn table(reader: &mut Reader, draft: &mut Draft, setting: &Setting) {
    let name = setting.key;
    let Some(section) = reader.section(setting, format!("table `{name}`")) else {
        return;
    };
    draft.declare(reader, "table", setting);
    reader.only(&section, &["key", "stream", "sqlite", "seed", "ttl"]);
    if let Some(setting) = section.get("ttl") {
        reader.not_yet(&setting.key_span, "time to live for the items of a table", None);
    }
    let sqlite = sqlite(reader, &section);
    let view = section.get("stream").and_then(|setting| reader.choice(&setting, VIEWS));
    let view = match view {
        Some(0) => StreamView::KeysOnly,
        Some(1) => StreamView::NewImage,
        Some(2) => StreamView::OldImage,
        _ => StreamView::NewAndOldImages,
    };
    let keys = match section.get("key") {
        Some(setting) => keys(reader, &setting).unwrap_or_default(),
        None => {
            if !sqlite.is_file() {
                let complaint = Complaint::new("W104", format!("table `{name}` has no key"));
                let label =
                    format!("{} does not exist yet, so there is no table to attach", sqlite.display());
                let help =
                    "add `key = \"id:S\"`, or `key = \"customer:S, ts:N\"` for a partition and a sort key";
                reader.complain(complaint.at(&section.span, "no `key`").note(label).help(help));
            }
            Vec::new()
        }
    };
    let seed = section.get("seed").and_then(|setting| {
        let text = reader.text_like(&setting, "a file of JSON lines")?;
        let path = reader.path(&text.value);
        if !path.is_file() {
            let complaint = Complaint::new("W131", format!("no seed file `{}`", text.value));
            reader.complain(
                complaint.at(&text.span, "no such file").note(format!("looked for {}", path.display())),
            );
        }
        Some(path)
    });
    let origin = reader.origin(&section.span);
    let spec = TableSpec { name: name.to_owned(), keys, view, sqlite, seed, origin };
    draft.config.tables.insert(name.to_owned(), spec);
}

/// Reads `[topic.NAME]`.
pub(super) fn topic(reader: &mut Reader, draft: &mut Draft, setting: &Setting) {
    let name = setting.key.to_owned();
    let Some(section) = reader.section(setting, format!("topic `{name}`")) else {
        return;
    };
    draft.declare(reader, "topic", setting);
    reader.only(&section, &[]);
    let origin = reader.origin(&section.span);
    draft.config.topics.insert(name.clone(), TopicSpec { name, origin });
}

/// Reads `[queue.NAME]`.
pub(super) fn queue(reader: &mut Reader, draft: &mut Draft, setting: &Setting) {
    let name = setting.key.to_owned();
    let Some(section) = reader.section(setting, format!("queue `{name}`")) else {
        return;
    };
    draft.declare(reader, "queue", setting);
    for setting in section.settings() {
        if QUEUE_LATER.contains(&setting.key) {
            let note = "queues keep dead letters; their SQS settings are not supported yet";
            reader.not_yet(&setting.key_span, &format!("`{}` for queues", setting.key), Some(note));
        }
    }
    reader.only(&section, QUEUE_LATER);
    let origin = reader.origin(&section.span);
    draft.config.queues.insert(name.clone(), QueueSpec { name, origin });
}

/// W120 unless the folder is there.
fn must_be_folder(reader: &mut Reader, written: &Placed<String>, folder: &Path, help: &str) {
    let problem = match folder.metadata() {
        Ok(found) if found.is_dir() => return,
        Ok(_) => "not a folder",
        Err(_) => "no such folder",
    };
    let complaint =
        Complaint::new("W120", format!("cannot watch `{}`", written.value)).at(&written.span, problem);
    reader.complain(complaint.note(format!("looked at {}", folder.display())).help(help));
}

/// `ignore`: globs over file names, so a `/` in one would never match.
fn ignored(reader: &mut Reader, setting: &Setting) -> Vec<String> {
    let mut globs = Vec::new();
    let expected = "globs over file names, such as [\".DS_Store\", \"*.tmp\"]";
    for glob in reader.texts(setting, expected).unwrap_or_default() {
        if glob.value.is_empty() || glob.value.contains('/') {
            let title = format!("`ignore` of {} looks at file names only", setting.of);
            reader.complain(Complaint::new("W102", title).at(&glob.span, "expected a glob without `/`"));
        }
        globs.push(glob.value);
    }
    globs
}

/// `sqlite`, `.dropwire/tables.db` by default; W131 if it cannot be a file there.
fn sqlite(reader: &mut Reader, section: &Section) -> PathBuf {
    let default = reader.root.join(".dropwire").join("tables.db");
    let Some(setting) = section.get("sqlite") else {
        return default;
    };
    let Some(text) = reader.text_like(&setting, "a SQLite file") else {
        return default;
    };
    let path = reader.path(&text.value);
    let problem = match path.parent() {
        Some(folder) if !folder.is_dir() => Some(format!("there is no folder {}", folder.display())),
        _ if path.is_dir() => Some("this is a folder".to_owned()),
        _ => None,
    };
    if let Some(problem) = problem {
        let title = format!("`sqlite` of {} cannot be `{}`", section.what, text.value);
        reader.complain(
            Complaint::new("W131", title).at(&text.span, problem).help("the file may be new, its folder not"),
        );
    }
    path
}

/// `"orderId:S"` or `"customer:S, ts:N"`.
fn keys(reader: &mut Reader, setting: &Setting) -> Option<Vec<KeySpec>> {
    let text = reader.text_like(setting, "a key such as \"orderId:S\"")?;
    match parse_keys(&text.value) {
        Ok(keys) => Some(keys),
        Err(reason) => {
            let title = format!("`key` of {} is no key", setting.of);
            let complaint = Complaint::new("W130", title).at(&text.span, reason);
            reader.complain(
                complaint.help("write \"orderId:S\", or \"customer:S, ts:N\" with a sort key; S, N or B"),
            );
            None
        }
    }
}

fn parse_keys(text: &str) -> Result<Vec<KeySpec>, String> {
    let mut keys: Vec<KeySpec> = Vec::new();
    for part in text.split(',') {
        let (name, kind) = part.rsplit_once(':').ok_or("each key is NAME:TYPE")?;
        let (name, kind) = (name.trim(), kind.trim());
        let kind = match kind {
            "S" => KeyKind::S,
            "N" => KeyKind::N,
            "B" => KeyKind::B,
            other => return Err(format!("a key is of type S, N or B, not {other:?}")),
        };
        if name.is_empty() || name.len() > 255 {
            return Err("a key has a name of 1 to 255 bytes".into());
        }
        if keys.iter().any(|key| key.name == name) {
            return Err(format!("`{name}` is there twice"));
        }
        keys.push(KeySpec { name: name.to_owned(), kind });
    }
    if keys.len() > 2 {
        return Err("a table has one partition key and one sort key at the most".into());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_keys(text: &str, expected: Result<&[(&str, KeyKind)], &str>) {
        let expected = expected.map(|keys| {
            let keys = keys.iter().map(|(name, kind)| KeySpec { name: (*name).to_owned(), kind: *kind });
            keys.collect::<Vec<_>>()
        });
        assert_eq!(parse_keys(text), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_key_is_a_partition_key_and_perhaps_a_sort_key() {
        check_keys("orderId:S", Ok(&[("orderId", KeyKind::S)]));
        check_keys("customer:S, ts:N", Ok(&[("customer", KeyKind::S), ("ts", KeyKind::N)]));
        check_keys("a:b:B", Ok(&[("a:b", KeyKind::B)]));
        check_keys("id", Err("each key is NAME:TYPE"));
        check_keys("", Err("each key is NAME:TYPE"));
        check_keys(":S", Err("a key has a name of 1 to 255 bytes"));
        check_keys("id:s", Err("a key is of type S, N or B, not \"s\""));
        check_keys("a:S,a:N", Err("`a` is there twice"));
        check_keys("a:S,b:N,c:B", Err("a table has one partition key and one sort key at the most"));
    }
}
