//! The exporter's own memory: the heap is kept as small as what is in it, and what only the start needed of the
//! program is given back.

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use rustix::mm::{Advice, madvise};

/// From how many bytes on an allocation has pages of its own, and how many free ones at the end of the heap are given back.
#[cfg(target_env = "gnu")]
const HEAP_SLACK: libc::c_int = 128 * 1024;

/// Keeps the heap as small as what is in it, mostly. To be called before there is a second thread.
///
/// All threads allocate from one heap: what one has freed another uses. And what is large and used for a moment is given
/// back afterwards: by itself the C library raises its thresholds when it sees such an allocation once, and keeps up to
/// twice as much from then on. On a host with 1,100 processes each of the two is a tenth of the memory or more.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe call for it")]
pub fn keep_heap_small() {
    // SAFETY: documented parameters, set before there is a second thread. Where one is refused all stays as it is.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, HEAP_SLACK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, HEAP_SLACK);
    }
}

/// Other C libraries have no such parameters.
#[cfg(not(target_env = "gnu"))]
pub fn keep_heap_small() {}

/// The mappings of the program and its libraries that can't be written to: where each begins and ends.
pub struct MappedFiles(Vec<(u64, u64)>);

impl MappedFiles {
    /// Those of now. To be called while no thread loads a library: until it is loaded, its mappings do not show which of
    /// its pages will be written to.
    #[must_use]
    pub fn now() -> Self {
        let maps = Process::myself().and_then(|own| own.maps()).into_iter().flatten();
        let of_files =
            maps.filter(|map| matches!(map.pathname, MMapPath::Path(_)) && !map.perms.contains(MMPermissions::WRITE));
        Self(of_files.map(|map| map.address).collect())
    }

    /// Gives their pages back; those that are still needed are mapped again when they are. Most of the exporter's memory
    /// is its code and constants, and a part of them only the start needs.
    #[expect(unsafe_code, reason = "which pages are a file's is known to the kernel alone")]
    pub fn give_back(&self) {
        let maps = Process::myself().and_then(|own| own.smaps()).into_iter().flatten();
        // Pages that differ from the file, such as one with addresses that were filled in, or a debugger's breakpoint, would
        // be lost.
        let is_as_file = |map: &MemoryMap| map.extension.map.get("Anonymous") == Some(&0);
        for map in maps.filter(|map| self.0.contains(&map.address) && is_as_file(map)) {
            let (begin, end) = map.address;
            let (Ok(begin), Ok(length)) = (usize::try_from(begin), usize::try_from(end - begin)) else { return };
            let begin = std::ptr::with_exposed_provenance_mut(begin);
            // SAFETY: pages that are as they are in the file, and that nobody can write to, come back from it. Where it is
            // refused all stays as it is.
            let _ = unsafe { madvise(begin, length, Advice::LinuxDontNeed) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// The code of this program.
    fn code() -> impl Iterator<Item = MemoryMap> {
        let program = MMapPath::Path(std::env::current_exe().unwrap());
        let maps = Process::myself().unwrap().smaps().unwrap().into_iter();
        maps.filter(move |map| map.pathname == program && map.perms.contains(MMPermissions::EXECUTE))
    }

    #[test]
    fn what_is_given_back_of_the_program_is_not_mapped_and_still_runs() {
        // All of it is mapped once it has been read.
        let memory = File::open("/proc/self/mem").unwrap();
        for (begin, end) in code().map(|map| map.address) {
            memory.read_exact_at(&mut vec![0; (end - begin) as usize], begin).unwrap();
        }
        let mapped = || code().map(|map| map.extension.map["Rss"]).sum::<u64>();
        let before = mapped();
        MappedFiles::now().give_back();
        let after = mapped();
        assert!(after < before / 2, "{after} of {before} bytes");
    }
}
