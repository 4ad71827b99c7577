//! Account of reference servers, which do not serve as root.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::Context;

/// Unprivileged account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
    user_id: u32,
    group_id: u32,
}

/// Usual accounts of web servers, and one that every system has.
const USUAL: [&str; 5] = ["www-data", "http", "apache", "nginx", "nobody"];

impl Account {
    /// Account to use; `None` if this process is not root.
    ///
    /// # Errors
    /// This process is root, and none of the accounts exists.
    pub(super) fn needed() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        let found = USUAL.into_iter().find_map(|user| find(user, &users, &groups));
        found.map(Some).with_context(|| {
            format!(
                "reference servers do not serve as root, and none of the accounts {} exists: run as \
                 another user",
                USUAL.join(", ")
            )
        })
    }

    /// Gives a folder to the account.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn own(&self, folder: &Path) -> anyhow::Result<()> {
        chown(folder, Some(self.user_id), Some(self.group_id))
            .with_context(|| format!("cannot give {} to {}", folder.display(), self.user))
    }
}

fn find(user: &str, users: &str, groups: &str) -> Option<Account> {
    let (_, user_id, group) = users.lines().filter_map(entry).find(|(name, ..)| *name == user)?;
    let group_id = group?.parse().ok()?;
    let (group, ..) = groups.lines().filter_map(entry).find(|(_, id, _)| *id == group_id)?;
    Some(Account { user: user.to_owned(), group: group.to_owned(), user_id, group_id })
}

/// Name, number and next field of a line of either file.
fn entry(line: &str) -> Option<(&str, u32, Option<&str>)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((name, fields.nth(1)?.parse().ok()?, fields.next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_group_are_found_together() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:::\n";
        let groups = "root:x:0:\nnogroup:x:65534:\n";
        let account = find("nobody", users, groups).unwrap();
        assert_eq!((account.user.as_str(), account.group.as_str()), ("nobody", "nogroup"));
        assert_eq!((account.user_id, account.group_id), (65534, 65534));
        assert_eq!(find("www-data", users, groups), None);
    }
}
