//! [`PodFacts`]: what the Pods behind a Service say about its ports. Only this is kept of a Pod.

/// What the Pods behind one Service say about its ports. It depends on the Service's ports and on the Pods' specs, and
/// holds no text of a Pod except a checked path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {}

impl PodFacts {
    /// The facts in which the Pods of several controllers agree, and whether they disagree in any.
    pub fn agreed(all: &[PodFacts]) -> (PodFacts, bool) {
        let Some(first) = all.first() else { return (PodFacts::default(), false) };
        (first.clone(), all.iter().any(|facts| facts != first))
    }
}
