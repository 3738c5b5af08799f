//! The kernel's files about one process -> numbers: `/proc/PID/stat`, `status`, `io` and `limits`, as proc(5) describes
//! them.
//!
//! `source::processes` finds the processes and adds their numbers up by module.
//!
//! `stat` is read for each process at each scrape, so it has a parser of its own: it reads only the fields that are
//! needed, in place, in 0.9 µs. `procfs_core` takes 2.3 µs for all 52, allocates twice and converts the name to text.
//! The difference is a quarter of what the kernel takes to write the process's files.

/// The flag of kernel threads in [`Stat::flags`]: `PF_KTHREAD` of the kernel's `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The process id, or the thread's where the file is a thread's.
    pub pid: u32,
    /// The name: at most 15 bytes of the executable's file name, or whatever the process has set.
    pub comm: &'a [u8],
    /// The state's letter.
    pub state: u8,
    /// The parent's process id.
    pub parent: u32,
    /// The kernel's flags of the task.
    pub flags: u64,
    /// CPU time in user mode, in clock ticks.
    pub user_ticks: u64,
    /// CPU time in kernel mode, in clock ticks.
    pub system_ticks: u64,
    /// CPU time in user mode of the children that it has waited for, and of theirs, in clock ticks.
    pub children_user_ticks: u64,
    /// The same in kernel mode.
    pub children_system_ticks: u64,
    /// Threads.
    pub threads: u64,
    /// When it started, in clock ticks since the machine did.
    pub start_ticks: u64,
    /// Virtual memory, in bytes.
    pub virtual_bytes: u64,
    /// Resident memory, in pages.
    pub resident_pages: u64,
    /// The addresses of the program.
    pub image: Image,
    /// The signal that its parent gets at its end; negative for a thread that is not the first of its process.
    pub exit_signal: i64,
}

/// The addresses of a process's program: others mean that it has executed another program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Where its code starts.
    pub start_code: u64,
    /// Where its stack starts.
    pub start_stack: u64,
    /// Where its arguments start.
    pub arg_start: u64,
}

impl Image {
    /// Whether the kernel shows them: a reader who may not trace the process gets 0, or 1 for the code.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.start_stack != 0
    }
}

impl Stat<'_> {
    /// Whether it is a thread of the kernel, which never executes a program.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }

    /// Whether it is not a process, but a thread that is not the first of its process.
    #[must_use]
    pub fn is_inner_thread(&self) -> bool {
        self.exit_signal < 0
    }

    /// Whether its first thread has ended while others work: the kernel shows it as a zombie, without memory or arguments.
    #[must_use]
    pub fn has_lost_first_thread(&self) -> bool {
        self.state == b'Z' && self.threads > 1
    }
}

/// Reads `/proc/PID/stat`. The name may hold spaces, parentheses and any bytes: it ends at the last `)`.
///
/// None when a field up to the 24th is missing or no number. Later ones are 0 where they are missing.
#[must_use]
pub fn stat(bytes: &[u8]) -> Option<Stat<'_>> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')').filter(|close| *close > open)?;
    let pid = number(bytes[..open].trim_ascii())?;
    let &[b' ', state, ref rest @ ..] = &bytes[close + 1..] else { return None };
    // Fields are numbered as in proc(5): the state is the third.
    let mut values = [0_u64; 49];
    let last = 3 + fields(rest, &mut values[4..])?;
    (last >= 24).then(|| Stat {
        pid,
        comm: &bytes[open + 1..close],
        state,
        parent: u32::try_from(values[4]).unwrap_or_default(),
        flags: values[9],
        user_ticks: values[14],
        system_ticks: values[15],
        children_user_ticks: values[16],
        children_system_ticks: values[17],
        threads: values[20],
        start_ticks: values[22],
        virtual_bytes: values[23],
        resident_pages: values[24],
        image: Image { start_code: values[26], start_stack: values[28], arg_start: values[48] },
        exit_signal: values[38].cast_signed(),
    })
}

