//! Writing files and folders that are there as a whole or not at all, also for whoever reads them meanwhile and after
//! a power failure.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Error, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;

use crate::error::environment;

/// A place beside a file or folder to make it in. What is there is deleted unless it was published.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Beside `target`, under a name that no other writer has, on this machine or another one; nothing is there yet.
    /// What killed writers of the same target left there is deleted.
    pub fn of(target: &Path) -> Draft {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        delete_leftovers(target);
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{}-{}.part", processes(), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let path = target.with_file_name(name);
        // An earlier process of this number was killed.
        delete(&path);
        Draft { path, target: target.to_owned() }
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives what was written its name; it takes the place of another file or folder at once.
    ///
    /// # Errors
    /// A failure of the environment that names the target.
    pub fn publish(self) -> Result<()> {
        self.rename().map_err(|error| cannot_write(&self.target, &error))
    }

    fn rename(&self) -> std::io::Result<()> {
        // On disk before it has its name: the name of a file may survive a power failure that its bytes don't.
        sync(&self.path)?;
        if is_folder(&self.path) && is_folder(&self.target) {
            self.exchange()?;
        } else {
            fs::rename(&self.path, &self.target)?;
        }
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        // It is written whatever comes now: not every file system lets a folder be opened or waited for.
        if let Err(error) = sync_folder(folder.unwrap_or(Path::new("."))) {
            tracing::debug!(%error, target = %self.target.display(), "sync");
        }
        Ok(())
    }

    /// Changes places with the folder that is there, which is then deleted with the draft.
    fn exchange(&self) -> std::io::Result<()> {
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            exchanged => return Ok(exchanged?),
        }
        // A file system that can't: the folder is away for a moment.
        let earlier = Draft::of(&self.target);
        fs::rename(&self.target, &earlier.path)?;
        fs::rename(&self.path, &self.target).inspect_err(|_| {
            if fs::rename(&earlier.path, &self.target).is_err() {
                // Better under another name than gone.
                std::mem::forget(earlier);
            }
        })
    }
}

/// Where process numbers mean the same: this start of this machine, and this container. Names of machines and of
/// processes repeat, as where every container calls its first one 1.
fn processes() -> String {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    format!("{:.12}{}", digits(&start), digits(&container.to_string_lossy()))
}

/// Deletes drafts of processes that are no more.
fn delete_leftovers(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let start = format!("{}.{}-", target.file_name().unwrap_or_default().to_string_lossy(), processes());
    let is_gone = |name: &str| {
        let process = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".part")?.split('-').next());
        process.is_some_and(|process| Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists())
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| is_gone(&entry.file_name().to_string_lossy())).for_each(|entry| delete(&entry.path()));
}

/// Deletes what is there, if anything is.
fn delete(path: &Path) {
    let _ = if is_folder(path) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

impl Drop for Draft {
    fn drop(&mut self) {
        delete(&self.path);
    }
}

/// Not a link to one.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Waits until a file, or a folder with all that is in it, is on disk.
fn sync(path: &Path) -> std::io::Result<()> {
    if path.is_symlink() {
        return Ok(());
    }
    if is_folder(path) {
        fs::read_dir(path)?.try_for_each(|entry| sync(&entry?.path()))?;
        let _ = sync_folder(path);
        return Ok(());
    }
    File::open(path)?.sync_all()
}

/// Waits until the names in a folder are on disk.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    environment(format!("cannot write {}: {error}", path.display()))
}

/// Writes a file as `write` makes it. Where that fails, what was there before stays.
///
/// # Errors
/// A failure of the environment that names the file when it can't be written; and whatever else `write` says.
pub fn publish(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let draft = Draft::of(path);
    let failed = |error: std::io::Error| cannot_write(path, &error);
    let mut file = BufWriter::new(File::create_new(&draft.path).map_err(failed)?);
    write(&mut file).map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) => failed(error),
        Err(error) => error,
    })?;
    file.flush().map_err(failed)?;
    draft.publish()
}

/// [`publish`] of bytes that are there already.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    publish(path, |file| Ok(file.write_all(bytes)?))
}

/// [`publish`] of a value as indented JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_bytes(path, text.as_bytes())
}

