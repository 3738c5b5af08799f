//! Runs the collectors: deadlines, panics, outcomes.
