//! The only code that touches the machine: files, processes, sockets. Knows what is there, not what is healthy.

pub mod installation;
pub mod own;
pub mod positions;
pub mod processes;
pub mod tailer;