/// Reads numbers, each after a space, until `values` is full or the line ends; a negative one as its two's complement.
/// Returns how many there were. None when something is no number.
fn fields(bytes: &[u8], values: &mut [u64]) -> Option<usize> {
    let mut at = 0;
    for (count, field) in values.iter_mut().enumerate() {
        match bytes.get(at) {
            Some(b' ') => at += 1,
            Some(b'\n') | None => return Some(count),
            Some(_) => return None,
        }
        let negative = bytes.get(at) == Some(&b'-');
        at += usize::from(negative);
        let first = at;
        let mut value = 0_u64;
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        // More digits than 64 bits have.
        if at == first || at - first > 20 {
            return None;
        }
        *field = if negative { value.wrapping_neg() } else { value };
    }
    Some(values.len())
}

/// Whose rights a process has, and in which process namespace: from `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The real user id.
    pub real: u32,
    /// The effective user id.
    pub effective: u32,
    /// Whether it lives in a process namespace below that of the `/proc`.
    pub is_nested: bool,
}

/// Reads `/proc/PID/status`. Kernels before 4.1 do not show the namespace: then none is assumed.
///
/// None when the line `Uid:` is missing or holds no numbers.
#[must_use]
pub fn credentials(bytes: &[u8]) -> Option<Credentials> {
    let line = |name: &[u8]| {
        let values = bytes.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        Some(values.split(u8::is_ascii_whitespace).filter(|value| !value.is_empty()))
    };
    let mut users = line(b"Uid:")?;
    let is_nested = line(b"NSpid:").is_some_and(|ids| ids.count() > 1);
    Some(Credentials { real: number(users.next()?)?, effective: number(users.next()?)?, is_nested })
}

/// The value of a variable in `/proc/PID/environ`: the first, as getenv(3) finds it.
#[must_use]
pub fn variable<'b>(environ: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

/// The ids of the System V shared memory segments that `/proc/PID/maps` shows as attached.
pub fn attached_segments(maps: &[u8]) -> impl Iterator<Item = u64> {
    let lines = maps.split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        // The inode is the segment's id: shmat(2) maps a file that has no other name.
        let id = number(fields.nth(4)?)?;
        fields.next()?.starts_with(b"/SYSV").then_some(id)
    })
}

/// What `/proc/PID/io` says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes that it had fetched from storage.
    pub read_bytes: u64,
    /// Bytes that it had sent to storage.
    pub written_bytes: u64,
}

/// Reads `/proc/PID/io`. None when one of the two lines is missing or holds no number.
#[must_use]
pub fn io(bytes: &[u8]) -> Option<Io> {
    let (mut read, mut written) = (None, None);
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(value) = line.strip_prefix(b"read_bytes: ") {
            read = number(value);
        } else if let Some(value) = line.strip_prefix(b"write_bytes: ") {
            written = number(value);
        }
    }
    Some(Io { read_bytes: read?, written_bytes: written? })
}

/// The soft limit of open files in `/proc/PID/limits`: `Some(None)` when there is none.
///
/// None when the line is missing or holds no number.
#[must_use]
pub fn open_files_limit(bytes: &[u8]) -> Option<Option<u64>> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let values = lines.find_map(|line| line.strip_prefix(b"Max open files "))?;
    match values.split(|byte| *byte == b' ').find(|field| !field.is_empty())? {
        b"unlimited" => Some(None),
        field => number(field).map(Some),
    }
}

/// When the machine started, in seconds since 1970-01-01 UTC: the line `btime` of `/proc/stat`.
#[must_use]
pub fn boot_time(bytes: &[u8]) -> Option<u64> {
    bytes.split(|byte| *byte == b'\n').find_map(|line| number(line.strip_prefix(b"btime ")?))
}

/// The process id handed out last: the last field of `/proc/loadavg`.
#[must_use]
pub fn last_pid(bytes: &[u8]) -> Option<u32> {
    number(bytes.trim_ascii().rsplit(|byte| *byte == b' ').next()?)
}

