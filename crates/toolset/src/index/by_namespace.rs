//! Objects by namespace and name, in one sorted row per namespace.

use std::collections::BTreeMap;

/// An object with a name that is unique in its namespace.
pub(super) trait Named {
    /// The name.
    fn name(&self) -> &str;
}

/// Objects by namespace, then by name.
///
/// A sorted `Vec` takes less memory than a tree, and stays compact when objects come and go. An insertion moves only a
/// pointer per Service or a few bytes per slice.
#[derive(Debug)]
pub(super) struct ByNamespace<T> {
    rows: BTreeMap<Box<str>, Vec<T>>,
    len: usize,
}

impl<T> Default for ByNamespace<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), len: 0 }
    }
}

impl<T: Named> ByNamespace<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One object.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        let row = self.rows.get(namespace)?;
        row.get(place(row, name).ok()?)
    }

    /// One object, to be changed in place. Its name must stay.
    pub(super) fn get_mut(&mut self, namespace: &str, name: &str) -> Option<&mut T> {
        let row = self.rows.get_mut(namespace)?;
        let place = place(row, name).ok()?;
        row.get_mut(place)
    }

    /// Adds an object, and returns the one that it replaces.
    pub(super) fn insert(&mut self, namespace: &str, object: T) -> Option<T> {
        let row = match self.rows.get_mut(namespace) {
            Some(row) => row,
            None => self.rows.entry(namespace.into()).or_default(),
        };
        match place(row, object.name()) {
            Ok(place) => Some(std::mem::replace(&mut row[place], object)),
            Err(place) => {
                row.insert(place, object);
                self.len += 1;
                None
            }
        }
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<T> {
        let row = self.rows.get_mut(namespace)?;
        let object = row.remove(place(row, name).ok()?);
        if row.is_empty() {
            self.rows.remove(namespace);
        }
        self.len -= 1;
        Some(object)
    }

    /// All objects, one row per namespace.
    pub(super) fn into_rows(self) -> impl Iterator<Item = (Box<str>, Vec<T>)> {
        self.rows.into_iter()
    }

    /// The namespaces that have objects.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(AsRef::as_ref)
    }

    /// Takes out of a namespace what fits, and gives back the room that is left over.
    pub(super) fn extract(&mut self, namespace: &str, fits: impl Fn(&T) -> bool) -> Vec<T> {
        let Some(row) = self.rows.get_mut(namespace) else { return Vec::new() };
        let out: Vec<T> = row.extract_if(.., |object| fits(object)).collect();
        row.shrink_to_fit();
        if row.is_empty() {
            self.rows.remove(namespace);
        }
        self.len -= out.len();
        out
    }

    /// Gives back the room that is left over in a namespace.
    pub(super) fn shrink(&mut self, namespace: &str) {
        if let Some(row) = self.rows.get_mut(namespace) {
            row.shrink_to_fit();
        }
    }

    /// The objects of one namespace, by name.
    pub(super) fn of(&self, namespace: &str) -> &[T] {
        self.rows.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// All objects, by namespace and name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values().flatten()
    }
}

/// Where an object of that name is, or where it would be.
fn place<T: Named>(row: &[T], name: &str) -> Result<usize, usize> {
    // Lists arrive in order, so most insertions are at the end.
    if row.last().is_some_and(|last| last.name() < name) {
        return Err(row.len());
    }
    row.binary_search_by(|object| object.name().cmp(name))
}
