//! Objects by namespace and name: one sorted row per namespace, so that nobody scans the others.

use std::collections::BTreeMap;

/// An object with a name that is unique in its namespace.
pub(super) trait Named {
    /// The name.
    fn name(&self) -> &str;
}

/// Objects by namespace, then by name.
///
/// A sorted `Vec` per namespace takes less memory than a tree and keeps it when objects come and go. What it moves on an
/// insertion is small: a pointer per Service, a few words per slice.
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
    pub fn len(&self) -> usize {
        self.len
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        let row = self.rows.get(namespace)?;
        row.get(place(row, name).ok()?)
    }

    /// One object, to be changed in place. Its name must stay.
    pub fn get_mut(&mut self, namespace: &str, name: &str) -> Option<&mut T> {
        let row = self.rows.get_mut(namespace)?;
        let place = place(row, name).ok()?;
        row.get_mut(place)
    }

    /// Adds an object, and returns the one that it replaces.
    pub fn insert(&mut self, namespace: &str, object: T) -> Option<T> {
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
    pub fn remove(&mut self, namespace: &str, name: &str) -> Option<T> {
        let row = self.rows.get_mut(namespace)?;
        let object = row.remove(place(row, name).ok()?);
        if row.is_empty() {
            self.rows.remove(namespace);
        }
        self.len -= 1;
        Some(object)
    }

    /// Takes out, of one namespace or of all, what fits, and gives back the room that is left over.
    pub fn extract(&mut self, namespace: Option<&str>, fits: impl Fn(&T) -> bool) -> Vec<(Box<str>, T)> {
        let mut out = Vec::new();
        let mut of_row = |namespace: &str, row: &mut Vec<T>| {
            out.extend(row.extract_if(.., |object| fits(object)).map(|object| (Box::from(namespace), object)));
            row.shrink_to_fit();
            !row.is_empty()
        };
        match namespace {
            None => self.rows.retain(|namespace, row| of_row(namespace, row)),
            Some(namespace) => {
                if self.rows.get_mut(namespace).is_some_and(|row| !of_row(namespace, row)) {
                    self.rows.remove(namespace);
                }
            }
        }
        self.len -= out.len();
        out
    }

    /// The objects of one namespace, by name.
    pub fn of(&self, namespace: &str) -> &[T] {
        self.rows.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// All objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
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
