//! The folder `var` of an installation: where logs, tracking logs and mails are.
//!
//! `XTK_VAR_DIR` moves it: the environment of a running module decides, else `customer.sh`, else it is `var` in the
//! installation's folder, which may be a symbolic link.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use tracing::Level;

use super::Notice;
use crate::catalog::attributes::VAR_DIRECTORY;
use crate::parse::customer::{Exported, exported};
use crate::source::kit::files::read_regular;
use crate::source::processes::Variable;
use crate::stamp::ReadStamp;

const SCRIPT: &str = "customer.sh";
const FOLDER: &str = "var";
const MAX_SCRIPT_BYTES: u64 = 1024 * 1024;

/// What is known of the folder.
#[derive(Default)]
pub(super) struct VarFolder {
    /// What the script exported, and how it looked when it was read.
    script: Option<(ReadStamp, Option<Exported>)>,
    place: Option<PathBuf>,
    told: Option<String>,
}

impl VarFolder {
    /// The folder.
    pub(super) fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// Looks where the folder is; whether that is another place than before.
    pub(super) fn look(&mut self, home: Option<&Path>, environment: &Variable, notices: &mut Vec<Notice>) -> bool {
        let Some(home) = home else { return self.place.take().is_some() };
        let (source, set) = match environment {
            Variable::Set(value) => ("a running module", Some(Exported::Value(value.clone().into_vec()))),
            Variable::Unset => ("a running module", None),
            Variable::Unknown => (SCRIPT, self.of_script(home)),
        };
        let usual = home.join(FOLDER);
        let (place, problem) = match set {
            None => (usual, None),
            Some(Exported::Expanded) => (usual, Some("holds what only the shell can tell".to_owned())),
            Some(Exported::Value(value)) => {
                let path = PathBuf::from(OsString::from_vec(value));
                match path.is_absolute() {
                    true if path.is_dir() => (path, None),
                    true => (path.clone(), Some(format!("names the folder {path:?}, which is not there"))),
                    false => (usual, Some(format!("is {path:?}, which is no absolute path"))),
                }
            }
        };
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
        let is_new = self.place.as_ref() != Some(&place);
        self.place = Some(place);
        is_new
    }

    /// What the script exports. It is read again where it may have changed.
    fn of_script(&mut self, home: &Path) -> Option<Exported> {
        let path = home.join(SCRIPT);
        if !self.script.as_ref().is_some_and(|(seen, _)| seen.holds_at(&path)) {
            self.script = None;
            let stamp = ReadStamp::at(&path).ok()?;
            let script = read_regular(&path, MAX_SCRIPT_BYTES).unwrap_or_default();
            self.script = Some((stamp, exported(&script, VAR_DIRECTORY)));
        }
        self.script.as_ref().and_then(|(_, exported)| exported.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_file, write};

    use super::*;

    fn look(var: &mut VarFolder, home: &Path, environment: &Variable) -> (PathBuf, Vec<String>) {
        let mut notices = Vec::new();
        var.look(Some(home), environment, &mut notices);
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
        write(home.join(SCRIPT), format!("export XTK_VAR_DIR={}\n", elsewhere.display())).unwrap();
        let (place, told) = look(&mut var, home, &Variable::Unknown);
        assert_eq!((place, told.len()), (elsewhere.clone(), 1));
        assert!(told[0].starts_with("INFO XTK_VAR_DIR of customer.sh"), "{told:?}");
        assert_eq!(look(&mut var, home, &Variable::Unset).0, home.join("var"), "what holds");
        assert_eq!(look(&mut var, home, &Variable::Set(elsewhere.clone().into())).0, elsewhere);
        remove_file(home.join(SCRIPT)).unwrap();
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
        write(home.join(SCRIPT), "export XTK_VAR_DIR=$HOME/x\n").unwrap();
        assert!(look(&mut var, home, &Variable::Unknown).1[0].contains("only the shell"));
    }
}