/// A number that is digits and nothing else.
pub(crate) fn number<N: TryFrom<u64>>(digits: &[u8]) -> Option<N> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        value = value.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0').filter(|digit| *digit <= 9)?))?;
    }
    N::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &[u8] =
        b"14985 (nlserver) S 1 14985 14985 0 -1 4194560 14816 361261 0 180 38 68 1044 290 10 -10 11 0 16 \
        40439808 3059 18446744073709551615 4096 8192 140720000000000 0 0 0 0 4096 1256 0 0 0 17 1 0 0 0 0 0 1 2 3 \
        140720000001000 140720000002000 140720000003000 0\n";

    #[test]
    fn every_needed_field_of_stat_is_the_right_one() {
        let stat = stat(LINE).unwrap();
        let image = Image { start_code: 4096, start_stack: 140_720_000_000_000, arg_start: 140_720_000_001_000 };
        let expected = Stat {
            pid: 14985,
            comm: b"nlserver",
            state: b'S',
            parent: 1,
            flags: 4_194_560,
            user_ticks: 38,
            system_ticks: 68,
            children_user_ticks: 1044,
            children_system_ticks: 290,
            threads: 11,
            start_ticks: 16,
            virtual_bytes: 40_439_808,
            resident_pages: 3059,
            image,
            exit_signal: 17,
        };
        assert_eq!(stat, expected);
        assert!(stat.image.is_known() && !stat.is_kernel_thread() && !stat.is_inner_thread());
    }

    #[test]
    fn the_kernel_and_this_parser_agree_on_this_process() {
        let bytes = std::fs::read("/proc/self/stat").unwrap();
        let stat = stat(&bytes).unwrap();
        let reference: procfs::process::Stat = procfs::FromRead::from_read(bytes.as_slice()).unwrap();
        assert_eq!(i64::from(stat.pid), i64::from(reference.pid));
        assert_eq!(stat.comm, reference.comm.as_bytes());
        assert_eq!((stat.user_ticks, stat.system_ticks), (reference.utime, reference.stime));
        let children = (reference.cutime.cast_unsigned(), reference.cstime.cast_unsigned());
        assert_eq!((stat.children_user_ticks, stat.children_system_ticks), children);
        assert_eq!((stat.start_ticks, stat.virtual_bytes), (reference.starttime, reference.vsize));
        assert_eq!((stat.resident_pages, stat.image.start_code), (reference.rss, reference.startcode));
        assert_eq!(Some(stat.image.arg_start), reference.arg_start);
        assert_eq!(Some(stat.exit_signal), reference.exit_signal.map(i64::from));
        assert!(!stat.is_inner_thread());
    }

    #[test]
    fn a_name_may_hold_anything() {
        for name in [&b"a b"[..], b"a) S 1 (b", b")", b"", b"caf\xe9 (", b"x\ny"] {
            let line = [b"7 (", name, b") Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21\n"].concat();
            let stat = stat(&line).unwrap();
            assert_eq!((stat.comm, stat.state, stat.resident_pages, stat.exit_signal), (name, b'Z', 21, 0));
            assert!(!stat.image.is_known());
        }
    }

    #[test]
    fn a_stat_that_is_no_stat_is_refused() {
        let cut = LINE.iter().rposition(|byte| *byte == b')').unwrap();
        for bytes in [
            b"".as_slice(),
            b"7",
            b"7 (x",
            b"7 )x(",
            b"x (x) S",
            &LINE[..cut + 40],
            b"7 (x) SS 1 2",
            b"7 (x)",
            b"7 (x) ",
        ] {
            assert_eq!(stat(bytes), None);
        }
        assert_eq!(stat(b"7 (x) S 1 2 3 4 5 6 7 8 9 10 eleven 12 13 14 15 16 17 18 19 20 21"), None);
    }

    #[test]
    fn numbers_of_any_size_are_no_error_to_others() {
        let line = String::from_utf8_lossy(LINE).replace(" 3059 ", " 18446744073709551615 ");
        assert_eq!(stat(line.as_bytes()).unwrap().resident_pages, u64::MAX);
        let line = String::from_utf8_lossy(LINE).replace(" 3059 ", " 999999999999999999999 ");
        assert_eq!(stat(line.as_bytes()), None);
        assert_eq!(stat(b"7 (x) S - 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23"), None);
    }

    #[test]
    fn the_first_thread_is_told_from_the_others() {
        let thread = String::from_utf8_lossy(LINE).replace(" 0 0 0 17 1 ", " 0 0 0 -1 1 ");
        assert!(stat(thread.as_bytes()).unwrap().is_inner_thread());
    }

    #[test]
    fn a_process_without_its_first_thread_is_no_zombie() {
        let line = String::from_utf8_lossy(LINE).replace(") S ", ") Z ");
        assert!(stat(line.as_bytes()).unwrap().has_lost_first_thread());
        let alone = line.replace(" 10 -10 11 0 ", " 10 -10 1 0 ");
        assert!(!stat(alone.as_bytes()).unwrap().has_lost_first_thread());
        assert!(!stat(LINE).unwrap().has_lost_first_thread());
    }

    #[test]
    fn users_and_namespace_of_a_process_are_read() {
        let told = |text: &[u8]| credentials(text);
        let expected = |is_nested| Some(Credentials { real: 500, effective: 7, is_nested });
        assert_eq!(told(b"Name:\tnlserver\nUid:\t500\t7\t500\t7\nNSpid:\t42\n"), expected(false));
        assert_eq!(told(b"Uid:\t500\t7\t500\t7\nNSpid:\t42\t3\n"), expected(true));
        assert_eq!(told(b"Uid:\t500\t7\n"), expected(false));
        assert_eq!(told(b"Uid:\t500\n"), None);
        let own = credentials(&std::fs::read("/proc/self/status").unwrap()).unwrap();
        assert_eq!(own.effective, rustix::process::geteuid().as_raw());
        assert!(!own.is_nested);
    }

    #[test]
    fn a_variable_is_the_first_of_its_name() {
        let environ = b"PATH=/bin\0XTK_VAR_DIRS=x\0XTK_VAR_DIR=/data/va r\0XTK_VAR_DIR=/other\0EMPTY=\0";
        assert_eq!(variable(environ, b"XTK_VAR_DIR"), Some(b"/data/va r".as_slice()));
        assert_eq!(variable(environ, b"EMPTY"), Some(b"".as_slice()));
        assert_eq!((variable(environ, b"XTK"), variable(b"", b"XTK_VAR_DIR")), (None, None));
    }

    #[test]
    fn attached_segments_are_told_by_their_id() {
        let maps = b"7f00-7f01 r-xp 00000000 fe:00 4711                       /nl6/bin/nlserver\n\
            7f02-7f03 rw-s 00000000 00:01 32769                      /SYSV0000162e (deleted)\n\
            7f04-7f05 rw-p 00000000 00:00 0 \n7f06-7f07 rw-s 00000000 00:01 7 /SYSVffffffff\nx\n";
        assert_eq!(attached_segments(maps).collect::<Vec<_>>(), [32769, 7]);
    }

    #[test]
    fn io_takes_what_reached_the_storage() {
        let bytes =
            b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 50\nwrite_bytes: 60\ncancelled_write_bytes: 7\n";
        assert_eq!(io(bytes), Some(Io { read_bytes: 50, written_bytes: 60 }));
        assert_eq!(io(b"read_bytes: 50\n"), None);
        assert_eq!(io(b"read_bytes: -1\nwrite_bytes: 60\n"), None);
    }

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        let limits = |values: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             96364                96364                processes \n\
                 Max open files            {values} files     \n"
            )
        };
        assert_eq!(open_files_limit(limits("1024                 20000               ").as_bytes()), Some(Some(1024)));
        assert_eq!(open_files_limit(limits("unlimited            unlimited           ").as_bytes()), Some(None));
        assert_eq!(open_files_limit(limits("many").as_bytes()), None);
        assert_eq!(open_files_limit(b"Max processes 1 1 processes\n"), None);
    }

    #[test]
    fn the_machine_s_start_and_its_last_process_are_read() {
        assert_eq!(boot_time(b"cpu  1 2 3\nctxt 5\nbtime 1700000000\nprocesses 9\n"), Some(1_700_000_000));
        assert_eq!(boot_time(b"cpu  1 2 3\nbtime \n"), None);
        assert_eq!(last_pid(b"0.77 0.62 0.37 1/89 14984\n"), Some(14984));
        assert_eq!(last_pid(b""), None);
        assert_eq!(last_pid(b"0.77 0.62 0.37 1/89 x\n"), None);
        assert_eq!(number::<u32>(b"4294967296"), None);
        assert_eq!(number::<u64>(b"99999999999999999999"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (io(&bytes), open_files_limit(&bytes), boot_time(&bytes), last_pid(&bytes), stat(&bytes), credentials(&bytes));
            let _ = (variable(&bytes, b"X"), attached_segments(&bytes).count());
            let line = [b"1 (", bytes.as_slice(), b") S 1"].concat();
            prop_assert!(stat(&line).is_none_or(|stat| stat.pid == 1));
        }
    }
}
