//! The state of the installation's files: which there are now, what is in force, and what is to be reported.
//!
//! Covers one look at the disk; the parent module decides when to look.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::mem::take;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tracing::Level;

use super::file::{FileError, Followed};
use super::life::Life;
use super::listing::{CONF, Listing, SERVER, file_name, instance_in, instance_of, list};
use super::search::Search;
use super::var::VarFolder;
use super::{FRESH, Failure, FileState, Installation, MAX_INSTANCES, Notice, Trouble};
use crate::catalog::attributes::CUSTOMER_SCRIPT;
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::parse::conf::Settings;
use crate::source::processes::RunningModules;
use crate::stamp::{FileStamp, ReadStamp};

/// What is known of the installation's files.
pub(super) struct Files {
    search: Search,
    home: Option<PathBuf>,
    home_missed: bool,
    var: VarFolder,
    life: Life,
    trouble: Option<Trouble>,
    pub(super) followed: BTreeMap<String, Followed>,
    /// Files that are taken for backup copies, each with the file that it is a copy of.
    copies: BTreeMap<String, String>,
    /// Instances whose file the watchdog has not read.
    not_loaded: BTreeSet<String>,
    left_out: usize,
    /// The last listing, and how the folder looked before it.
    listed: Option<(ReadStamp, Arc<Listing>)>,
    notices: Vec<Notice>,
    dirty: bool,
    unconfirmed: bool,
}

impl Files {
    pub(super) fn new(search: Search) -> Files {
        Files {
            search,
            home: None,
            home_missed: false,
            var: VarFolder::default(),
            life: Life::default(),
            trouble: None,
            followed: BTreeMap::new(),
            copies: BTreeMap::new(),
            not_loaded: BTreeSet::new(),
            left_out: 0,
            listed: None,
            notices: Vec::new(),
            dirty: false,
            unconfirmed: false,
        }
    }

    /// Looks once; whether anything is different. What there is to report is in [`Files::notices`] then.
    pub(super) fn look(&mut self, now: SystemTime, running: &RunningModules) -> bool {
        self.unconfirmed = false;
        self.life.learn(running);
        let home = self.home_now();
        self.dirty |= self.var.look(home.as_deref(), &running.variable, now, &mut self.notices);
        if let Some(home) = home {
            self.look_into(&home.join(CONF), now);
        }
        take(&mut self.dirty)
    }

    /// Whether what the last look saw should be confirmed soon.
    pub(super) fn must_be_confirmed(&self) -> bool {
        self.unconfirmed
    }

