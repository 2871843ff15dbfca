//! Identifies the product of a Pod with few requests.
//!
//! ```text
//! the questions of the product below the claimed path ──► the root page ──► the same below other paths ──► rivals
//! ```
//! The first proof ends the identification. If the root page proves another program, this counts only at the end,
//! because a gateway can have that program at its root and the product below another path.

use std::collections::VecDeque;

use super::{
    answer::{Answer, Class, Request},
    facts::{Facts, Proof, Shows},
    identity::{Identity, Verdict},
    location::{Host, prefix},
    mark::Seen,
    others::OTHERS,
    page,
    paths::without_end,
    schemes::{Next, Schemes},
    tables::{ALL, facts_of},
};
use crate::{
    finding::{Assumed, Target},
    pods::checked_path::checked,
    product::Product,
};

/// The most requests of one identification.
const MAX_REQUESTS: usize = 6;

/// The identification of one Pod. The caller sends the requests.
///
/// ```text
/// while let Some(request) = identification.request() { identification.answered(&get(request)) }
/// identification.identity()
/// ```
#[derive(Clone)]
pub struct Identification {
    facts: &'static Facts,
    host: Host,
    schemes: Schemes,
    /// The claimed path of the endpoint.
    claimed: String,
    /// Whether the path is assumed, so that another path can be tried.
    path_is_open: bool,
    steps: VecDeque<Step>,
    /// All paths below which there was or will be a request.
    known: Vec<String>,
    /// The path below which the program serves queries, or requires a login for them.
    queried: Option<String>,
    /// The paths below which the program does not have the path for queries.
    without_queries: Vec<String>,
    found: Option<Found>,
    denied: Option<(&'static str, Class)>,
    class: Class,
    /// Whether one request had no response in time. A single slow query is possible, but after a second timeout, the
    /// identification ends.
    is_slow: bool,
    asked: Vec<String>,
}

/// One request.
#[derive(Clone, PartialEq, Eq)]
enum Step {
    /// A question of the product, below a path.
    Ask { path: String, question: usize, by: By },
    /// The root page of the program.
    Page,
    /// The question that identifies a product with the same ports.
    Rival(Product),
}

/// Why there is a request below a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The path is claimed.
    Claim,
    /// The program redirects to the path.
    Redirect,
    /// The path is usual for the product.
    UsualPath,
}

#[derive(Clone)]
struct Found {
    path: String,
    path_is_proven: bool,
    class: Class,
}

impl Identification {
    /// Begins to find out whether `target` is the product. The scheme and the path change only if they are assumed.
    /// `host` is the DNS name of the Service, and `port` is the port of the Pod. A redirect to another host or port
    /// does not count.
    ///
    /// `None` for a product that is never probed.
    pub fn of(product: Product, target: &Target, assumed: Assumed, host: &str, port: u16) -> Option<Self> {
        let facts = facts_of(product)?;
        let claimed = checked(&target.path)?;
        let steps = (0..facts.questions.len())
            .map(|question| Step::Ask { path: claimed.clone(), question, by: By::Claim })
            .chain([Step::Page])
            .collect();
        Some(Self {
            facts,
            host: Host::new(host, [target.port, port]),
            schemes: Schemes::new(target.scheme, assumed.scheme),
            known: vec![claimed.clone()],
            claimed,
            path_is_open: assumed.path,
            steps,
            queried: None,
            without_queries: Vec::new(),
            found: None,
            denied: None,
            class: Class::Unreachable,
            is_slow: false,
            asked: Vec::new(),
        })
    }

    /// The next request. `None` if there is none.
    pub fn request(&self) -> Option<Request> {
        let step = self.steps.front()?;
        (self.asked.len() < MAX_REQUESTS).then(|| Request { scheme: self.schemes.scheme(), path: self.path_of(step) })
    }

    /// Takes the answer to [`Self::request`].
    pub fn answered(&mut self, answer: &Answer<'_>) {
        let Some(request) = self.request() else { return };
        self.asked.push(request.to_string());
        let is_first = matches!(self.steps.front(), Some(Step::Ask { question: 0, by: By::Claim, .. }));
        if matches!(answer, Answer::Timeout) && !self.is_slow {
            self.is_slow = true;
            if is_first {
                self.class = answer.class();
            }
            self.steps.pop_front();
            return;
        }
        match self.schemes.judge(answer) {
            Next::OtherScheme => {
                self.class = answer.class();
                return;
            }
            Next::End => {
                // If both schemes fail, the answer with the claimed scheme counts.
                if is_first && !self.schemes.is_other() {
                    self.class = answer.class();
                }
                self.steps.clear();
                return;
            }
            Next::AsBefore => {
                self.steps.pop_front();
                return;
            }
            Next::Look => {}
        }
        if is_first {
            self.class = answer.class();
        }
        let Some(step) = self.steps.pop_front() else { return };
        if let Answer::Response { status, header, body, is_cut } = answer {
            let seen = Seen::new(*status, *header, body, *is_cut);
            self.look(&step, &seen, answer.class(), &request.path);
        }
    }

