//! Arguments into a validated configuration; no I/O.
