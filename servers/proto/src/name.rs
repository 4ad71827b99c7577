//! File names that peers may use.

use std::fmt;

/// Longest component of a name in bytes (`NAME_MAX` of Linux).
const COMPONENT_BYTES: usize = 255;
/// Longest name in bytes; also the longest on the framed wire.
const NAME_BYTES: usize = 4096;

/// Name that is safe to resolve beneath the root: one or more components joined by `/`.
///
/// Everything else is kept literally: a leading dash, spaces, and both Unicode normal forms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileName(String);

/// Reason why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no byte.
    #[error("the name is empty")]
    Empty,
    /// The name has more than 4096 bytes, or a component of more than 255 bytes.
    #[error("the name is too long (255 bytes a component, 4096 in all)")]
    TooLong,
    /// The name is not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// The name begins with `/`.
    #[error("the name is absolute")]
    Absolute,
    /// A component is empty, `.` or `..`.
    #[error("the name has an empty, '.' or '..' component")]
    BadComponent,
    /// The name has a backslash, NUL or another control character.
    #[error("the name has a backslash or a control character")]
    BadCharacter,
}

impl FileName {
    /// Checks a name.
    ///
    /// # Errors
    /// The name breaks a rule.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name)?;
        Ok(Self(name.to_owned()))
    }

    /// Checks bytes and stores them in place of the current name, reusing its memory: a session
    /// keeps one name for all its requests.
    ///
    /// # Errors
    /// The bytes break a rule of [`new`](Self::new); the name is then unspecified.
    pub fn assign(&mut self, bytes: &[u8]) -> Result<(), NameError> {
        let name = std::str::from_utf8(bytes).map_err(|_| NameError::NotUtf8)?;
        check(name)?;
        self.0.clear();
        self.0.push_str(name);
        Ok(())
    }

    /// Clears the name but keeps its memory. The result is not a valid name.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Folder (empty for the root itself) and last component.
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }

    /// The `number`th alternative for a taken name: `meme.png` → `meme_copy1.png`.
    ///
    /// The extension begins at the last dot of the last component, unless that is its first
    /// character.
    ///
    /// # Errors
    /// [`NameError::TooLong`] if the longer name breaks a limit.
    pub fn copy(&self, number: u32) -> Result<Self, NameError> {
        let (_, last) = self.split();
        let cut = match last.rfind('.') {
            Some(dot) if dot > 0 => self.0.len() - last.len() + dot,
            _ => self.0.len(),
        };
        Self::new(&format!("{}_copy{number}{}", &self.0[..cut], &self.0[cut..]))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for FileName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_BYTES {
        return Err(NameError::TooLong);
    }
    if name.starts_with('/') {
        return Err(NameError::Absolute);
    }
    if name.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(NameError::BadCharacter);
    }
    for component in name.split('/') {
        if matches!(component, "" | "." | "..") {
            return Err(NameError::BadComponent);
        }
        if component.len() > COMPONENT_BYTES {
            return Err(NameError::TooLong);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_root_or_hide_something_are_refused() {
        for (name, why) in [
            ("", NameError::Empty),
            ("/etc/passwd", NameError::Absolute),
            ("..", NameError::BadComponent),
            ("a/../b", NameError::BadComponent),
            ("a//b", NameError::BadComponent),
            ("a/", NameError::BadComponent),
            (".", NameError::BadComponent),
            ("a\\b", NameError::BadCharacter),
            ("a\0b", NameError::BadCharacter),
            ("a\nb", NameError::BadCharacter),
            ("a\u{7f}b", NameError::BadCharacter),
        ] {
            assert_eq!(FileName::new(name), Err(why), "{name:?}");
        }
        assert_eq!(FileName::new(&"x".repeat(256)), Err(NameError::TooLong));
        assert_eq!(FileName::default().assign(b"\xff"), Err(NameError::NotUtf8));
    }

    #[test]
    fn unusual_names_are_kept_literally() {
        for name in ["-rf", "two words", "caf\u{e9}", "cafe\u{301}", "a/b/c", "...", ".hidden"] {
            assert_eq!(FileName::new(name).unwrap().as_str(), name);
        }
        assert!(FileName::new(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn copies_are_numbered_before_the_extension() {
        for (name, copy) in [
            ("meme.png", "meme_copy1.png"),
            ("archive.tar.gz", "archive.tar_copy1.gz"),
            ("README", "README_copy1"),
            (".profile", ".profile_copy1"),
            ("v1.2/notes", "v1.2/notes_copy1"),
            ("v1.2/a.b", "v1.2/a_copy1.b"),
        ] {
            assert_eq!(FileName::new(name).unwrap().copy(1).unwrap().as_str(), copy);
        }
        assert_eq!(FileName::new(&"x".repeat(250)).unwrap().copy(1), Err(NameError::TooLong));
    }
}
