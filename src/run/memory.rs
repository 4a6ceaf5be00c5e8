//! What memory this process may still take: of the machine, of its control groups, and of its own limits.

use std::path::{Component, Path, PathBuf};

/// The least of what the machine has free, of what each control group around this process may still take (of either version,
/// nested), and of what its own limits leave, in bytes; `None` where none of them can be read.
pub fn available_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let status = read("/proc/self/status").unwrap_or_default();
    let limits = read("/proc/self/limits").unwrap_or_default();
    let of_limits = [("Max address space", "VmSize:"), ("Max data size", "VmData:")]
        .into_iter()
        .filter_map(|(limit, used)| Some(soft_limit(&limits, limit)?.saturating_sub(kibibytes(&status, used)?)));
    let machine = read("/proc/meminfo").and_then(|text| kibibytes(&text, "MemAvailable:"));
    of_limits.chain(machine).chain(of_groups(Path::new("/"))).min()
}

/// A line of `/proc/meminfo` or of a process's `status`, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// A line of a process's `limits`, in bytes; `None` where there is no limit.
fn soft_limit(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// What the control groups of this process may still take; everything is read below `root`.
fn of_groups(root: &Path) -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(root.join(path.strip_prefix("/").unwrap_or(path))).ok();
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    let left = groups.lines().filter_map(|line| {
        // 0::/path of version 2, 5:cpu,memory:/path of version 1.
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let has_memory = controllers.split(',').any(|controller| controller == "memory");
        let files = match controllers {
            "" => ["memory.max", "memory.current", ""],
            _ if has_memory => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_"],
            _ => return None,
        };
        let (mount, group) = visible(&mounts, controllers.is_empty(), Path::new(path))?;
        let around = group.ancestors().take_while(|folder| folder.starts_with(&mount));
        around.filter_map(|folder| left_in(folder, files, &read)).min()
    });
    left.min()
}

/// Where the hierarchy is mounted, and the folder of a group in it: that of the mount itself where the group can't be seen from
/// here, as in a container.
fn visible(mounts: &str, is_unified: bool, group: &Path) -> Option<(PathBuf, PathBuf)> {
    let line = mounts.lines().find(|line| {
        let Some((_, kind)) = line.split_once(" - ") else { return false };
        match is_unified {
            true => kind.starts_with("cgroup2 "),
            false => {
                kind.starts_with("cgroup ")
                    && kind
                        .rsplit(' ')
                        .next()
                        .is_some_and(|options| options.split(',').any(|option| option == "memory"))
            }
        }
    })?;
    let mut fields = line.split(' ').skip(3);
    let (root, mount) = (Path::new(fields.next()?), Path::new(fields.next()?));
    let inside =
        group.strip_prefix(root).ok().filter(|path| path.components().all(|part| part != Component::ParentDir));
    Some((mount.to_owned(), inside.map_or(mount.to_owned(), |path| mount.join(path))))
}

/// What a group may still take; files that it has read are given up for it.
fn left_in(folder: &Path, [limit, used, prefix]: [&str; 3], read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let number = |name: &str| read(&folder.join(name))?.trim().parse::<u64>().ok();
    let limit = number(limit)?;
    let stat = read(&folder.join("memory.stat")).unwrap_or_default();
    let of = |name: &str| {
        let name = format!("{prefix}{name} ");
        stat.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let files = of("inactive_file") + of("active_file");
    Some(limit.saturating_sub(number(used)?.saturating_sub(files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files, each with what it holds.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_group_around_a_process_counts() {
        // As systemd nests them: the limit is the slice's, two levels up.
        let nested = tree(&[
            ("proc/self/cgroup", "0::/user.slice/job.scope/task\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "300000000\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "120000000\n"),
            ("sys/fs/cgroup/user.slice/memory.stat", "anon 5\nfile 9\ninactive_file 12000000\nactive_file 8000000\n"),
            ("sys/fs/cgroup/user.slice/job.scope/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/job.scope/memory.current", "7\n"),
            ("sys/fs/cgroup/user.slice/job.scope/task/memory.max", "500000000\n"),
            ("sys/fs/cgroup/user.slice/job.scope/task/memory.current", "1\n"),
        ]);
        assert_eq!(of_groups(nested.path()), Some(200_000_000));
        // Docker without namespaces of groups: the path is the host's, and what is mounted is the container's own.
        let container = tree(&[
            ("proc/self/cgroup", "12:pids:/docker/1f\n5:cpu,memory:/docker/1f\n1:name=systemd:/docker/1f\n"),
            (
                "proc/self/mountinfo",
                "40 39 0:31 /docker/1f /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n\
                 41 39 0:33 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,cpu,memory\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "100000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "40000000\n"),
        ]);
        assert_eq!(of_groups(container.path()), Some(60_000_000));
        // Of a group that can't be seen from here, the one that is mounted counts.
        let hidden = tree(&[
            ("proc/self/cgroup", "0::/../../other\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/memory.max", "5000\n"),
            ("sys/fs/cgroup/memory.current", "9000\n"),
        ]);
        assert_eq!(of_groups(hidden.path()), Some(0));
        assert_eq!(of_groups(tree(&[("proc/self/cgroup", "0::/\n")]).path()), None);
    }

    #[test]
    fn limits_are_read_as_the_system_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max data size             unlimited            unlimited            bytes     \n\
                      Max address space         4194304000           unlimited            bytes     \n";
        assert_eq!(soft_limit(limits, "Max address space"), Some(4_194_304_000));
        assert_eq!(soft_limit(limits, "Max data size"), None);
        assert_eq!(kibibytes("VmPeak:\t 9 kB\nVmSize:\t 1024 kB\n", "VmSize:"), Some(1 << 20));
    }
}