/// [`publish`] of a copy, which may be of any size.
///
/// # Errors
/// A failure of the environment that names both files.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let draft = Draft::of(to);
    fs::copy(from, &draft.path)
        .map_err(|error| environment(format!("cannot copy {} to {}: {error}", from.display(), to.display())))?;
    draft.publish()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use anyhow::bail;

    use super::*;
    use crate::error::Kind;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writers_of_the_same_file_never_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let text = |writer: u8| vec![b'a' + writer; 200_000];
        write_bytes(&path, &text(0)).unwrap();
        let whole = |bytes: &[u8]| bytes.len() == 200_000 && bytes.iter().all(|byte| *byte == bytes[0]);
        thread::scope(|scope| {
            for writer in 1..4 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        publish(path, |file| text(writer).chunks(1000).try_for_each(|some| Ok(file.write_all(some)?)))
                            .unwrap();
                    }
                });
            }
            for _ in 0..50 {
                assert!(whole(&fs::read(&path).unwrap()));
            }
        });
        assert!(whole(&fs::read(&path).unwrap()));
        assert_eq!(names(folder.path()), ["a.jsonl"]);
    }

    #[test]
    fn files_that_differ_in_their_ending_alone_keep_apart() {
        let folder = tempfile::tempdir().unwrap();
        let endings = ["csv", "html", "md", "tex"];
        thread::scope(|scope| {
            for ending in endings {
                let path = folder.path().join("report").with_extension(ending);
                scope.spawn(move || (0..10).for_each(|_| write_bytes(&path, ending.as_bytes()).unwrap()));
            }
        });
        assert_eq!(names(folder.path()), endings.map(|ending| format!("report.{ending}")));
        for ending in endings {
            assert_eq!(fs::read_to_string(folder.path().join("report").with_extension(ending)).unwrap(), ending);
        }
    }

    #[test]
    fn a_writer_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &1).unwrap();
        let own = publish(&path, |file| {
            file.write_all(b"half")?;
            bail!("line 3 is no prediction")
        });
        assert_eq!(own.unwrap_err().to_string(), "line 3 is no prediction");
        let full = publish(&path, |_| Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())).unwrap_err();
        assert!(
            Kind::of(&full) == Kind::Environment && full.to_string().contains("a.json: no storage space"),
            "{full}"
        );
        let nowhere = write_bytes(&folder.path().join("b/c.json"), b"").unwrap_err();
        assert!(Kind::of(&nowhere) == Kind::Environment && nowhere.to_string().contains("b/c.json"), "{nowhere}");
        assert_eq!(Kind::of(&copy(&folder.path().join("none"), &path).unwrap_err()), Kind::Environment);
        assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["a.json".to_owned()], b"1\n".to_vec()));
    }

    #[test]
    fn a_folder_takes_the_place_of_another_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-1");
        for name in ["before", "after"] {
            let draft = Draft::of(&target);
            fs::create_dir(draft.path()).unwrap();
            write_bytes(&draft.path().join(name), b"x").unwrap();
            draft.publish().unwrap();
            assert_eq!((names(folder.path()), names(&target)), (vec!["step-1".to_owned()], vec![name.to_owned()]));
        }
        let draft = Draft::of(&target);
        fs::create_dir(draft.path()).unwrap();
        drop(draft);
        assert_eq!(names(folder.path()), ["step-1"]);
    }

    #[test]
    fn what_killed_writers_left_is_deleted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        let draft = |processes: &str, process: u32| format!("a.gguf.{processes}-{process}-0.part");
        // No process has a number as high.
        let (left, alive, elsewhere) =
            (draft(&processes(), 1 << 30), draft(&processes(), 1), draft("elsewhere", 1 << 30));
        for name in [&left, &alive, &elsewhere, "b.gguf.part"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        write_bytes(&path, b"whole").unwrap();
        let mut expected = vec!["a.gguf", &alive, &elsewhere, "b.gguf.part"];
        expected.sort_unstable();
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn what_is_written_in_its_draft_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model.gguf");
        let draft = Draft::of(&target);
        fs::write(draft.path(), "weights").unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
        let written = inode(draft.path());
        draft.publish().unwrap();
        assert_eq!(inode(&target), written);
    }
}
