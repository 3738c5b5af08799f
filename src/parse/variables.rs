//! A path of Campaign's configuration with its variables -> the path.
//!
//! The caller supplies the values.
//!
//! # Format
//! The page *The server configuration file*: `$(NAME)` stands for a value, as in
//! `$(XTK_INSTALL_DIR)/var/$(INSTANCE_NAME)/mta/`. Everything else stands for itself, a `$` without `(` included.

/// Why a path is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// A variable whose value is unknown.
    #[error("the variable $({0}) is not known")]
    Unknown(String),
    /// A `$(` without its `)`.
    #[error("a $( has no )")]
    Unclosed,
}

/// Replaces every `$(NAME)` of `template` by `value(NAME)`.
///
/// # Errors
/// When a variable has no value or no end.
pub fn expand<'v>(template: &str, value: impl Fn(&str) -> Option<&'v [u8]>) -> Result<Vec<u8>, VariableError> {
    let mut expanded = Vec::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, after) = after.split_once(')').ok_or(VariableError::Unclosed)?;
        expanded.extend_from_slice(before.as_bytes());
        expanded.extend_from_slice(value(name).ok_or_else(|| VariableError::Unknown(name.to_owned()))?);
        rest = after;
    }
    expanded.extend_from_slice(rest.as_bytes());
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(template: &str) -> Result<String, VariableError> {
        let value = |name: &str| match name {
            "XTK_INSTALL_DIR" => Some(b"/usr/local/neolane/nl6".as_slice()),
            "INSTANCE_NAME" => Some(b"prod".as_slice()),
            _ => None,
        };
        expand(template, value).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_documented_default_is_expanded() {
        let path = expanded("$(XTK_INSTALL_DIR)/var/$(INSTANCE_NAME)/mta/").unwrap();
        assert_eq!(path, "/usr/local/neolane/nl6/var/prod/mta/");
    }

    #[test]
    fn what_is_no_variable_stands_for_itself() {
        assert_eq!(expanded("/spool/$x/a)b/$").unwrap(), "/spool/$x/a)b/$");
        assert_eq!(expanded("").unwrap(), "");
    }

    #[test]
    fn an_unknown_or_unclosed_variable_is_named() {
        assert_eq!(expanded("/a/$(HOME)/b"), Err(VariableError::Unknown("HOME".into())));
        assert_eq!(expanded("/a/$(instance_name)"), Err(VariableError::Unknown("instance_name".into())));
        assert_eq!(expanded("/a/$(INSTANCE_NAME"), Err(VariableError::Unclosed));
    }

    proptest! {
        #[test]
        fn a_value_is_never_expanded_again(template: String, inner: String) {
            if let Ok(bytes) = expand(&template, |_| Some(inner.as_bytes())) {
                let variables = template.matches("$(").count();
                prop_assert!(bytes.len() <= template.len() + variables * inner.len());
            }
        }
    }
}
