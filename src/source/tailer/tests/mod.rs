//! The tailer against what happens to files: one test a hazard.

mod logs;
mod tracking;
