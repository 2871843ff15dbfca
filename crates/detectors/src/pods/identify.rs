//! Which program a container runs.
//!
//! The name of the image decides. Where it says nothing, two marks do: settings that only one program has, or one of
//! them and one that few programs share. The name of the container stands for one of the two, beside one mark or two that
//! are shared. A probe never identifies a program.

use super::{
    container::Container,
    facts::How,
    others,
    program::{If, Program, Setting},
    proxies::{self, Proxy},
    tables::PROGRAMS,
};
use crate::{engine::whole_words, mcp, product::Product};

/// What a container runs.
#[derive(Clone, Copy)]
pub(crate) enum Identity {
    Product(&'static Program, How),
    /// A program that is no product, as text.
    Other(&'static str, How),
    Proxy(&'static Proxy, How),
    /// A container that is named after a proxy.
    NamedProxy,
    Unknown,
}

/// Words of a container's name that make it a proxy if nothing else says what it is.
const PROXY_WORDS: &[&str] = &["proxy", "nginx", "apache", "httpd"];

pub(crate) fn identify(container: &Container<'_>) -> Identity {
    let by_marks = || by_marks(container);
    by_image(container, by_marks).or_else(by_marks).unwrap_or_else(|| {
        let is_proxy = whole_words::split(&container.view.name).any(|word| PROXY_WORDS.contains(&word));
        if is_proxy { Identity::NamedProxy } else { Identity::Unknown }
    })
}

fn programs() -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().copied().flatten()
}

/// Whether the container has a setting that only this program has, or two that few have.
pub(crate) fn has_mark(container: &Container<'_>, program: &Program) -> bool {
    let holding = |marks: &[If]| marks.iter().filter(|mark| container.holds(**mark) == Some(true)).count();
    holding(program.marks) >= 1 || holding(program.shared_marks) >= 2
}

/// The products of which the container has such settings.
pub(crate) fn marked(container: &Container<'_>) -> Vec<Product> {
    let mut all: Vec<Product> =
        programs().filter(|program| has_mark(container, program)).map(|program| program.product).collect();
    all.dedup();
    all
}

/// Whether the conditions that tell programs with the same image apart hold.
fn is_variant(container: &Container<'_>, program: &Program) -> bool {
    program.when.is_empty() || program.when.iter().any(|condition| container.holds(*condition) == Some(true))
}

/// By the name of the image. A word of an unknown name is weaker than marks that only one program has:
/// `grafana-webhook-patched` with Grafana's variables is Grafana.
fn by_image(container: &Container<'_>, by_marks: impl Fn() -> Option<Identity>) -> Option<Identity> {
    let image = &container.image;
    let product = programs().find_map(|program| {
        let name = image.name_in(program.images)?;
        is_variant(container, program).then_some(Identity::Product(program, How::Image(name)))
    });
    let proxy = || proxies::by_image(image).map(|(proxy, name)| Identity::Proxy(proxy, How::Image(name)));
    product.or_else(proxy).or_else(|| match others::by_image(image)? {
        (program, others::Named::Image(name)) => Some(Identity::Other(program, How::Image(name))),
        (program, others::Named::Word(word)) => by_marks().filter(is_marked).or(Some(match program {
            others::MCP => Identity::Product(&mcp::PODS[0], How::ImageWord(word)),
            program => Identity::Other(program, How::ImageWord(word)),
        })),
    })
}

/// Whether two settings that only one product has identify it. Flags of one plain word, such as `--store`, are too common.
fn is_marked(identity: &Identity) -> bool {
    let Identity::Product(program, How::Marks(first, second)) = identity else { return false };
    let is_telling = |mark: &If| match mark {
        If::Given(Setting::Flag(name)) | If::On(Setting::Flag(name)) => name.contains(['.', '-']),
        If::Given(Setting::Env(_)) => true,
        _ => false,
    };
    [first, second].into_iter().all(|mark| program.marks.contains(mark) && is_telling(mark))
}

fn by_marks(container: &Container<'_>) -> Option<Identity> {
    if let Some((proxy, first, second)) = proxies::by_marks(container) {
        return Some(Identity::Proxy(proxy, How::Marks(first, second)));
    }
    let holding = |marks: &'static [If]| marks.iter().filter(|mark| container.holds(**mark) == Some(true));
    let mut best: Option<(usize, Product, Identity)> = None;
    let mut is_tied = false;
    for program in programs().filter(|program| is_variant(container, program)) {
        let (mut marks, mut shared) = (holding(program.marks), holding(program.shared_marks));
        let (first, second) = (marks.next(), marks.next());
        let (shared, also_shared) = (shared.next(), shared.next());
        let is_named = program.containers.contains(&container.view.name.as_str());
        let how = match (first, second, shared, also_shared) {
            (Some(first), Some(second), ..) => How::Marks(first, second),
            (Some(first), None, ..) if is_named => How::MarkAndName(first),
            (Some(first), None, Some(shared), _) => How::Marks(first, shared),
            (None, _, Some(shared), Some(_)) if is_named => How::MarkAndName(shared),
            _ => continue,
        };
        let score = 2 * usize::from(first.is_some())
            + 2 * usize::from(second.is_some())
            + 2 * marks.count()
            + usize::from(shared.is_some())
            + 2 * usize::from(is_named);
        match &best {
            Some((most, ..)) if score < *most => {}
            Some((most, product, _)) if score == *most => is_tied |= *product != program.product,
            _ => {
                is_tied = false;
                best = Some((score, program.product, Identity::Product(program, how)));
            }
        }
    }
    best.filter(|_| !is_tied).map(|(_, _, identity)| identity)
}
