//! The only code that touches the machine: files, processes, sockets. It reports what is there, not what is healthy.

pub mod crash;
pub mod http;
pub mod indicators;
pub mod installation;
pub mod kit;
pub mod limits;
pub mod memory;
pub mod own;
pub mod positions;
pub mod probes;
pub mod processes;
pub mod sockets;
pub mod spool;
pub mod storage;
pub mod tailer;

use kit::files::without_waiting;

pub use kit::Miss;
#[cfg(test)]
pub(crate) use kit::as_plain_user;
