//! The only writer of the log files (facts.md, Logs): takes packets, appends them to `var/<instance>/log/<log>.log`, and
//! moves a file that has reached its size to `<log>_2.log`. Counts what it writes, as the truth that tests compare with.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Behaviour, Context, Outcome, Protocol};
use crate::clock::Utc;
use crate::log::unpack;

type Name = (String, String);

const LEVELS: [&[u8]; 3] = [b"error", b"warning", b"info"];

#[derive(Debug)]
struct OpenLog {
    path: PathBuf,
    file: File,
    inode: u64,
    size: u64,
}

/// The log writer.
#[derive(Debug)]
pub(super) struct Syslogd {
    max_bytes: u64,
    open: HashMap<Name, OpenLog>,
    /// Instance, log, level: records written since this process started.
    written: BTreeMap<(String, String, String), u64>,
}

impl Syslogd {
    pub(super) fn new(cx: &Context) -> Self {
        Self { max_bytes: cx.settings.max_log_bytes(&cx.conf), open: HashMap::new(), written: BTreeMap::new() }
    }

    fn append(&mut self, cx: &Context, instance: &str, log: &str, record: &[u8]) -> io::Result<()> {
        // A page of the documentation shows the file of a -tracefile: beside the folder of the others.
        let beside = cx.settings.lists("logsBeside", log);
        let folder = if beside { cx.home.instance(instance) } else { cx.home.logs(instance) };
        // logins.log is split by day; its name is the day's.
        let file_name = if log == "logins" {
            let Utc { year, month, day, .. } = Utc::now();
            format!("logins.{:02}-{month:02}-{day:02}.log", year % 100)
        } else {
            format!("{log}.log")
        };
        let path = folder.join(file_name);
        let name = (instance.to_owned(), log.to_owned());
        // It may have been moved or removed, or the day may have changed.
        let current = self
            .open
            .get(&name)
            .is_some_and(|open| open.path == path && fs::metadata(&path).is_ok_and(|found| found.ino() == open.inode));
        if !current {
            fs::create_dir_all(&folder)?;
            self.open.insert(name.clone(), OpenLog::new(path)?);
        }
        let Some(open) = self.open.get_mut(&name) else {
            return Ok(());
        };
        open.file.write_all(record)?;
        open.size += record.len() as u64;
        if open.size >= self.max_bytes && log != "logins" {
            let path = open.path.clone();
            fs::rename(&path, folder.join(format!("{log}_2.log")))?;
            self.open.insert(name, OpenLog::new(path)?);
        }
        // Of a line with six fields or with seven.
        let mut fields = record.split(|byte| *byte == b'\t');
        let level = fields.find(|field| LEVELS.contains(field)).map(String::from_utf8_lossy).unwrap_or_default();
        let counted = (instance.to_owned(), log.to_owned(), level.into_owned());
        *self.written.entry(counted).or_default() += 1;
        Ok(())
    }
}

impl OpenLog {
    fn new(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let metadata = file.metadata()?;
        Ok(Self { path, inode: metadata.ino(), size: metadata.len(), file })
    }
}

impl Behaviour for Syslogd {
    fn ports(&self, cx: &Context) -> Vec<(Protocol, u16)> {
        vec![(Protocol::Udp, cx.settings.syslogd_port())]
    }

    fn packet(&mut self, cx: &Context, packet: &[u8], socket: &UdpSocket, from: SocketAddr) {
        let Some(packet) = unpack(packet) else { return };
        let mut written = Ok(());
        for record in packet.records {
            written = written.and_then(|()| self.append(cx, packet.instance, packet.log, record));
        }
        // No answer means that the records are not in the file.
        if packet.acknowledge && written.is_ok() {
            socket.send_to(b"written", from).ok();
        }
    }

    fn reloaded(&mut self, cx: &Context) {
        self.max_bytes = cx.settings.max_log_bytes(&cx.conf);
    }

    fn hear(&mut self, _: &mut Context, fields: &[String]) -> Option<Outcome> {
        (fields.first()? == "written").then(|| {
            let rows =
                self.written.iter().map(|((instance, log, level), count)| format!("{instance} {log} {level} {count}"));
            Ok(rows.collect::<Vec<_>>().join(";"))
        })
    }
}
