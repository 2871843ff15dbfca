//! One container, as the tables ask for it.

use std::borrow::Cow;

use super::{
    checked_path::{checked, checked_of_url},
    facts::{Known, Proof},
    image::Image,
    program::{Case, If, Listen, Path, Says, Setting},
    settings::{Settings, UNKNOWN, Value},
    view::ContainerView,
};
use crate::{
    engine::whole_words,
    view::{Protocol, TargetPort},
};

/// A container of a Pod, with its settings.
pub(crate) struct Container<'a> {
    pub view: &'a ContainerView,
    pub image: Image<'a>,
    pub settings: Settings<'a>,
}

/// Where a program listens.
pub(crate) struct Listening {
    pub ports: Vec<u16>,
    /// Whether a setting states it.
    pub stated: bool,
    /// Whether only other containers of the Pod can reach it.
    pub only_in_pod: bool,
    /// Whether something unseen can state another port.
    pub is_open: bool,
}

impl<'a> Container<'a> {
    pub(crate) fn of(view: &'a ContainerView) -> Self {
        Self { view, image: Image::of(&view.image), settings: Settings::of(view) }
    }

    /// The name, if it is one that the API server accepts.
    pub(crate) fn name(&self) -> Option<Box<str>> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let name = &self.view.name;
        (!name.is_empty() && name.len() <= 63 && name.chars().all(valid)).then(|| name.as_str().into())
    }

    /// The number of a TCP port that the container declares under this name or number.
    pub(crate) fn declared(&self, target: &TargetPort) -> Option<u16> {
        let mut tcp = self.view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        let is_it = |name: &Option<String>, number: u16| match target {
            TargetPort::Number(wanted) => *wanted == number,
            TargetPort::Name(wanted) => name.as_deref() == Some(wanted),
        };
        tcp.find(|port| is_it(&port.name, port.container_port)).map(|port| port.container_port)
    }

    /// Whether this is the only TCP port that the container declares.
    pub(crate) fn declares_only(&self, number: u16) -> bool {
        let mut tcp = self.view.ports.iter().filter(|port| port.protocol == Protocol::Tcp).peekable();
        tcp.peek().is_some() && tcp.all(|port| port.container_port == number)
    }

    /// Whether something holds. `None` if a file or another object decides.
    pub(crate) fn holds(&self, condition: If) -> Option<bool> {
        let with = |setting, is_it: fn(&str, &str) -> bool, wanted: &str| match self.settings.value(setting) {
            Value::Absent => Some(false),
            Value::Unknown => None,
            Value::Text(text) if is_it(&text, wanted) => Some(true),
            Value::Text(text) => (!text.contains(UNKNOWN)).then_some(false),
        };
        match condition {
            If::Given(setting) => match self.settings.value(setting) {
                Value::Absent => Some(false),
                Value::Unknown if self.is_given(setting) => Some(true),
                Value::Unknown => None,
                Value::Text(text) => Some(!text.is_empty()),
            },
            // One value per address is a list.
            If::On(setting) | If::Off(setting) if self.is_list(setting) => None,
            If::On(setting) => with(setting, |text, _| !text.contains(UNKNOWN) && !is_no(text), ""),
            If::Off(setting) => with(setting, |text, _| is_no(text) && !text.is_empty(), ""),
            If::Is(setting, wanted) => with(setting, str::eq_ignore_ascii_case, wanted),
            If::Has(setting, wanted) => self.has(setting, wanted),
            If::FileNamed(setting, word) => with(
                setting,
                |text, word| whole_words::split(text.rsplit('/').next().unwrap_or(text)).any(|one| one == word),
                word,
            ),
            If::Subcommand(wanted, all) => match self.settings.subcommand(all) {
                Value::Absent => Some(false),
                Value::Unknown => None,
                Value::Text(text) => Some(text == wanted),
            },
            If::Container(word) => Some(whole_words::split(&self.view.name).any(|one| one == word)),
            If::PortName(name) => Some(self.view.ports.iter().any(|port| port.name.as_deref() == Some(name))),
            If::ListensOn(setting, port) => match self.settings.value(setting) {
                Value::Absent => Some(false),
                Value::Unknown => None,
                Value::Text(list) => Some(list.split(',').any(|address| port_of(address) == Some(port))),
            },
            If::Before(major) => self.image.major().map(|own| own < major),
            If::Since(major) => self.image.major().map(|own| own >= major),
            If::Repository(component) => Some(self.image.is_in(component)),
            If::Mounted(path) => Some(self.view.volume_mounts.iter().any(|mount| covers(&mount.mount_path, path))),
        }
    }

    /// Whether a setting has several values that differ in whether they mean "no".
    fn is_list(&self, setting: Setting) -> bool {
        let mut all = self.settings.values(setting).into_iter().flat_map(|value| match value {
            Value::Text(list) => list.split(',').map(is_no).collect(),
            Value::Absent | Value::Unknown => Vec::new(),
        });
        all.next().is_some_and(|first| all.any(|other| other != first))
    }

    /// Whether a setting is there, also if its value is not known.
    fn is_given(&self, setting: Setting) -> bool {
        match setting {
            Setting::Flag(_) => false,
            Setting::Env(name) => self.settings.has_env(name),
        }
    }

    /// Whether a list of values has this one.
    fn has(&self, setting: Setting, wanted: &str) -> Option<bool> {
        let mut known = true;
        for value in self.settings.values(setting) {
            match value {
                Value::Absent => {}
                Value::Unknown => known = false,
                Value::Text(list) => {
                    if list.split([',', ' ']).any(|one| one.trim() == wanted) {
                        return Some(true);
                    }
                    known &= !list.contains(UNKNOWN);
                }
            }
        }
        known.then_some(false)
    }

    /// Whether all conditions hold. `None` if none fails and some are not known.
    pub(crate) fn all_hold(&self, conditions: &[If]) -> Option<bool> {
        let mut all = Some(true);
        for condition in conditions {
            match self.holds(*condition) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all = None,
            }
        }
        all
    }

    /// The first case that holds, and whether an earlier one could hold too.
    fn decide<T>(&self, cases: &'static [Case<T>]) -> Option<(&'static Case<T>, bool)> {
        let mut open = false;
        for case in cases {
            match self.all_hold(case.when) {
                Some(true) => return Some((case, open)),
                Some(false) => {}
                None => open = true,
            }
        }
        None
    }

    /// What the cases say about a field, and whether settings state it.
    pub(crate) fn field<T: Copy>(&self, cases: &'static [Case<Says<T>>]) -> Field<T> {
        match self.decide(cases) {
            None => Field { known: None, is_stated: false },
            Some((case, open)) => {
                let (value, proof, is_stated) = match case.then {
                    Says::Stated(value) => (value, Proof::Settings(case.when), !open),
                    Says::Default(value) => (value, Proof::Default, false),
                    Says::Usual(value) => (value, Proof::Usual, false),
                    Says::Open => return Field { known: None, is_stated: false },
                };
                let proof = if open { Proof::Usual } else { proof };
                Field { known: Some(Known { value, proof }), is_stated }
            }
        }
    }

    /// The text of a path. `None` if it is not known, or is no plain path.
    pub(crate) fn path(&self, path: Path) -> Option<Cow<'static, str>> {
        let (setting, read): (_, fn(&str) -> Option<String>) = match path {
            Path::Fixed(text) => return Some(Cow::Borrowed(text)),
            Path::Of(setting) => (setting, checked),
            Path::OfUrl(setting) => (setting, checked_of_url),
        };
        let Value::Text(text) = self.settings.value(setting) else { return None };
        read(&text).map(Cow::Owned)
    }

    /// Where the program listens.
    pub(crate) fn listening(&self, listen: &Listen) -> Listening {
        let is_open = listen.file.iter().any(|condition| self.holds(*condition) != Some(false));
        let mut found = Listening { ports: Vec::new(), stated: false, only_in_pod: true, is_open };
        for setting in listen.settings {
            for value in self.settings.values(*setting) {
                let Value::Text(addresses) = value else {
                    found.is_open |= value == Value::Unknown;
                    continue;
                };
                // VictoriaMetrics takes a list.
                for address in addresses.split(',') {
                    if let Some(port) = port_of(address) {
                        found.ports.push(port);
                        found.stated = true;
                        found.only_in_pod &= is_loopback(address);
                    } else {
                        found.is_open = true;
                    }
                }
            }
        }
        if !found.stated {
            found.ports = listen.default.to_vec();
            found.only_in_pod = false;
        }
        found
    }
}

/// What is known of a field.
pub(crate) struct Field<T> {
    pub known: Option<Known<T>>,
    /// Whether settings state it, so that a probe does not count.
    pub is_stated: bool,
}

/// Whether a value means "no". An empty one does.
fn is_no(text: &str) -> bool {
    text.is_empty() || ["false", "0", "no", "off", "f", "n"].iter().any(|no| text.eq_ignore_ascii_case(no))
}

/// The port at the end of an address.
pub(crate) fn port_of(address: &str) -> Option<u16> {
    let address = address.trim_end_matches('/');
    address.rsplit(':').next().unwrap_or(address).parse().ok()
}

/// Whether an address or the host of a URL is only reached from within the Pod.
pub(crate) fn is_loopback(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}

/// Whether what is mounted at `mount` can hold the file or folder `path`.
fn covers(mount: &str, path: &str) -> bool {
    let mount = mount.trim_end_matches('/');
    !mount.is_empty() && path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