    /// What the answers have proved so far.
    pub fn identity(&self) -> Identity {
        let (verdict, class) = match (&self.found, self.denied) {
            (Some(found), _) => (Verdict::Confirmed, found.class),
            (None, Some((is, class))) if self.request().is_none() => (Verdict::Denied { is }, class),
            _ => (Verdict::Unknown, self.class),
        };
        Identity {
            verdict,
            scheme: self.schemes.proven(),
            path: self.found.as_ref().filter(|found| found.path_is_proven).map(|found| found.path.clone()),
            asked: self.asked.clone(),
            class,
        }
    }

    fn path_of(&self, step: &Step) -> String {
        match step {
            Step::Ask { path, question, .. } => {
                let question = self.facts.questions.get(*question).map_or("/", |question| question.path);
                format!("{path}{question}")
            }
            Step::Page => format!("{}/", self.program()),
            Step::Rival(rival) => {
                let question = facts_of(*rival).and_then(Facts::question_of_program);
                format!("{}{}", self.program(), question.map_or("/", |question| question.path))
            }
        }
    }

    /// The claimed path without the end that belongs to the API.
    fn program(&self) -> &str {
        without_end(&self.claimed, self.facts.api)
    }

    fn look(&mut self, step: &Step, seen: &Seen<'_>, class: Class, asked: &str) {
        match step {
            Step::Ask { path, question, by } => self.look_at_answer(path, *question, *by, seen, class, asked),
            Step::Page => self.look_at_page(seen, class, asked),
            Step::Rival(rival) => self.look_at_rival(*rival, seen, class),
        }
    }

    fn look_at_answer(&mut self, path: &str, at: usize, by: By, seen: &Seen<'_>, class: Class, asked: &str) {
        let Some(question) = self.facts.questions.get(at) else { return };
        let shows = self.shows(question.proofs, path, seen);
        match shows {
            Some(Shows::Confirmed | Shows::ConfirmedWithQueries | Shows::ConfirmedUnlessNoQueries) => {
                return self.confirm(path, class);
            }
            Some(Shows::Another(is)) => {
                self.deny(is, class);
                return self.steps.clear();
            }
            Some(Shows::NoQueries) => self.without_queries.push(path.to_owned()),
            Some(Shows::Itself | Shows::Queries) | None => {}
        }
        if let Some(found) = self.found.as_mut() {
            // The product was confirmed below the first path, but does not respond below the path of the redirect.
            found.path_is_proven |= by == By::Redirect && matches!(seen.status(), 300..=399 | 404);
            return;
        }
        if matches!(shows, Some(Shows::Queries)) || matches!(seen.status(), 401 | 403) {
            self.queried = Some(path.to_owned());
            if by == By::UsualPath && at + 1 < self.facts.questions.len() {
                self.steps.push_front(Step::Ask { path: path.to_owned(), question: at + 1, by });
            }
        }
        if question.path == "/" {
            // The response to this question is the root page.
            self.deny_by_page(seen, class);
            if by == By::Claim {
                self.steps.retain(|step| *step != Step::Page);
                let redirect = self.redirect(seen, asked, &[]);
                self.plan_other_paths(redirect);
            }
        } else if let Some(redirect) = self.redirect(seen, asked, &[without_query(question.path)]) {
            self.plan_redirect(&redirect);
        }
    }

