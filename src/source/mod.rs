//! The only code that touches the machine: files, processes, sockets. Knows what is there, not what is healthy.

pub mod background;
pub mod crash;
mod folder;
pub mod http;
pub mod indicators;
pub mod installation;
pub mod own;
pub mod positions;
pub mod probes;
pub mod processes;
pub mod sockets;
pub mod spool;
pub mod tailer;

pub use folder::Miss;
