//! Unknown is a value: it has a reason, and often something is known about it all the same.

use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// A value that can't be known from the text, with all that is known of it.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// Why.
    pub reason: Reason,
    /// The resources whose attributes would decide it: links between resources survive by these.
    pub references: Vec<Reference>,
    /// For a text with unknown parts: the parts in order. `["arn:aws:s3:::", ?, "/*"]` is never equal to `"*"`.
    pub fragments: Vec<Fragment>,
    /// If not empty: the value is one of these (`cond ? a : b` with an unknown condition).
    pub candidates: Vec<Value>,
    /// For an encoded document (`jsonencode`, a policy document's `json`): the document, in which parts are unknown.
    pub document: Option<Value>,
    /// Whether it may turn out to be null, which for an attribute means "not set".
    pub nullable: bool,
}

impl Unknown {
    /// An unknown of which nothing else is known. It is taken to be not null.
    pub fn new(reason: Reason) -> Self {
        Self { reason, references: Vec::new(), fragments: Vec::new(), candidates: Vec::new(), document: None, nullable: false }
    }

    /// An attribute of a resource that is only known after apply.
    pub fn attribute_of(address: impl Into<Arc<str>>, attribute: impl Into<Arc<str>>) -> Self {
        let (address, attribute) = (address.into(), attribute.into());
        let reference = Reference { address: address.clone(), attribute: attribute.clone() };
        Self { references: vec![reference], ..Self::new(Reason::AfterApply { address, attribute }) }
    }
}

/// An attribute of a resource that a value was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The resource's address.
    pub address: Arc<str>,
    /// The attribute's name (`arn`, `id`, …); empty for the whole resource.
    pub attribute: Arc<str>,
}

/// A part of a text with unknown parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Known text.
    Literal(Arc<str>),
    /// Any text, also an empty one.
    Unknown,
}

/// Why a value is unknown. The words are the user's: they appear in reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A variable without default got no value.
    NoValue {
        /// The variable's name.
        variable: Arc<str>,
    },
    /// A parameter of a template without default got no value. Unlike a variable's, it is never null.
    NoParameter {
        /// The parameter's name.
        parameter: Arc<str>,
    },
    /// A resource's attribute that the provider computes.
    AfterApply {
        /// The resource.
        address: Arc<str>,
        /// The attribute.
        attribute: Arc<str>,
    },
    /// A data source that only the provider can read.
    DataSource {
        /// The data source's address.
        address: Arc<str>,
    },
    /// What only the deployment of a template knows: its region and account, another stack's export, a stored parameter.
    DeployTime {
        /// What it is.
        what: Arc<str>,
    },
    /// The output of a module that isn't there.
    ModuleNotInstalled {
        /// The call.
        module: Arc<str>,
        /// Its `source`.
        source: Arc<str>,
    },
    /// A limit of the evaluation was reached.
    Budget {
        /// Which limit.
        limit: &'static str,
    },
    /// A function whose result isn't fixed by its arguments (`timestamp`, `uuid`), or that reads the world.
    Impure {
        /// The function.
        function: Arc<str>,
    },
    /// A file outside the trust root, or one that isn't there.
    FileNotReadable {
        /// The path as asked for.
        path: Arc<str>,
    },
    /// The expression is wrong (Terraform would refuse it).
    Invalid {
        /// What is wrong.
        message: Arc<str>,
    },
    /// A name that nothing declares.
    Undeclared {
        /// The name.
        name: Arc<str>,
    },
    /// A value that depends on itself.
    Cycle {
        /// One of the names in the cycle.
        name: Arc<str>,
    },
    /// The plan says "known after apply".
    PlanUnknown,
    /// The snapshot of an account doesn't tell.
    NotInSnapshot {
        /// What.
        what: Arc<str>,
    },
    /// Something this evaluator doesn't evaluate.
    Unsupported {
        /// What.
        what: Arc<str>,
    },
    /// A rule says that it can't tell, or failed while it judged.
    Rule {
        /// Why.
        message: Arc<str>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue { variable } => write!(f, "variable `{variable}` has no value"),
            Self::NoParameter { parameter } => write!(f, "parameter `{parameter}` has no value"),
            Self::AfterApply { address, attribute } if attribute.is_empty() => write!(f, "`{address}` is known only after apply"),
            Self::AfterApply { address, attribute } => write!(f, "`{address}.{attribute}` is known only after apply"),
            Self::DataSource { address } => write!(f, "data source `{address}` is read by the provider"),
            Self::DeployTime { what } => write!(f, "{what} is known only when the stack is deployed"),
            Self::ModuleNotInstalled { module, source } => write!(f, "module not installed: `{module}` ({source})"),
            Self::Budget { limit } => write!(f, "budget: {limit}"),
            Self::Impure { function } => write!(f, "`{function}()` has no fixed result"),
            Self::FileNotReadable { path } => write!(f, "file `{path}` can't be read beneath the root"),
            Self::Invalid { message } => write!(f, "invalid expression: {message}"),
            Self::Undeclared { name } => write!(f, "`{name}` is not declared"),
            Self::Cycle { name } => write!(f, "`{name}` depends on itself"),
            Self::PlanUnknown => write!(f, "the plan says: known after apply"),
            Self::NotInSnapshot { what } => write!(f, "not in the snapshot: {what}"),
            Self::Unsupported { what } => write!(f, "not evaluated: {what}"),
            Self::Rule { message } => f.write_str(message),
        }
    }
}

impl Reason {
    /// A stable kebab-case word for counting unknowns by reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoValue { .. } | Self::NoParameter { .. } => "no-value",
            Self::AfterApply { .. } => "after-apply",
            Self::DataSource { .. } => "data-source",
            Self::DeployTime { .. } => "deploy-time",
            Self::ModuleNotInstalled { .. } => "module-not-installed",
            Self::Budget { .. } => "budget",
            Self::Impure { .. } => "impure-function",
            Self::FileNotReadable { .. } => "file-not-readable",
            Self::Invalid { .. } => "invalid-expression",
            Self::Undeclared { .. } => "undeclared",
            Self::Cycle { .. } => "cycle",
            Self::PlanUnknown => "plan-unknown",
            Self::NotInSnapshot { .. } => "not-in-snapshot",
            Self::Unsupported { .. } => "unsupported",
            Self::Rule { .. } => "rule",
        }
    }
}
