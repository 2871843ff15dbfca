//! How this crate writes a closed list of names: an enum whose every variant is documented and has one spelling.

/// Defines an enum without data whose variants are spelled in the API as they are in Rust.
macro_rules! closed {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        $vis enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// As the API spells it.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::closed::UnknownName;

            /// Fails if there is no such name; letter case counts, as it does for the API server.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or($crate::closed::UnknownName)
            }
        }
    };
}

pub(crate) use closed;

/// Defines the schema of a list that `detectors` keeps; that crate has no dependency on schemas. A field takes it by
/// `#[schemars(with = "…")]`.
///
/// `oneOf`, as the derive writes it: kube makes an `enum` of it, and one without `null` for an optional field.
macro_rules! schema_of {
    ($(#[doc = $doc:literal])* $name:ident, $list:ty) => {
        $(#[doc = $doc])*
        pub(crate) enum $name {}

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let name = |one: &$list| schemars::json_schema!({"type": "string", "const": one.as_str()});
                let names: Vec<schemars::Schema> = <$list>::ALL.iter().map(name).collect();
                schemars::json_schema!({"description": concat!($($doc),*).trim(), "oneOf": names})
            }
        }
    };
}

schema_of! {
    /// What a tool speaks.
    ProductSchema, detectors::Product
}

schema_of! {
    /// How much evidence is needed.
    ConfidenceSchema, detectors::Confidence
}

schema_of! {
    /// The scheme of an endpoint.
    SchemeSchema, detectors::Scheme
}

/// The text is none of the names of a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName;

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not one of the known names")
    }
}

impl std::error::Error for UnknownName {}
