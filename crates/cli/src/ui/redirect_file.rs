//! The file by which the browser gets the one-time address. The address is then in no list of processes, where other
//! users of the computer can read it.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// A file that only the user can read. It is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct RedirectFile(PathBuf);

impl RedirectFile {
    /// Writes the file. `url` is the one-time address, and `name` a random name.
    pub(super) fn create(url: &str, name: &str) -> io::Result<Self> {
        // The folder of a session belongs to its user.
        let folder = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        Self::create_in(&folder.unwrap_or_else(env::temp_dir), url, name)
    }

    fn create_in(folder: &Path, url: &str, name: &str) -> io::Result<Self> {
        let path = folder.join(format!("kubectl-toolset-{name}.html"));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let file_path = Self(path);
        write!(
            file,
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>kubectl toolset ui</title>\n\
             <meta http-equiv=\"refresh\" content=\"0; url={url}\">\n\
             <p><a href=\"{url}\">Open the page</a></p>\n"
        )?;
        Ok(file_path)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RedirectFile {
    fn drop(&mut self) {
        // It holds a token that works once, so a file that stays does no harm.
        _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_user_can_read_the_file_and_it_goes_with_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let file = RedirectFile::create_in(folder.path(), "http://127.0.0.1:1/open?token=a", "b").unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().contains("url=http://127.0.0.1:1/open?token=a\""));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_there_already_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let first = RedirectFile::create_in(folder.path(), "http://127.0.0.1:1/", "b").unwrap();
        assert!(RedirectFile::create_in(folder.path(), "http://127.0.0.1:2/", "b").is_err());
        drop(first);
    }
}