    /// What is to be reported since the last call.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        take(&mut self.notices)
    }

    /// What is in force.
    pub(super) fn installation(&self) -> Installation {
        let server = self.followed.get(SERVER).and_then(|file| file.conf.clone());
        let mut installation = Installation {
            home: self.home.clone(),
            var: self.var.place().map(Path::to_owned),
            elsewhere: self.var.elsewhere().to_vec(),
            shared: Settings::overlay(server.clone(), None),
            trouble: self.trouble.clone(),
            left_out: self.left_out,
            copies: self.copies.clone(),
            not_loaded: self.not_loaded.clone(),
            ..Installation::default()
        };
        for (label, file) in &self.followed {
            let failure = file.failure.as_ref().map(|(failure, _)| *failure);
            let state = FileState {
                successful: failure.is_none(),
                last_success: file.last_success,
                failure,
                invalid_values: file.conf.as_ref().map_or(0, |conf| conf.invalid_values()),
                leaves_open: file.conf.as_ref().is_some_and(|conf| conf.leaves_open()),
            };
            installation.files.insert(label.clone(), state);
            if let (Some(instance), Some(conf)) = (instance_of(label), &file.conf) {
                let settings = Settings::overlay(server.clone(), Some(conf.clone()));
                if let Some(name) = instance_in(&file.name).filter(|name| *name != instance.as_bytes()) {
                    installation.names.insert(instance.to_owned(), name.to_owned());
                }
                installation.instances.insert(instance.to_owned(), settings);
            }
        }
        installation.files.extend(self.var.script_state().map(|state| (CUSTOMER_SCRIPT.to_owned(), state)));
        if server.is_some() && !self.followed.contains_key(&file_name(DEFAULT_INSTANCE)) {
            installation.instances.insert(DEFAULT_INSTANCE.to_owned(), installation.shared.clone());
        }
        installation
    }

    /// The installation's folder: the one there was, unless it has no configuration any more and another place has one.
    fn home_now(&mut self) -> Option<PathBuf> {
        if let Some(home) = &self.home {
            let is_missing = self.search.given.is_none() && !home.join(CONF).exists();
            let is_missing_still = is_missing && self.home_missed;
            self.home_missed = is_missing;
            self.unconfirmed |= is_missing && !is_missing_still;
            if !is_missing_still {
                return self.home.clone();
            }
        }
        match self.search.find() {
            Ok(found) if self.home.as_ref() != Some(&found) => {
                self.notice(Level::INFO, &found, "reading the Campaign installation in this folder".to_owned());
                self.followed.clear();
                self.life = Life::default();
                self.home = Some(found);
                self.dirty = true;
            }
            Err(trouble) if self.home.is_none() => {
                let place = self.search.given.clone().unwrap_or_else(|| self.search.root.clone());
                self.report_trouble(&place, Some(trouble));
            }
            _ => {}
        }
        self.home.clone()
    }

    fn look_into(&mut self, conf: &Path, now: SystemTime) {
        let listed = match self.list(conf, now) {
            Ok(listing) => {
                self.report_trouble(conf, None);
                self.report_left_out(conf, listing.left_out);
                self.set_copies_aside(conf, &listing, now);
                for (label, name) in listing.names.iter().filter(|(label, _)| !self.copies.contains_key(*label)) {
                    self.followed.entry(label.clone()).or_insert_with(|| Followed::new(name)).name.clone_from(name);
                }
                Some(listing)
            }
            Err(error) => {
                let error = FileError::from(error);
                let failure = error.failure();
                let reason = match error {
                    FileError::NotRegular => "not a folder: put the one with the files back".to_owned(),
                    error => error.to_string(),
                };
                let message = format!("the configuration files can't be listed: {reason}");
                // A folder that is gone shows in each of its files, once that is sure.
                let trouble = (failure != Failure::Gone).then_some(Trouble {
                    failure,
                    place: conf.display().to_string(),
                    message,
                });
                self.report_trouble(conf, trouble);
                None
            }
        };
        let server = self.followed.entry(SERVER.to_owned()).or_insert_with(|| Followed::new(OsStr::new(SERVER)));
        self.dirty |= server.check(&conf.join(SERVER), now, &mut self.notices);
        // An installation without its main file is no place to conclude from that instances were removed.
        let is_whole = !server.missed || server.conf.is_none();
        self.unconfirmed |= server.must_be_confirmed();
        self.followed.retain(|label, file| {
            let path = conf.join(&file.name);
            let instance = instance_of(label).filter(|instance| *instance != DEFAULT_INSTANCE);
            let is_unlisted = listed.as_ref().is_some_and(|listed| !listed.names.contains_key(label));
            if let Some(instance) = instance.filter(|_| is_unlisted && is_whole) {
                if file.missed {
                    self.life.forget(instance);
                    let message = format!("the instance {instance:?} is gone with its file");
                    self.notices.push(Notice { level: Level::INFO, path, message });
                    self.dirty = true;
                    return false;
                }
                file.missed = true;
            } else if label != SERVER {
                self.dirty |= file.check(&path, now, &mut self.notices);
            }
            self.unconfirmed |= file.must_be_confirmed();
            true
        });
        self.find_not_loaded(conf);
    }

    /// Finds the files that are backup copies, for as long as nothing runs or writes under their names.
    fn set_copies_aside(&mut self, conf: &Path, listing: &Listing, now: SystemTime) {
        let var = self.var.place().unwrap_or(conf);
        let since = now.checked_sub(FRESH);
        let mut copies = BTreeMap::new();
        for (label, original) in &listing.originals {
            let (Some(instance), Some(file)) = (instance_of(label), listing.names.get(label)) else { continue };
            if self.life.has_lived(instance, var, instance_in(file).unwrap_or_default(), since) {
                continue;
            }
            self.dirty |= self.followed.remove(label).is_some();
            copies.insert(label.clone(), original.clone());
            if !self.copies.contains_key(label) {
                let message = format!(
                    "taken for a backup copy of {original}, and not read: its name is that of this file plus a backup mark, \
                     and nothing runs or writes a log as the instance {instance:?}; rename the file if that instance is in use"
                );
                self.notices.push(Notice { level: Level::INFO, path: conf.join(file), message });
            }
        }
        self.dirty |= copies != self.copies;
        self.copies = copies;
    }

    /// Finds the instances whose file came after the watchdog that would have to start them.
    fn find_not_loaded(&mut self, conf: &Path) {
        let var = self.var.place().unwrap_or(conf);
        let mut not_loaded = BTreeSet::new();
        for (label, file) in &self.followed {
            let Some(instance) = instance_of(label).filter(|instance| *instance != DEFAULT_INSTANCE) else { continue };
            let is_newer = self.life.watchdog_start().is_some_and(|start| file.is_after(start));
            if is_newer && !self.life.has_lived(instance, var, instance_in(&file.name).unwrap_or_default(), None) {
                not_loaded.insert(instance.to_owned());
                if !self.not_loaded.contains(instance) {
                    let message = format!(
                        "newer than the watchdog, and nothing of the instance {instance:?} has run or written a log: it is \
                         not loaded, and nothing is expected of it until the watchdog starts again"
                    );
                    self.notices.push(Notice { level: Level::INFO, path: conf.join(&file.name), message });
                }
            }
        }
        self.dirty |= not_loaded != self.not_loaded;
        self.not_loaded = not_loaded;
    }

    /// The files of a folder. It is not listed again while it looks the same, and did so long enough before it was listed
    /// last for a change in between to show.
    fn list(&mut self, conf: &Path, now: SystemTime) -> io::Result<Arc<Listing>> {
        let stamp = FileStamp::at(conf)?;
        if let Some((seen, listing)) = &self.listed
            && seen.holds_for(&stamp)
        {
            return Ok(Arc::clone(listing));
        }
        self.listed = None;
        let listing = Arc::new(list(conf)?);
        self.listed = Some((ReadStamp::new(stamp, now), Arc::clone(&listing)));
        Ok(listing)
    }

    fn report_trouble(&mut self, path: &Path, trouble: Option<Trouble>) {
        if self.trouble == trouble {
            return;
        }
        if let Some(trouble) = &trouble {
            self.notice(Level::ERROR, path, trouble.message.clone());
        }
        self.trouble = trouble;
        self.dirty = true;
    }

    fn report_left_out(&mut self, conf: &Path, left_out: usize) {
        if left_out != self.left_out && left_out > 0 {
            let message = format!(
                "{left_out} configuration files are left out: at most {MAX_INSTANCES} instances are followed; remove \
                 the files that are not needed"
            );
            self.notice(Level::WARN, conf, message);
        }
        self.dirty |= left_out != self.left_out;
        self.left_out = left_out;
    }

    fn notice(&mut self, level: Level, path: &Path, message: String) {
        self.notices.push(Notice { level, path: path.to_owned(), message });
    }
}
