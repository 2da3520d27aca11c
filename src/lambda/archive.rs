//! Zip files of strangers: what may be in one, and how it becomes a folder; and folders as zip files again.
//!
//! No path leaves the folder, by name or through a link; nothing is written twice; what is written is counted, and not
//! only what the zip says of itself. The service's one text for whatever is wrong hides the reason, so the reason is
//! kept beside it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// All files of a package together, in bytes.
pub const UNZIPPED_MAX: u64 = 262_144_000;
/// Files and folders in a package.
const ENTRIES_MAX: usize = 200_000;

/// Why a zip file did not become a folder.
#[derive(Debug)]
pub enum ArchiveError {
    /// It is none, or holds what it must not: the reason.
    Bad(String),
    /// Its files are larger than a package may be.
    Large,
    /// The disk failed.
    Disk(io::Error),
}

/// Unpacks a zip file into a folder that is there and empty. Returns the bytes of all files.
pub fn unpack(zip: &[u8], folder: &Path) -> Result<u64, ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|error| bad(&error.to_string()))?;
    let contents = survey(&mut archive)?;
    let mut room = UNZIPPED_MAX;
    for entry in &contents {
        let to = folder.join(&entry.path);
        match &entry.kind {
            Kind::Folder => fs::create_dir_all(&to).map_err(on_disk)?,
            Kind::File { mode } => {
                fs::create_dir_all(to.parent().unwrap_or(folder)).map_err(on_disk)?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o644 | (mode & 0o111))
                    .open(&to)
                    .map_err(on_disk)?;
                let from = archive.by_index(entry.index).map_err(|error| bad(&error.to_string()))?;
                room -= copy(from, &mut file, room)?;
            }
            // Last, so that nothing is written through one.
            Kind::Link { .. } => {}
        }
    }
    for entry in &contents {
        if let Kind::Link { to: target } = &entry.kind {
            let link = folder.join(&entry.path);
            fs::create_dir_all(link.parent().unwrap_or(folder)).map_err(on_disk)?;
            std::os::unix::fs::symlink(target, &link).map_err(on_disk)?;
        }
    }
    Ok(UNZIPPED_MAX - room)
}

/// Copies at most `room` bytes; returns how many.
fn copy(from: impl Read, to: &mut File, room: u64) -> Result<u64, ArchiveError> {
    let mut counted = from.take(room + 1);
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    loop {
        // What cannot be read is the zip's fault, what cannot be written the disk's.
        let count = counted.read(&mut buffer).map_err(|error| bad(&error.to_string()))?;
        if count == 0 {
            return Ok(written);
        }
        written += count as u64;
        if written > room {
            return Err(ArchiveError::Large);
        }
        to.write_all(&buffer[..count]).map_err(ArchiveError::Disk)?;
    }
}

struct Entry {
    index: usize,
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Folder,
    File { mode: u32 },
    Link { to: PathBuf },
}

