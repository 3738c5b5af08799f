//! A mail server that keeps every mail it is given: what a person gets of Alertmanager's notifications.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One mail.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) subject: String,
    /// The text that is shown.
    pub(crate) text: String,
    /// The size of all that was sent, in bytes.
    pub(crate) size: usize,
}

/// Listens on the loopback interface, without encryption or authentication (RFC 5321).
pub(crate) struct Mailbox {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Mailbox {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the mail server");
        let port = listener.local_addr().expect("the mail server's port").port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                // A client that goes away in between has sent nothing.
                std::thread::spawn(move || receive(&stream, &kept).ok());
            }
        });
        Self { port, mails }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Everything that came so far.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("the mails").clone()
    }
}

fn receive(stream: &TcpStream, kept: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    let mut answer = stream;
    answer.write_all(b"220 mailbox\r\n")?;
    let mut data: Option<String> = None;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(text) = &mut data {
            if line == "." {
                kept.lock().expect("the mails").push(read(text));
                data = None;
                answer.write_all(b"250 kept\r\n")?;
            } else {
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push_str("\r\n");
            }
            continue;
        }
        let command = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match command.as_str() {
            "DATA" => {
                data = Some(String::new());
                answer.write_all(b"354 go on\r\n")?;
            }
            "QUIT" => return answer.write_all(b"221 bye\r\n"),
            _ => answer.write_all(b"250 yes\r\n")?,
        }
    }
    Ok(())
}

/// The mail that was sent as `data`: one text in one part, as Alertmanager writes it.
fn read(data: &str) -> Mail {
    let subject = data.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned();
    let part = data.split_once("text/plain").map_or("", |(_, part)| part);
    let body = part.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Mail { subject, text: unquoted(body.split("\r\n--").next().unwrap_or_default()), size: data.len() }
}

/// Quoted-printable (RFC 2045) as text.
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "").replace("\r\n", "\n");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
