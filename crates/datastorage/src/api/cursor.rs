//! Cursors, which point to the next page of a list.
//!
//! A cursor contains the last id of a page and a digest of the filters, so that clients cannot use it with other
//! filters. It grants no permission. The service checks the permissions again for every page.

use audit::problem::ProblemType;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Failure;
use crate::store::Start;

const VERSION: u8 = 1;
const LENGTH: usize = 42;

/// Where the next page begins, and the bounds of the list, which do not move with the clock between its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the next page begins.
    pub start: Start,
    /// The lower bound.
    pub since: Option<Timestamp>,
    /// The upper bound.
    pub until: Option<Timestamp>,
}

/// What identifies a list: the parameters as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 8]);

impl Digest {
    /// The digest of parameters.
    pub(super) fn of(parameters: &[(String, String)]) -> Self {
        let mut hash = Sha256::new();
        for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let hash: [u8; 32] = hash.finalize().into();
        Self(std::array::from_fn(|index| hash[index]))
    }
}

impl Cursor {
    /// The cursor as a text.
    pub(super) fn encode(&self, digest: Digest) -> String {
        let (kind, position) = match self.start {
            Start::Newest(id) => (0, id.unwrap_or(Uuid::max()).into_bytes()),
            Start::Oldest(id) => (1, id.unwrap_or(Uuid::nil()).into_bytes()),
            Start::AfterSeq(seq) => (2, i128::from(seq).to_be_bytes()),
        };
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend([VERSION, kind]);
        bytes.extend(position);
        for bound in [self.since, self.until] {
            bytes.extend(bound.map_or(i64::MIN, Timestamp::as_millisecond).to_be_bytes());
        }
        bytes.extend(digest.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor. Fails if this is none, or one of another list.
    pub(super) fn decode(text: &str, digest: Digest) -> Result<Self, Failure> {
        let bad = || Failure::new(ProblemType::BadCursor, "the cursor is invalid; start again without a cursor");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| bad())?;
        let (head, digest_of_cursor) = bytes.split_at(LENGTH - 8);
        if digest_of_cursor != digest.0 {
            let detail = "the cursor belongs to a list with other parameters; repeat all parameters, or start again \
                          without a cursor";
            return Err(Failure::new(ProblemType::BadCursor, detail));
        }
        let position: [u8; 16] = head[2..18].try_into().map_err(|_| bad())?;
        let start = match (head[0], head[1]) {
            (VERSION, 0) => Start::Newest(Some(Uuid::from_bytes(position))),
            (VERSION, 1) => Start::Oldest(Some(Uuid::from_bytes(position))),
            (VERSION, 2) => Start::AfterSeq(i128::from_be_bytes(position).try_into().map_err(|_| bad())?),
            _ => return Err(bad()),
        };
        let bound = |at: usize| -> Result<Option<Timestamp>, Failure> {
            let bytes: [u8; 8] = head[at..at + 8].try_into().map_err(|_| bad())?;
            match i64::from_be_bytes(bytes) {
                i64::MIN => Ok(None),
                milliseconds => Timestamp::from_millisecond(milliseconds).map(Some).map_err(|_| bad()),
            }
        };
        Ok(Self { start, since: bound(18)?, until: bound(26)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(value: &str) -> Digest {
        Digest::of(&[("kind".to_owned(), value.to_owned())])
    }

    #[test]
    fn a_cursor_is_read_back() {
        let since = Timestamp::from_millisecond(1_764_109_542_888).unwrap();
        for start in [
            Start::Newest(Some(Uuid::now_v7())),
            Start::Oldest(Some(Uuid::now_v7())),
            Start::AfterSeq(0),
            Start::AfterSeq(i64::MAX),
        ] {
            let cursor = Cursor { start, since: Some(since), until: None };
            assert_eq!(Cursor::decode(&cursor.encode(digest("a")), digest("a")).unwrap(), cursor);
        }
    }

    #[test]
    fn a_cursor_of_another_list_and_a_text_that_is_none_are_refused() {
        let text = Cursor { start: Start::AfterSeq(1), since: None, until: None }.encode(digest("a"));
        let other = Cursor::decode(&text, digest("b")).unwrap_err().problem;
        assert_eq!(other.r#type, ProblemType::BadCursor);
        assert!(other.detail.contains("other parameters"));
        for bad in ["", "x", "%%%", &text[1..], &format!("{text}AAAA"), &URL_SAFE_NO_PAD.encode([0; LENGTH])] {
            assert_eq!(Cursor::decode(bad, digest("a")).unwrap_err().problem.r#type, ProblemType::BadCursor, "{bad}");
        }
    }

    #[test]
    fn a_name_and_its_value_cannot_be_confused_with_others() {
        let of = |name: &str, value: &str| Digest::of(&[(name.to_owned(), value.to_owned())]);
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }
}