/// Everything in a zip file, once all of it is known to be harmless.
fn survey(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Result<Vec<Entry>, ArchiveError> {
    if archive.len() > ENTRIES_MAX {
        return Err(bad("it has too many entries"));
    }
    if archive.has_duplicate_names() {
        return Err(bad("a name is in it twice"));
    }
    if archive.has_overlapping_files().map_err(|error| bad(&error.to_string()))? {
        return Err(bad("its files overlap"));
    }
    let mut entries = Vec::with_capacity(archive.len());
    let (mut names, mut links, mut size) = (HashSet::new(), HashSet::new(), 0_u64);
    for index in 0..archive.len() {
        let (entry, bytes) = look(archive, index)?;
        size = size.saturating_add(bytes);
        if size > UNZIPPED_MAX {
            return Err(ArchiveError::Large);
        }
        let is_new = names.insert(entry.path.clone());
        if !is_new && !matches!(entry.kind, Kind::Folder) {
            return Err(bad(&format!("{} is in it twice", entry.path.display())));
        }
        if matches!(entry.kind, Kind::Link { .. }) {
            links.insert(entry.path.clone());
        }
        entries.push(entry);
    }
    let through = |entry: &&Entry| entry.path.ancestors().skip(1).any(|above| links.contains(above));
    match entries.iter().find(through) {
        Some(entry) => Err(bad(&format!("{} lies behind a link", entry.path.display()))),
        None => Ok(entries),
    }
}

/// One entry, and the bytes that it says it has.
fn look(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize) -> Result<(Entry, u64), ArchiveError> {
    const KIND: u32 = 0o170_000;
    let unreadable = |error: zip::result::ZipError| bad(&error.to_string());
    let raw = archive.by_index_raw(index).map_err(unreadable)?;
    let name = raw.name().map_err(unreadable)?.into_owned();
    let (mode, is_folder, size) = (raw.unix_mode().unwrap_or(0o644), raw.is_dir(), raw.size());
    if raw.encrypted() {
        return Err(bad(&format!("{name} is encrypted")));
    }
    drop(raw);
    let path = path_of(&name).ok_or_else(|| bad(&format!("the path {name:?} leads out of the folder")))?;
    let kind = match mode & KIND {
        0o120_000 => {
            let file = archive.by_index(index).map_err(unreadable)?;
            let mut target = String::new();
            file.take(4096).read_to_string(&mut target).map_err(|error| bad(&error.to_string()))?;
            if !stays_inside(&path, &target) {
                return Err(bad(&format!("the link {name} leads to {target}")));
            }
            Kind::Link { to: target.into() }
        }
        0o040_000 => Kind::Folder,
        0 | 0o100_000 if is_folder => Kind::Folder,
        0 | 0o100_000 => Kind::File { mode },
        _ => return Err(bad(&format!("{name} is neither file, folder nor link"))),
    };
    if path.as_os_str().is_empty() && !matches!(kind, Kind::Folder) {
        return Err(bad("an entry has no name"));
    }
    Ok((Entry { index, path, kind }, if is_folder { 0 } else { size }))
}

/// The path of an entry below the folder; None if it leads elsewhere.
fn path_of(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') || name.contains('\0') {
        return None;
    }
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(path)
}

/// Whether a link at `path` leads to something below the folder. It may go up first, and then only down: what is
/// behind another link cannot carry it out.
fn stays_inside(path: &Path, target: &str) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    let mut descends = false;
    for part in Path::new(target).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => descends = true,
            Component::ParentDir if !descends && depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    !target.is_empty() && !target.contains('\0')
}

fn bad(reason: &str) -> ArchiveError {
    ArchiveError::Bad(reason.to_owned())
}

/// Names that no disk takes are the zip's fault.
fn on_disk(error: io::Error) -> ArchiveError {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
    match error.kind() {
        AlreadyExists | InvalidFilename | IsADirectory | NotADirectory => bad(&error.to_string()),
        _ => ArchiveError::Disk(error),
    }
}

/// Folders and single files as one zip file. The same files make the same zip.
pub fn pack(roots: &[PathBuf]) -> io::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let failed = |error: zip::result::ZipError| io::Error::other(error.to_string());
    let mut all = Vec::new();
    for root in roots {
        all.extend(files(root)?);
    }
    for (path, name) in all {
        let found = path.symlink_metadata()?;
        if found.is_symlink() {
            let target = fs::read_link(&path)?;
            writer.add_symlink_from_path(&name, &target, SimpleFileOptions::DEFAULT).map_err(failed)?;
            continue;
        }
        let options = SimpleFileOptions::DEFAULT.unix_permissions(found.permissions().mode() & 0o777);
        writer.start_file(name, options).map_err(failed)?;
        io::copy(&mut File::open(&path)?, &mut writer)?;
    }
    Ok(writer.finish().map_err(failed)?.into_inner())
}

/// All files and links of a folder, in order, with their names below it. A single file stands for itself.
pub fn files(root: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    if root.is_dir() {
        gather(root, "", &mut found)?;
    } else if let Some(name) = root.file_name() {
        found.push((root.to_owned(), name.to_string_lossy().into_owned()));
    }
    Ok(found)
}

fn gather(folder: &Path, above: &str, found: &mut Vec<(PathBuf, String)>) -> io::Result<()> {
    let mut entries: Vec<_> = folder.read_dir()?.collect::<io::Result<_>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            gather(&entry.path(), &format!("{name}/"), found)?;
        } else if kind.is_file() || kind.is_symlink() {
            found.push((entry.path(), name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
