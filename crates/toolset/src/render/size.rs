//! Placeholder.
use crate::{plan::Plan, render::Files, tool::Note};
use std::collections::BTreeMap;
pub(crate) fn fit(plan: &mut Plan, _notes: &mut Vec<Note>, render: impl Fn(&Plan) -> Files) -> Files {
    render(plan)
}
pub(crate) fn of(data: &BTreeMap<String, String>) -> usize {
    data.iter().map(|(k, v)| k.len() + v.len()).sum()
}
