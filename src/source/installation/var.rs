//! The folder `var` of an installation: where logs, tracking logs and mails are.
//!
//! `XTK_VAR_DIR` moves it: the environment of a running module decides, else `customer.sh`, else it is `var` in the
//! installation's folder, which may be a symbolic link.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::Level;

use super::file::{FileError, MAX_FILE_BYTES};
use super::{FileState, Notice};
use crate::catalog::attributes::{CUSTOMER_SCRIPT, VAR_DIRECTORY};
use crate::parse::customer::{Exported, exported};
use crate::source::kit::files::read_regular;
use crate::source::processes::Variable;
use crate::stamp::ReadStamp;

const FOLDER: &str = "var";

/// What is known of the folder.
#[derive(Default)]
pub(super) struct VarFolder {
    /// How the script looked when it was read last.
    script: Option<ReadStamp>,
    /// What its last good content exported, and when that was read.
    exported: Option<Exported>,
    last_success: Option<SystemTime>,
    /// What is wrong with it, while it decides.
    state: Option<FileState>,
    place: Option<PathBuf>,
    told: Option<String>,
}

impl VarFolder {
    /// The folder.
    pub(super) fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// How the last reading of the script went, where it decides and does not tell.
    pub(super) fn script_state(&self) -> Option<FileState> {
        self.state
    }

    /// Looks where the folder is; whether that, or what is wrong with the script, is different from before.
    pub(super) fn look(
        &mut self,
        home: Option<&Path>,
        environment: &Variable,
        now: SystemTime,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Some(home) = home else { return self.place.take().is_some() };
        let (source, set, failure) = match environment {
            Variable::Set(value) => ("a running module", Some(Exported::Value(value.clone().into_vec())), None),
            Variable::Unset => ("a running module", None, None),
            Variable::Unknown => {
                let failure = self.read_script(home, now).err();
                (CUSTOMER_SCRIPT, self.exported.clone(), failure)
            }
        };
        let (place, problem) = place_of(set, home.join(FOLDER));
        let problem = failure.as_ref().map(|error| format!("can't be read ({error})")).or(problem);
        let message = match &problem {
            Some(problem) => Some(format!(
                "{VAR_DIRECTORY} of {source} {problem}: logs, tracking logs and mails that wait are looked for in {}",
                place.display()
            )),
            None if place != home.join(FOLDER) => Some(format!(
                "{VAR_DIRECTORY} of {source}: logs, tracking logs and mails that wait are looked for here"
            )),
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
        let is_new = self.place.as_ref() != Some(&place) || self.state != state;
        (self.place, self.state) = (Some(place), state);
        is_new
    }

    /// Reads what the script exports, where it may have changed. What can't be read now says what it said before.
    fn read_script(&mut self, home: &Path, now: SystemTime) -> Result<(), FileError> {
        let path = home.join(CUSTOMER_SCRIPT);
        if self.script.as_ref().is_some_and(|seen| seen.holds_at(&path)) {
            return Ok(());
        }
        self.script = None;
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.exported = None;
            return Ok(());
        }
        let stamp = ReadStamp::at(&path)?;
        self.exported = exported(&read_regular(&path, MAX_FILE_BYTES)?, VAR_DIRECTORY);
        (self.script, self.last_success) = (Some(stamp), Some(now));
        Ok(())
    }
}

/// Where the folder is by the value `set`, and what is wrong with that; `usual` where it does not tell.
fn place_of(set: Option<Exported>, usual: PathBuf) -> (PathBuf, Option<String>) {
    let path = |value: Vec<u8>| PathBuf::from(OsString::from_vec(value));
    match set {
        None => (usual, None),
        Some(Exported::Expanded) => (usual, Some("holds what only the shell can tell".to_owned())),
        Some(Exported::Conditional(value)) => {
            let path = Some(path(value)).filter(|path| path.is_absolute() && path.is_dir()).unwrap_or(usual);
            (path, Some("depends on a condition that only the shell can tell".to_owned()))
        }
        Some(Exported::Value(value)) => {
            let path = path(value);
            match path.is_absolute() {
                true if path.is_dir() => (path, None),
                true => (path.clone(), Some(format!("names the folder {path:?}, which is not there"))),
                false => (usual, Some(format!("is {path:?}, which is no absolute path"))),
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
        let mut notices = Vec::new();
        var.look(Some(home), environment, SystemTime::now(), &mut notices);
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
        assert!(told[0].contains("no absolute path"), "{told:?}");
        write(home.join(CUSTOMER_SCRIPT), "export XTK_VAR_DIR=$HOME/x\n").unwrap();
        assert!(look(&mut var, home, &Variable::Unknown).1[0].contains("only the shell"));
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
