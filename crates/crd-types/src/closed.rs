//! A macro for enums of the API. It spells every variant in one place.

/// Defines an enum without data. The API spells its variants as Rust does.
macro_rules! closed {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        // Kube replaces the description of an optional field with the description of its enum, so the enum must have
        // none.
        #[schemars(description = "")]
        $vis enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All variants, in the order in which they are declared.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name in the API.
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

            /// Fails if no variant has this name. The comparison is case-sensitive, as in the API server.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or($crate::closed::UnknownName)
            }
        }
    };
}

pub(crate) use closed;

/// Defines the schema of a list in `detectors`, because that crate does not depend on schemars. A field uses it with
/// `#[schemars(with = "…")]`.
///
/// The schema is a `oneOf` without a description, as the derive of `closed!` writes it. Kube turns it into an `enum`, and the
/// `enum` of an optional field has no `null` then.
macro_rules! schema_of {
    ($name:ident, $list:ty) => {
        pub(crate) enum $name {}

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let name = |one: &$list| schemars::json_schema!({"type": "string", "const": one.as_str()});
                let names: Vec<schemars::Schema> = <$list>::ALL.iter().map(name).collect();
                schemars::json_schema!({"oneOf": names})
            }
        }
    };
}

schema_of!(ProductSchema, detectors::Product);
schema_of!(ConfidenceSchema, detectors::Confidence);
schema_of!(SchemeSchema, detectors::Scheme);

/// The text is not the name of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName;

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not one of the known names")
    }
}

impl std::error::Error for UnknownName {}