    fn look_at_page(&mut self, seen: &Seen<'_>, class: Class, asked: &str) {
        let shows = self.shows(self.facts.page, &self.claimed, seen);
        let base = || {
            let base = shows.and_then(|_| page::base(seen.page()?))?;
            prefix(base, asked, &self.host, self.facts.pages)
        };
        let leads_to = self.redirect(seen, asked, &[]).or_else(base);
        if let Some(found) = self.found.as_mut() {
            match leads_to {
                Some(path) if path == found.path => found.path_is_proven = true,
                Some(path) => self.plan_redirect(&path),
                // The root page redirects to another host.
                None if (300..=399).contains(&seen.status()) => self.plan_usual_paths(),
                None => {}
            }
            return;
        }
        if matches!(shows, Some(Shows::Confirmed)) && leads_to.as_deref().is_none_or(|path| path == self.program()) {
            return self.confirm(&self.claimed.clone(), class);
        }
        self.deny_by_page(seen, class);
        self.plan_other_paths(leads_to);
    }

    fn look_at_rival(&mut self, rival: Product, seen: &Seen<'_>, class: Class) {
        let question = facts_of(rival).and_then(Facts::question_of_program);
        let is_it = |proof: &Proof| matches!(proof.shows, Shows::Confirmed | Shows::Itself) && seen.has_all(proof.when);
        if question.is_some_and(|question| question.proofs.iter().any(is_it)) {
            self.deny(rival.as_str(), class);
        }
    }

    /// What the first proof that holds shows.
    fn shows(&self, proofs: &[Proof], path: &str, seen: &Seen<'_>) -> Option<Shows> {
        let counts = |proof: &&Proof| match proof.shows {
            Shows::ConfirmedWithQueries => self.queried.as_deref() == Some(path),
            Shows::ConfirmedUnlessNoQueries => !self.without_queries.iter().any(|one| one == path),
            _ => true,
        };
        proofs.iter().filter(counts).find(|proof| seen.has_all(proof.when)).map(|proof| proof.shows)
    }

    fn confirm(&mut self, path: &str, class: Class) {
        // Such a product responds at the root even if it has a prefix. So the root as the path is not proved.
        let path_is_proven = !(self.facts.prefix_by_page && path.is_empty() && self.path_is_open);
        self.found = Some(Found { path: path.to_owned(), path_is_proven, class });
        self.steps.clear();
        if !path_is_proven && self.program().is_empty() {
            self.steps.push_back(Step::Page);
        }
    }

    fn deny(&mut self, is: &'static str, class: Class) {
        self.denied.get_or_insert((is, class));
    }

    /// Denies the product if the page has the marks of a program with another API.
    fn deny_by_page(&mut self, seen: &Seen<'_>, class: Class) {
        let product = ALL
            .iter()
            .find(|other| !self.facts.is_served_by(other) && other.page.iter().any(|proof| seen.has_all(proof.when)));
        let product = product.map(|other| other.product.as_str());
        let program = || OTHERS.iter().find(|other| seen.has_all(other.when)).map(|other| other.name);
        if let Some(is) = product.or_else(program) {
            self.deny(is, class);
        }
    }

    /// The path of the program, according to a redirect.
    fn redirect(&self, seen: &Seen<'_>, asked: &str, pages: &[&str]) -> Option<String> {
        if !(300..=399).contains(&seen.status()) {
            return None;
        }
        let pages: Vec<&str> = self.facts.pages.iter().chain(pages).copied().collect();
        prefix(seen.header("location")?, without_query(asked), &self.host, &pages)
    }

    fn plan_other_paths(&mut self, redirect: Option<String>) {
        if let Some(redirect) = redirect {
            self.plan_redirect(&redirect);
        }
        self.plan_usual_paths();
        self.steps.extend(self.facts.rivals.iter().map(|rival| Step::Rival(*rival)));
    }

    /// Adds the questions below the path of a redirect as the next steps.
    fn plan_redirect(&mut self, program: &str) {
        let api = &self.claimed[self.program().len()..];
        let path = format!("{program}{api}");
        if !self.is_new(&path) {
            return;
        }
        for question in (0..self.facts.questions.len()).rev() {
            self.steps.push_front(Step::Ask { path: path.clone(), question, by: By::Redirect });
        }
        self.known.push(path);
    }

    /// Adds the first question below each usual path as the last steps.
    fn plan_usual_paths(&mut self) {
        for path in [""].iter().chain(self.facts.prefixes) {
            if self.is_new(path) {
                self.known.push((*path).to_owned());
                self.steps.push_back(Step::Ask { path: (*path).to_owned(), question: 0, by: By::UsualPath });
            }
        }
    }

    /// Whether a path is valid and has not been tried. Every path is checked in this way.
    fn is_new(&self, path: &str) -> bool {
        self.path_is_open && checked(path).is_some_and(|same| same == path) && !self.known.iter().any(|one| one == path)
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}
