//! The folder `var` of an installation: where logs, tracking logs and mails are.
//!
//! `XTK_VAR_DIR` moves it: the environment of a running module decides, else `customer.sh`, else it is `var` in the
//! installation's folder, which may be a symbolic link. Of running modules that have different folders the watchdog's holds.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::Level;

use super::file::{FileError, MAX_FILE_BYTES};
use super::{FileState, Notice};
use crate::catalog::attributes::{CUSTOMER_SCRIPT, VAR_DIRECTORY};
use crate::label::label_of;
use crate::parse::customer::{Exported, Sourced, exported};
use crate::source::kit::files::read_regular;
use crate::source::processes::{Variable, VariableValues};
use crate::stamp::{FileStamp, ReadStamp};

const FOLDER: &str = "var";

/// The most bytes of a script that `customer.sh` reads.
const MAX_SCRIPT_BYTES: u64 = 1024 * 1024;

/// What is known of the folder.
#[derive(Default)]
pub(super) struct VarFolder {
    /// The script and those that it reads, as they looked when they were read last; none of one that was not there.
    scripts: Vec<(PathBuf, Option<ReadStamp>)>,
    /// What their last good content exported, and when that was read.
    exported: Option<Exported>,
    last_success: Option<SystemTime>,
    /// What is wrong with it, while it decides.
    state: Option<FileState>,
    place: Option<PathBuf>,
    /// Where other running modules have it.
    elsewhere: Vec<PathBuf>,
    told: Option<String>,
}

impl VarFolder {
    /// The folder.
    pub(super) fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// The folders of running modules that have another one.
    pub(super) fn elsewhere(&self) -> &[PathBuf] {
        &self.elsewhere
    }

    /// How the last reading of the script went, where it decides and does not tell.
    pub(super) fn script_state(&self) -> Option<FileState> {
        self.state
    }

    /// Looks where the folder is; whether that, or what is wrong with the script, is different from before.
    pub(super) fn look(
        &mut self,
        home: Option<&Path>,
        environment: &VariableValues,
        now: SystemTime,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Some(home) = home else { return self.place.take().is_some() };
        let (source, set, failure) = match &environment.first {
            known @ (Variable::Set(_) | Variable::Unset) => ("a running module", set_by(known), None),
            Variable::Unknown => {
                let failure = self.read_script(home, now).err();
                (CUSTOMER_SCRIPT, self.exported.clone(), failure)
            }
        };
        let (place, problem) = place_of(set, home.join(FOLDER));
        let problem = failure.as_ref().map(|error| format!("can't be read ({error})")).or(problem);
        let message = match &problem {
            Some(problem) => Some(format!(
                "{VAR_DIRECTORY} of {source} {problem}: looking for logs, tracking logs and queued emails in {}",
                place.display()
            )),
            None if place != home.join(FOLDER) => {
                Some(format!("{VAR_DIRECTORY} of {source}: looking for logs, tracking logs and queued emails here"))
            }
            None => None,
        };
        if self.told != message {
            let level = if problem.is_some() { Level::WARN } else { Level::INFO };
            notices.extend(message.clone().map(|message| Notice { level, path: place.clone(), message }));
            self.told = message;
        }
        let state = problem.filter(|_| source == CUSTOMER_SCRIPT).map(|_| FileState {
            successful: failure.is_none(),
            last_success: self.last_success,
            failure: failure.as_ref().map(FileError::failure),
            invalid_values: usize::from(failure.is_none()),
            leaves_open: false,
        });
        let elsewhere = elsewhere(&environment.others, &place, home);
        if elsewhere != self.elsewhere && !elsewhere.is_empty() {
            let message = format!(
                "running modules have another {VAR_DIRECTORY} than the one that holds, and what they write is not read: \
                 {elsewhere:?}; restart them with the environment of the others"
            );
            notices.push(Notice { level: Level::WARN, path: place.clone(), message });
        }
        let is_new = self.place.as_ref() != Some(&place) || self.state != state || self.elsewhere != elsewhere;
        (self.place, self.state, self.elsewhere) = (Some(place), state, elsewhere);
        is_new
    }

