//! The closed vocabularies of a record.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that is not one of a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of {1}")]
pub struct UnknownWord(String, &'static str);

/// An enum whose variants have one spelling in JSON, in the database and in queries.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $list:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The word of this value in JSON and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(word.chars().take(64).collect(), $list)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

vocabulary! {
    /// What a record is about.
    Kind, "remediation, ai_analysis, workflow, execution, toolset" {
        /// An attempt to repair something, as a whole.
        Remediation = "remediation",
        /// What a model found out.
        AiAnalysis = "ai_analysis",
        /// A workflow and its steps.
        Workflow = "workflow",
        /// One action on a cluster.
        Execution = "execution",
        /// A change of a toolset.
        Toolset = "toolset",
        /// Records of Data Storage about itself. Clients cannot write them.
        System = "system",
    }
}

impl Kind {
    /// The kinds that clients write: all but [`Kind::System`].
    pub const ALL: [Kind; 5] = [Kind::Remediation, Kind::AiAnalysis, Kind::Workflow, Kind::Execution, Kind::Toolset];
}

vocabulary! {
    /// How far the thing was that a record is about.
    Phase, "pending, processing, completed, failed" {
        /// Not begun.
        Pending = "pending",
        /// Under way.
        Processing = "processing",
        /// Ended as it should.
        Completed = "completed",
        /// Ended otherwise.
        Failed = "failed",
    }
}

impl Phase {
    /// All phases.
    pub const ALL: [Phase; 4] = [Phase::Pending, Phase::Processing, Phase::Completed, Phase::Failed];
}

vocabulary! {
    /// The outcome of what a record is about.
    Status, "success, failure, pending, running" {
        /// It helped.
        Success = "success",
        /// It did not.
        Failure = "failure",
        /// Not known yet.
        Pending = "pending",
        /// Under way.
        Running = "running",
    }
}

impl Status {
    /// All statuses.
    pub const ALL: [Status; 4] = [Status::Success, Status::Failure, Status::Pending, Status::Running];
}
