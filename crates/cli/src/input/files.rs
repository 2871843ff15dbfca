//! Which files the user names: a file, standard input, or the files of a directory.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// The endings of the files of a directory that are read, as in kubectl.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The files that the user names with `-f`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub files: &'a [PathBuf],
    /// Whether to read the subdirectories of a directory, too.
    pub recursive: bool,
}

/// A file to read.
pub(super) struct File {
    pub path: PathBuf,
    /// Whether the user names its directory. Such a file can hold something that is not a Kubernetes object.
    pub of_directory: bool,
}

impl Named<'_> {
    /// The paths of the files.
    #[cfg(feature = "ui")]
    pub(crate) fn paths(self) -> Result<Vec<PathBuf>, Failure> {
        Ok(self.resolved()?.into_iter().map(|file| file.path).collect())
    }

    /// The files, those of a directory sorted by their paths.
    pub(super) fn resolved(self) -> Result<Vec<File>, Failure> {
        if self.files.iter().filter(|file| is_stdin(file)).count() > 1 {
            return Err(Failure::Usage("error: standard input (-f -) can be read only once".to_owned()));
        }
        let mut all = Vec::new();
        for path in self.files {
            if is_stdin(path) || !path.is_dir() {
                all.push(File { path: path.clone(), of_directory: false });
                continue;
            }
            let mut found = Vec::new();
            collect(path, self.recursive, &mut found)
                .map_err(|error| Failure::input(format!("error: {}: {error}", path.display())))?;
            if found.is_empty() {
                let advice = if self.recursive { "" } else { "; use -R to read its subdirectories too" };
                return Err(Failure::input(format!(
                    "error: {}: the directory has no file that ends with .yaml, .yml or .json{advice}",
                    path.display()
                )));
            }
            found.sort();
            all.extend(found.into_iter().map(|path| File { path, of_directory: true }));
        }
        Ok(all)
    }
}

/// Adds the files of a directory. Hidden files and directories are left out: they belong to other programs. A link to
/// a directory is not followed, so that no loop is possible.
fn collect(directory: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            if recursive {
                collect(&path, recursive, found)?;
            }
        } else if path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end.eq_ignore_ascii_case(known)))
            && path.is_file()
        {
            found.push(path);
        }
    }
    Ok(())
}

impl File {
    /// The name of the file, as messages write it.
    pub(super) fn name(&self) -> String {
        if is_stdin(&self.path) { "standard input".to_owned() } else { self.path.display().to_string() }
    }

    pub(super) fn read(&self) -> io::Result<String> {
        let bytes = if is_stdin(&self.path) {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            bytes
        } else {
            fs::read(&self.path)?
        };
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"))
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}