    /// Reads what the script exports, where it may have changed. What can't be read now says what it said before.
    fn read_script(&mut self, home: &Path, now: SystemTime) -> Result<(), FileError> {
        let path = home.join(CUSTOMER_SCRIPT);
        if self.scripts.first().is_some_and(|(known, _)| *known == path) && self.scripts.iter().all(is_unchanged) {
            return Ok(());
        }
        self.scripts.clear();
        if is_missing(&path) {
            self.exported = None;
            return Ok(());
        }
        let stamp = ReadStamp::at(&path)?;
        let script = read_regular(&path, MAX_FILE_BYTES)?;
        let mut scripts = vec![(path, Some(stamp))];
        self.exported = exported(&script, VAR_DIRECTORY, &mut |name| {
            let path = PathBuf::from(OsStr::from_bytes(name));
            let stamp = ReadStamp::at(&path).ok();
            let content = read_regular(&path, MAX_SCRIPT_BYTES);
            let is_missing = content.is_err() && is_missing(&path);
            scripts.push((path, stamp));
            match content {
                Ok(content) => Sourced::Script(content),
                Err(_) if is_missing => Sourced::Missing,
                Err(_) => Sourced::Unknown,
            }
        });
        (self.scripts, self.last_success) = (scripts, Some(now));
        Ok(())
    }
}

/// What a process's environment sets.
fn set_by(variable: &Variable) -> Option<Exported> {
    match variable {
        Variable::Set(value) => Some(Exported::Value(value.clone().into_vec())),
        Variable::Unset | Variable::Unknown => None,
    }
}

/// The folders by `variables` that are another one than `place`.
fn elsewhere(variables: &[Variable], place: &Path, home: &Path) -> Vec<PathBuf> {
    let identity = |path: &Path| FileStamp::at(path).ok().map(|stamp| stamp.identity());
    let here = identity(place);
    let places = variables.iter().map(|variable| place_of(set_by(variable), home.join(FOLDER)).0);
    places.filter(|other| other != place && (here.is_none() || identity(other) != here)).collect()
}

fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn is_unchanged((path, seen): &(PathBuf, Option<ReadStamp>)) -> bool {
    match seen {
        Some(seen) => seen.holds_at(path),
        None => is_missing(path),
    }
}

