//! What a product's file states about its Pods: images, arguments and variables, as data.
//!
//! A table does not read a Pod. It lists the images of a program, the settings that decide its role, path, scheme and
//! authentication, and where it listens. The rest of this module applies it, in the same way for every product.

use crate::{
    finding::Auth,
    product::{Product, Scheme},
};

/// The role of a product's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It answers queries.
    Answers {
        role: &'static str,
        /// Whether a setting states it. Else it is the only or the usual one.
        stated: bool,
    },
    /// It answers no queries.
    Silent(&'static str),
}

/// The facts about one program: a product has one, or several where images differ in their settings.
pub(crate) struct Program {
    pub product: Product,
    /// Last path components of the image, without a vendor's prefix or suffix.
    pub images: &'static [&'static str],
    /// If there are any, one of these holds too. They tell images of one name apart.
    pub when: &'static [If],
    /// Names of containers that count as a mark beside one of `marks`.
    pub containers: &'static [&'static str],
    /// Settings that only this program has. Two of them identify it where the image does not.
    pub marks: &'static [If],
    /// Settings that this program shares with few others. One of them counts beside one of `marks`.
    pub shared_marks: &'static [If],
    pub listen: Listen,
    /// Ports of other products that the same container runs.
    pub other_products: &'static [u16],
    /// The first case that holds decides. So for all of these.
    pub roles: &'static [Case<Role>],
    pub scheme: &'static [Case<Says<Scheme>>],
    /// What stands before all paths.
    pub prefix: &'static [Case<Says<Path>>],
    /// What stands between the prefix and the API.
    pub api: &'static [Case<Says<Path>>],
    pub auth: &'static [Case<Says<Auth>>],
    pub probe_path: ProbePath,
}

impl Program {
    /// A program without facts, for struct update syntax.
    pub(crate) const fn of(product: Product) -> Self {
        Self {
            product,
            images: &[],
            when: &[],
            containers: &[],
            marks: &[],
            shared_marks: &[],
            listen: Listen::NONE,
            other_products: &[],
            roles: &[],
            scheme: &[],
            prefix: &[],
            api: &[],
            auth: &[],
            probe_path: ProbePath::Nothing,
        }
    }
}

/// Where a program answers queries.
pub(crate) struct Listen {
    /// Settings that state the address or the port.
    pub settings: &'static [Setting],
    /// The ports without such a setting.
    pub default: &'static [u16],
    /// Ports of other protocols.
    pub never: &'static [u16],
    /// If one of these holds, a file can state another port.
    pub file: &'static [If],
}

impl Listen {
    /// Nothing is known, for struct update syntax.
    pub(crate) const NONE: Self = Self { settings: &[], default: &[], never: &[], file: &[] };
}

/// What holds if all of `when` hold.
pub(crate) struct Case<T: 'static> {
    pub when: &'static [If],
    pub then: T,
}

/// A case.
pub(crate) const fn case<T>(when: &'static [If], then: T) -> Case<T> {
    Case { when, then }
}

/// What a case says about a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says<T> {
    /// Settings state the value. They beat a probe.
    Stated(T),
    /// The program's default, as nothing that was seen changes it. A probe can show another value.
    Default(T),
    /// The usual value. Something unseen, such as a file, can change it.
    Usual(T),
    /// A file decides, and no value is usual.
    Open,
}

/// Where a path comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// It is fixed.
    Fixed(&'static str),
    /// The value of a setting.
    Of(Setting),
    /// The path of the URL that is the value of a setting.
    OfUrl(Setting),
}

/// What the path of an HTTP probe on the query port shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProbePath {
    /// Nothing: the health endpoint answers with and without the prefix, or on another port.
    Nothing,
    /// The prefix, followed by one of these.
    Before(&'static [&'static str]),
    /// What is before one of these segments is the prefix, or all of it if it ends with a slash. The program answers
    /// with its page below the prefix whatever the path, so that a known default beats the probe.
    Around(&'static [&'static str]),
}

/// An argument or a variable of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A flag without its dashes.
    Flag(&'static str),
    /// A variable.
    Env(&'static str),
}

/// What can hold for a container. It can also be unknown, if a file or another object decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum If {
    /// The setting is there.
    Given(Setting),
    /// The setting is there and its value is not one of those for "no".
    On(Setting),
    /// The setting is there and its value is one of those for "no".
    Off(Setting),
    /// The setting has this value.
    Is(Setting, &'static str),
    /// The setting's list, separated by commas, has this value.
    Has(Setting, &'static str),
    /// The file that the setting names has this word in its name.
    FileNamed(Setting, &'static str),
    /// The first argument of this list is this word.
    Subcommand(&'static str, &'static [&'static str]),
    /// The name of the container has this word.
    Container(&'static str),
    /// The port of the container has this name.
    PortName(&'static str),
    /// The setting's address has this port.
    ListensOn(Setting, u16),
    /// The image's tag has a major version before this one.
    Before(u16),
    /// The image's tag has this major version or a later one.
    Since(u16),
    /// The path of the image has this component.
    Repository(&'static str),
    /// Something is mounted at this path, or at a folder above it below the root, or at a file in it.
    Mounted(&'static str),
}

/// A flag.
pub(crate) const fn flag(name: &'static str) -> Setting {
    Setting::Flag(name)
}

/// A variable.
pub(crate) const fn env(name: &'static str) -> Setting {
    Setting::Env(name)
}

/// A role that answers queries and that a setting states.
pub(crate) const fn answers(role: &'static str) -> Role {
    Role::Answers { role, stated: true }
}

/// A role that answers queries, as no setting states another.
pub(crate) const fn usually(role: &'static str) -> Role {
    Role::Answers { role, stated: false }
}

/// A role that answers no queries.
pub(crate) const fn silent(role: &'static str) -> Role {
    Role::Silent(role)
}
