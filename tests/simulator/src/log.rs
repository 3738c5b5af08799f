//! How a module writes to the logs: seven tab-separated fields (facts.md, Logs), sent to syslogd as UDP packets. The
//! packet is the simulator's own, as the product's is not public: kind, instance, log, then records, separated by NUL.
//! Only syslogd touches files.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use crate::clock::Utc;

/// The largest packet that is packed; one record alone may be longer, up to what UDP carries (65,507 bytes).
const PACKET: usize = 32 * 1024;
/// How long a sender that wants to be sure waits for syslogd.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);

/// The author of messages, and where they go.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) instance: String,
    /// The file's name without `.log`.
    pub(crate) log: String,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) form: Form,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Seven fields.
    #[default]
    Documented,
    /// Six, as older pages show them: a blank in the time, one hexadecimal number for process and thread.
    Older,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// `error`, `warning`, `info`.
    pub(crate) level: &'a str,
    /// `log`, `xtk`, …
    pub(crate) domain: &'a str,
    /// May hold tabs and line ends.
    pub(crate) text: &'a str,
}

impl Message<'_> {
    /// The bytes that go into the file, the line end included.
    pub(crate) fn record(&self, author: &Author, verbosity: u32) -> String {
        let Author { pid, tid, form, .. } = author;
        let Self { level, domain, text } = self;
        let head = match form {
            Form::Documented => format!("{}\t{pid}\t{tid}", Utc::now().log_stamp()),
            Form::Older => format!("{}\t{tid:08X}", Utc::now().ping_stamp()),
        };
        format!("{head}\t{verbosity}\t{level}\t{domain}\t{text}\n")
    }
}

/// A sender of log records.
#[derive(Debug)]
pub(crate) struct Logger {
    author: Author,
    socket: UdpSocket,
}

impl Logger {
    /// # Errors
    /// When no local UDP socket is available.
    pub(crate) fn new(author: Author, syslogd_port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, syslogd_port))?;
        Ok(Self { author, socket })
    }

    /// Sends one message without waiting for the result: as in the product, a module never waits for its log.
    pub(crate) fn write(&self, level: &str, domain: &str, text: &str) {
        let record = Message { level, domain, text }.record(&self.author, 1);
        let packet = pack(b'L', &self.author, &[record]);
        // A refused packet is reported by the next send on the socket; that one is the one to try again.
        if self.socket.send(&packet).is_err() {
            self.socket.send(&packet).ok();
        }
    }

    /// Sends records and returns when syslogd has written them.
    ///
    /// # Errors
    /// When syslogd does not listen, or does not answer within five seconds.
    pub(crate) fn write_surely(&self, records: &[String]) -> io::Result<()> {
        self.socket.set_read_timeout(Some(ACKNOWLEDGED_WITHIN))?;
        let mut batch: Vec<String> = Vec::new();
        let mut size = 0;
        for record in records {
            if size > 0 && size + record.len() > PACKET {
                self.exchange(&batch)?;
                batch.clear();
                size = 0;
            }
            size += record.len() + 1;
            batch.push(record.clone());
        }
        if batch.is_empty() { Ok(()) } else { self.exchange(&batch) }
    }

    fn exchange(&self, records: &[String]) -> io::Result<()> {
        let packet = pack(b'A', &self.author, records);
        if self.socket.send(&packet).is_err() {
            self.socket.send(&packet)?;
        }
        let mut answer = [0; 8];
        self.socket.recv(&mut answer).map(|_| ())
    }

    pub(crate) fn author(&self) -> &Author {
        &self.author
    }
}

fn pack(kind: u8, author: &Author, records: &[String]) -> Vec<u8> {
    let mut packet = vec![kind];
    for field in [author.instance.as_str(), author.log.as_str()].into_iter().chain(records.iter().map(String::as_str)) {
        packet.push(0);
        packet.extend_from_slice(field.as_bytes());
    }
    packet
}

/// A packet that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// The sender waits for an answer.
    pub(crate) acknowledge: bool,
    pub(crate) instance: &'a str,
    pub(crate) log: &'a str,
    pub(crate) records: Vec<&'a [u8]>,
}

/// Takes a packet apart; `None` when it is none, or would lead out of the log folder.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Packet<'_>> {
    let mut fields = bytes.split(|byte| *byte == 0);
    let acknowledge = match fields.next()? {
        b"A" => true,
        b"L" => false,
        _ => return None,
    };
    let mut name = || {
        let name = std::str::from_utf8(fields.next()?).ok()?;
        (!name.is_empty() && !name.contains('/') && name != "..").then_some(name)
    };
    let (instance, log) = (name()?, name()?);
    Some(Packet { acknowledge, instance, log, records: fields.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author { instance: "prod".into(), log: "mta".into(), pid: 66462, tid: 66501, form: Form::Documented }
    }

    #[test]
    fn a_record_has_the_seven_documented_fields() {
        let text = "Listener: JWT Token is empty. (iRc=16384)";
        let record = Message { level: "error", domain: "log", text }.record(&author(), 1);
        let fields: Vec<&str> = record.trim_end().split('\t').collect();
        assert_eq!(fields[1..], ["66462", "66501", "1", "error", "log", text]);
        assert_eq!(fields[0].len(), "2021-05-31T08:42:18.124Z".len());
    }

    #[test]
    fn an_older_record_has_six_fields() {
        let older = Author { tid: 0x2e7a, form: Form::Older, ..author() };
        let record = Message { level: "warning", domain: "log", text: "text" }.record(&older, 1);
        let fields: Vec<&str> = record.trim_end().split('\t').collect();
        assert_eq!(fields[1..], ["00002E7A", "1", "warning", "log", "text"]);
        assert_eq!(fields[0].len(), "2013-04-09 07:48:39.750Z".len());
        assert_eq!(fields[0].as_bytes()[10], b' ');
    }

    #[test]
    fn a_packet_is_taken_apart_as_it_was_packed() {
        let packet = pack(b'A', &author(), &["one\n".into(), "two\nmore\n".into()]);
        let packet = unpack(&packet).unwrap();
        assert!(packet.acknowledge);
        assert_eq!((packet.instance, packet.log), ("prod", "mta"));
        assert_eq!(packet.records, [&b"one\n"[..], b"two\nmore\n"]);
    }

    #[test]
    fn a_packet_that_leads_elsewhere_is_refused() {
        for bytes in
            [&b"L\0..\0mta\0x\n"[..], b"L\0prod\0../../etc/x\0x\n", b"X\0prod\0mta\0x\n", b"L\0prod", b"L\0\0mta\0x\n"]
        {
            assert_eq!(unpack(bytes), None);
        }
    }
}