/// Where the folder is by the value `set`, and what is wrong with that; `usual` where it does not tell.
fn place_of(set: Option<Exported>, usual: PathBuf) -> (PathBuf, Option<String>) {
    let path = |value: Vec<u8>| PathBuf::from(OsString::from_vec(value));
    let likely = |value: Option<Vec<u8>>| {
        value.map(path).filter(|path| path.is_absolute() && path.is_dir()).unwrap_or_else(|| usual.clone())
    };
    match set {
        None => (usual, None),
        Some(Exported::Expanded) => (usual, Some("holds what only the shell can tell".to_owned())),
        Some(Exported::Conditional(value)) => {
            (likely(Some(value)), Some("depends on a condition that only the shell can tell".to_owned()))
        }
        Some(Exported::Elsewhere { value, script }) => {
            let script = label_of(&script);
            (likely(value), Some(format!("may be set by the script {script:?}, which can't be followed")))
        }
        Some(Exported::Value(value)) => {
            let path = path(value);
            match path.is_absolute() {
                true if path.is_dir() => (path, None),
                true => (path.clone(), Some(format!("names the folder {path:?}, which is not there"))),
                false => (usual, Some(format!("is {path:?}, which is not an absolute path"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_file, write};
    use std::os::unix::fs::symlink;

    use super::*;

    fn look(var: &mut VarFolder, home: &Path, environment: &Variable) -> (PathBuf, Vec<String>) {
        look_beside(var, home, environment, &[])
    }

    fn look_beside(
        var: &mut VarFolder,
        home: &Path,
        environment: &Variable,
        others: &[Variable],
    ) -> (PathBuf, Vec<String>) {
        let mut notices = Vec::new();
        let environment = VariableValues { first: environment.clone(), others: others.to_vec() };
        var.look(Some(home), &environment, SystemTime::now(), &mut notices);
        let told = notices.into_iter().map(|notice| format!("{} {}", notice.level, notice.message)).collect();
        (var.place().unwrap().to_owned(), told)
    }

    #[test]
    fn the_environment_goes_before_the_script_and_the_script_before_the_usual_place() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let elsewhere = home.join("elsewhere");
        create_dir_all(&elsewhere).unwrap();
        let mut var = VarFolder::default();
        assert_eq!(look(&mut var, home, &Variable::Unknown), (home.join("var"), vec![]));
        write(home.join(CUSTOMER_SCRIPT), format!("export XTK_VAR_DIR={}\n", elsewhere.display())).unwrap();
        let (place, told) = look(&mut var, home, &Variable::Unknown);
        assert_eq!((place, told.len()), (elsewhere.clone(), 1));
        assert!(told[0].starts_with("INFO XTK_VAR_DIR of customer.sh"), "{told:?}");
        assert_eq!(look(&mut var, home, &Variable::Unset).0, home.join("var"), "what holds");
        assert_eq!(look(&mut var, home, &Variable::Set(elsewhere.clone().into())).0, elsewhere);
        remove_file(home.join(CUSTOMER_SCRIPT)).unwrap();
        assert_eq!(look(&mut var, home, &Variable::Unknown).0, home.join("var"));
    }

    #[test]
    fn running_modules_with_another_folder_are_told_and_those_with_another_name_of_it_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let [elsewhere, link] = ["elsewhere", "link"].map(|name| home.join(name));
        create_dir_all(home.join("var")).unwrap();
        create_dir_all(&elsewhere).unwrap();
        symlink("var", &link).unwrap();
        let set = |path: &Path| Variable::Set(path.into());
        let mut var = VarFolder::default();
        let same = [set(&link), set(&home.join("var/")), set(&home.join("var"))];
        let (place, told) = look_beside(&mut var, home, &Variable::Unset, &same);
        assert_eq!((place, told, var.elsewhere()), (home.join("var"), vec![], [].as_slice()));
        let (place, told) = look_beside(&mut var, home, &Variable::Unset, &[set(&elsewhere)]);
        assert_eq!((place, var.elsewhere()), (home.join("var"), [elsewhere.clone()].as_slice()));
        assert!(told.len() == 1 && told[0].starts_with("WARN running modules have another XTK_VAR_DIR"), "{told:?}");
        assert!(look_beside(&mut var, home, &Variable::Unset, &[set(&elsewhere)]).1.is_empty(), "once");
        let gone = home.join("gone");
        look_beside(&mut var, home, &set(&gone), &[Variable::Unset]);
        assert_eq!(var.elsewhere(), [home.join("var")], "one that is not there is another");
        look_beside(&mut var, home, &set(&gone), &[]);
        assert!(var.elsewhere().is_empty());
    }

    #[test]
    fn a_value_that_can_not_be_followed_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let mut var = VarFolder::default();
        let gone = home.join("gone");
        let (place, told) = look(&mut var, home, &Variable::Set(gone.clone().into()));
        assert_eq!(place, gone, "it may come");
        assert!(told[0].starts_with("WARN") && told[0].contains("not there"), "{told:?}");
        assert!(look(&mut var, home, &Variable::Set(gone.into())).1.is_empty());
        let (place, told) = look(&mut var, home, &Variable::Set("some/where".into()));
        assert_eq!(place, home.join("var"));
        assert!(told[0].contains("not an absolute path"), "{told:?}");
        write(home.join(CUSTOMER_SCRIPT), "export XTK_VAR_DIR=$HOME/x\n").unwrap();
        assert!(look(&mut var, home, &Variable::Unknown).1[0].contains("only the shell"));
    }

    #[test]
    fn scripts_that_the_script_reads_are_followed_and_what_can_not_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let (elsewhere, other) = (home.join("elsewhere"), home.join("other.sh"));
        create_dir_all(&elsewhere).unwrap();
        let mut var = VarFolder::default();
        let export = format!("export XTK_VAR_DIR={}\n", elsewhere.display());
        write(home.join(CUSTOMER_SCRIPT), format!(". {}\n", other.display())).unwrap();
        assert_eq!(look(&mut var, home, &Variable::Unknown), (home.join("var"), vec![]), "there is none");
        write(&other, &export).unwrap();
        assert_eq!(look(&mut var, home, &Variable::Unknown).0, elsewhere, "it came");
        assert_eq!(var.script_state(), None);
        write(&other, "A=1\n").unwrap();
        assert_eq!(look(&mut var, home, &Variable::Unknown).0, home.join("var"), "it was changed");
        remove_file(&other).unwrap();
        create_dir_all(&other).unwrap();
        let (place, told) = look(&mut var, home, &Variable::Unknown);
        assert_eq!((place, told.len()), (home.join("var"), 1));
        assert!(told[0].contains("other.sh") && told[0].contains("can't be followed"), "{told:?}");
        assert_eq!(var.script_state().map(|state| (state.successful, state.invalid_values)), Some((true, 1)));
        assert!(look(&mut var, home, &Variable::Unknown).1.is_empty(), "once");
        write(home.join(CUSTOMER_SCRIPT), format!("{export}. $HOME/x\n")).unwrap();
        let (place, told) = look(&mut var, home, &Variable::Unknown);
        assert_eq!(place, elsewhere, "what it would be without that script");
        assert!(told[0].contains("$HOME/x"), "{told:?}");
        assert_eq!((look(&mut var, home, &Variable::Unset).0, var.script_state()), (home.join("var"), None));
    }

    #[test]
    fn a_script_that_does_not_tell_is_a_file_with_a_fault_while_no_module_tells() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let script = home.join(CUSTOMER_SCRIPT);
        let elsewhere = home.join("elsewhere");
        create_dir_all(&elsewhere).unwrap();
        let mut var = VarFolder::default();
        let state = |var: &VarFolder| var.script_state().map(|state| (state.successful, state.invalid_values));
        write(&script, format!("[ $A ] && export XTK_VAR_DIR={}\n", elsewhere.display())).unwrap();
        let (place, told) = look(&mut var, home, &Variable::Unknown);
        assert_eq!((place, state(&var)), (elsewhere.clone(), Some((true, 1))));
        assert!(told[0].starts_with("WARN") && told[0].contains("condition"), "{told:?}");
        assert_eq!((look(&mut var, home, &Variable::Unset).0, state(&var)), (home.join("var"), None));

        write(&script, format!("export XTK_VAR_DIR={}\n", elsewhere.display())).unwrap();
        assert_eq!((look(&mut var, home, &Variable::Unknown).0, state(&var)), (elsewhere.clone(), None));
        remove_file(&script).unwrap();
        symlink("gone", &script).unwrap();
        let (place, told) = look(&mut var, home, &Variable::Unknown);
        assert_eq!((place, state(&var)), (elsewhere, Some((false, 0))), "what it said before");
        assert!(told[0].starts_with("WARN XTK_VAR_DIR of customer.sh can't be read"), "{told:?}");
        remove_file(&script).unwrap();
        create_dir_all(&script).unwrap();
        assert!(look(&mut var, home, &Variable::Unknown).1[0].contains("not a regular file"));
    }
}
