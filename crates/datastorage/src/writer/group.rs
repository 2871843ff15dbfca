//! The records of one transaction: which of them are new, and what becomes of each.

use std::collections::HashMap;

use audit::{FieldError, Reason, chain::Keys};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Outcome, Position, Request, WriteError, item::Item};
use crate::store::{
    StoreError,
    chain::Head,
    write::{Known, NewRow},
};

/// What is known about a record of the group.
#[derive(Clone, Debug)]
enum State {
    /// Nothing yet.
    Open,
    /// The same record, or another one with its id, stands earlier in the group.
    Repeats(usize, Same),
    Decided(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    Yes,
    No,
}

/// The records of one transaction.
pub(super) struct Group {
    items: Vec<Item>,
    states: Vec<State>,
    /// The answers, with the number of records of each request.
    requests: Vec<(Request, usize)>,
}

impl Group {
    pub(super) fn new(requests: Vec<Request>) -> Self {
        let mut items: Vec<Item> = Vec::new();
        let mut taken = Vec::new();
        for mut request in requests {
            let of_request = std::mem::take(&mut request.items);
            taken.push((request, of_request.len()));
            items.extend(of_request);
        }
        let mut first: HashMap<Uuid, usize> = HashMap::with_capacity(items.len());
        let mut states = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let earlier = *first.entry(item.id()).or_insert(index);
            states.push(match items.get(earlier) {
                Some(other) if earlier != index => {
                    State::Repeats(earlier, if item.is_same_as(other) { Same::Yes } else { Same::No })
                }
                _ => State::Open,
            });
        }
        Self { items, states, requests: taken }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The records that nothing is known about.
    pub(super) fn open(&self) -> Vec<usize> {
        (0..self.items.len()).filter(|index| matches!(self.states.get(*index), Some(State::Open))).collect()
    }

    pub(super) fn item(&self, index: usize) -> Option<&Item> {
        self.items.get(index)
    }

    pub(super) fn ids(&self, of: &[usize]) -> Vec<Uuid> {
        of.iter().filter_map(|index| self.items.get(*index)).map(Item::id).collect()
    }

    pub(super) fn decide(&mut self, index: usize, outcome: Outcome) {
        if let Some(state) = self.states.get_mut(index) {
            *state = State::Decided(outcome);
        }
    }

    /// What becomes of the records that are there already.
    pub(super) fn found(&self, known: &[Known]) -> Vec<(usize, Outcome)> {
        let known: HashMap<Uuid, &Known> = known.iter().map(|known| (known.event_id, known)).collect();
        let found = self.open().into_iter().filter_map(|index| {
            let item = self.items.get(index)?;
            let known = known.get(&item.id())?;
            let position = Position { seq: known.seq, recorded_at: known.recorded_at };
            let outcome = match item.is_same_as_known(known) {
                // An attempt of this group, whose outcome was not known until now.
                true if item.attempted == Some(position) => Outcome::Created(position),
                true => Outcome::Duplicate(position),
                false => Outcome::Conflict,
            };
            Some((index, outcome))
        });
        found.collect()
    }

    /// The rows of records at the end of the chain.
    pub(super) fn link(
        &self,
        of: &[usize],
        head: &mut Head,
        keys: &Keys,
        recorded_at: Timestamp,
    ) -> Result<Vec<NewRow<'_>>, StoreError> {
        let items = of.iter().filter_map(|index| self.items.get(*index));
        items
            .map(|item| {
                let content_hash = item.record.content_hash();
                let link = head.push(keys, recorded_at, &item.recorded_by, content_hash)?;
                Ok(NewRow {
                    event: item.record.event(),
                    content_hash,
                    text: item.text.as_ref(),
                    recorded_by: &item.recorded_by,
                    link,
                })
            })
            .collect()
    }

    /// Notes down where records will stand if the next message is obeyed.
    pub(super) fn attempting(&mut self, positions: &[(usize, Position)]) {
        for (index, position) in positions {
            if let Some(item) = self.items.get_mut(*index) {
                item.attempted = Some(*position);
            }
        }
    }

    /// Answers all requests with what became of their records.
    pub(super) fn answer(self) {
        let outcomes: Vec<Outcome> = (0..self.items.len()).map(|index| self.outcome(index)).collect();
        let mut outcomes = outcomes.into_iter();
        for (request, count) in self.requests {
            let of_request = outcomes.by_ref().take(count).collect();
            // The caller may be gone.
            drop(request.answer.send(Ok(of_request)));
        }
    }

    /// Answers all requests with an error.
    pub(super) fn fail(self, error: &WriteError) {
        for (request, _) in self.requests {
            drop(request.answer.send(Err(error.clone())));
        }
    }

    fn outcome(&self, index: usize) -> Outcome {
        match self.states.get(index) {
            Some(State::Decided(outcome)) => outcome.clone(),
            Some(State::Repeats(earlier, Same::Yes)) => match self.outcome(*earlier) {
                Outcome::Created(position) => Outcome::Duplicate(position),
                other => other,
            },
            Some(State::Repeats(_, Same::No)) => Outcome::Conflict,
            Some(State::Open) | None => Outcome::Invalid(FieldError::new(
                "event_id",
                Reason::Invalid,
                "the service did not store the record; send it again with the same id",
            )),
        }
    }
}

