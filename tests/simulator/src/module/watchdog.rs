//! The watchdog (facts.md, Modules): starts what the configuration starts automatically, one run level after the other,
//! and starts again, after a short delay, what has died. It asks the host process for each start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::{Behaviour, Context, Outcome};
use crate::catalogue;
use crate::conf::Conf;

/// The watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Run levels still to start.
    levels: VecDeque<Vec<String>>,
    /// Modules of the current level that have not started yet, and those that have still to stop. The host process says
    /// "settled" of each when it runs, when it has ended, and when it is to be left alone.
    pending: BTreeSet<String>,
    /// What the configuration in force starts.
    watched: BTreeSet<String>,
    restarts: BTreeMap<String, Instant>,
    /// The clients that wait for the end of the round.
    tokens: Vec<String>,
    reloading: bool,
    said_ready: bool,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self {
            levels: VecDeque::new(),
            pending: BTreeSet::new(),
            watched: BTreeSet::new(),
            restarts: BTreeMap::new(),
            tokens: Vec::new(),
            reloading: false,
            said_ready: false,
        }
    }

    /// Starts everything that is configured and does not run.
    fn ensure(&mut self, cx: &mut Context) {
        let mut levels: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (level, key) in catalogue::configured(&cx.conf) {
            levels.entry(level).or_default().push(key.to_string());
        }
        let watched: BTreeSet<String> = levels.values().flatten().cloned().collect();
        for gone in self.watched.difference(&watched) {
            cx.tell(&["stop", gone]);
            self.pending.insert(gone.clone());
        }
        self.watched = watched;
        self.levels = levels.into_values().collect();
        self.advance(cx);
    }

    fn advance(&mut self, cx: &mut Context) {
        while self.pending.is_empty() {
            let Some(level) = self.levels.pop_front() else {
                return self.finish(cx);
            };
            for name in &level {
                cx.tell(&["start", name]);
            }
            self.pending = level.into_iter().collect();
        }
    }

    fn finish(&mut self, cx: &mut Context) {
        if !self.said_ready {
            self.said_ready = true;
            cx.tell(&["ready"]);
        }
        for token in std::mem::take(&mut self.tokens) {
            cx.tell(&["ensured", &token]);
        }
        if std::mem::take(&mut self.reloading) {
            cx.tell(&["done"]);
        }
    }
}

impl Behaviour for Watchdog {
    fn start(&mut self, cx: &mut Context) {
        self.ensure(cx);
    }

    fn due(&self) -> Option<Instant> {
        self.restarts.values().min().copied()
    }

    fn tick(&mut self, cx: &mut Context) {
        let now = Instant::now();
        let due: Vec<String> =
            self.restarts.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.restarts.remove(&name);
            cx.log.write("warning", "log", &format!("Restarting module {name}"));
            cx.tell(&["start", &name]);
        }
    }

    fn hear(&mut self, cx: &mut Context, fields: &[String]) -> Option<Outcome> {
        let argument = fields.get(1).cloned().unwrap_or_default();
        match fields.first()?.as_str() {
            "settled" => {
                if self.pending.remove(&argument) {
                    self.advance(cx);
                }
            }
            "died" => {
                if self.watched.contains(&argument) {
                    cx.log.write("error", "log", &format!("Module {argument} has ended unexpectedly"));
                    self.restarts.insert(argument, Instant::now() + cx.settings.restart_delay());
                }
            }
            "check" => {
                self.tokens.push(argument);
                self.ensure(cx);
            }
            "reload" => match Conf::read(&cx.home.conf()) {
                Ok(conf) => {
                    cx.conf = conf;
                    self.reloading = true;
                    self.ensure(cx);
                }
                Err(error) => {
                    // The last good configuration stays in force.
                    cx.log.write("error", "log", &error.to_string());
                    return Some(Err(error.to_string()));
                }
            },
            _ => return None,
        }
        None
    }
}