/// Why the database refuses a record, without any of its values.
pub(super) fn refusal(error: &StoreError) -> FieldError {
    let refused = |field: &str, why: &str| {
        FieldError::new(field, Reason::Invalid, format!("the database rejects the value: {why}"))
    };
    let StoreError::Database(error) = error else { return refused("body", "it gave no reason") };
    let Some(said) = error.as_db_error() else { return refused("body", "the service cannot send it") };
    // The checks of the schema have the names of their columns.
    let field = said.constraint().and_then(|name| name.strip_prefix("audit_event_")?.strip_suffix("_check"));
    match field.or(said.column()) {
        Some(field) => refused(field, "it violates a rule of the column"),
        None => refused("body", &format!("SQLSTATE {}", said.code().code())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use audit::{Accepted, Event, Kind, Phase, redact};
    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    type Answer = oneshot::Receiver<Result<Vec<Outcome>, WriteError>>;

    fn event(name: &str) -> Event {
        Event::new(Kind::Execution, name, "prod", Phase::Completed, "restart_pod", "rr-1")
    }

    fn request(by: &str, events: &[Event]) -> (Request, Answer) {
        let (answer, answered) = oneshot::channel();
        let room = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let items = events.iter().map(|event| Item::new(Accepted::system(event.clone()), by.into())).collect();
        (Request { items, answer, _room: [room(), room()] }, answered)
    }

    fn at(seq: i64) -> Position {
        Position { seq, recorded_at: Timestamp::UNIX_EPOCH }
    }

    fn known(event: &Event, by: &str, seq: i64) -> Known {
        Known {
            event_id: event.event_id,
            seq,
            recorded_at: Timestamp::UNIX_EPOCH,
            recorded_by: by.to_owned(),
            content_hash: audit::chain::content_hash(event).to_vec(),
            redaction_version: redact::VERSION,
            identifying: Default::default(),
            occurred_at: event.occurred_at,
        }
    }

    /// Writes what is open as if nothing of it were there, from number 1 on.
    fn write_all(group: &mut Group) {
        for (index, seq) in group.open().into_iter().zip(1..) {
            group.decide(index, Outcome::Created(at(seq)));
        }
    }

    #[test]
    fn each_request_gets_the_outcomes_of_its_own_records_in_their_order() {
        let (a, mut a_answer) = request("a", &[event("one"), event("two")]);
        let (b, mut b_answer) = request("b", &[event("three")]);
        let mut group = Group::new(vec![a, b]);
        assert_eq!(group.len(), 3);
        write_all(&mut group);
        group.answer();
        assert_eq!(a_answer.try_recv().unwrap().unwrap(), [Outcome::Created(at(1)), Outcome::Created(at(2))]);
        assert_eq!(b_answer.try_recv().unwrap().unwrap(), [Outcome::Created(at(3))]);
    }

    #[test]
    fn the_same_record_in_two_requests_is_written_once() {
        let same = event("one");
        let (first, mut first_answer) = request("a", std::slice::from_ref(&same));
        let (again, mut again_answer) = request("a", std::slice::from_ref(&same));
        let (stranger, mut stranger_answer) = request("b", &[same]);
        let mut group = Group::new(vec![first, again, stranger]);
        assert_eq!(group.open(), [0]);
        write_all(&mut group);
        group.answer();
        assert_eq!(first_answer.try_recv().unwrap().unwrap(), [Outcome::Created(at(1))]);
        assert_eq!(again_answer.try_recv().unwrap().unwrap(), [Outcome::Duplicate(at(1))]);
        assert_eq!(stranger_answer.try_recv().unwrap().unwrap(), [Outcome::Conflict]);
    }

    #[test]
    fn a_record_that_an_attempt_of_unknown_outcome_wrote_is_created_and_not_a_duplicate() {
        let (mine, other) = (event("one"), event("two"));
        let (request, _answer) = request("a", &[mine.clone(), other.clone()]);
        let mut group = Group::new(vec![request]);
        group.attempting(&[(0, at(7)), (1, at(8))]);
        // The second one stands elsewhere: an earlier request wrote it.
        let found = group.found(&[known(&mine, "a", 7), known(&other, "a", 3)]);
        assert_eq!(found, [(0, Outcome::Created(at(7))), (1, Outcome::Duplicate(at(3)))]);
    }

    #[test]
    fn what_is_there_with_another_content_or_identity_is_a_conflict() {
        let mine = event("one");
        let mut changed = mine.clone();
        changed.name = "two".to_owned();
        let (request, _answer) = request("a", std::slice::from_ref(&mine));
        let group = Group::new(vec![request]);
        assert_eq!(group.found(&[known(&changed, "a", 1)]), [(0, Outcome::Conflict)]);
        assert_eq!(group.found(&[known(&mine, "b", 1)]), [(0, Outcome::Conflict)]);
        assert_eq!(group.found(&[]), []);
    }

    #[test]
    fn links_follow_the_head_and_each_other() {
        let (request, _answer) = request("a", &[event("one"), event("two"), event("three")]);
        let group = Group::new(vec![request]);
        let mut head = Head { seq: 4, hash: [9; 32], key_id: 0 };
        let rows = group.link(&[0, 2], &mut head, &Keys::none(), Timestamp::UNIX_EPOCH).unwrap();
        let seqs: Vec<i64> = rows.iter().map(|row| row.link.seq).collect();
        assert_eq!(seqs, [5, 6]);
        assert_eq!((head.seq, head.hash), (6, rows[1].link.hash));
        assert_ne!(rows[0].link.hash, rows[1].link.hash);
    }
}
