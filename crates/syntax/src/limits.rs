//! The bounds that keep hostile input harmless, in one place.

/// Longest HCL text that is parsed, in bytes. Real files stay below one megabyte.
pub const HCL_BYTES: usize = 32 << 20;

/// Longest JSON text that is parsed, in bytes. Plans of large estates reach some hundred megabytes.
pub const JSON_BYTES: usize = 512 << 20;

/// How deep HCL brackets, blocks, templates and operators may stand inside each other.
/// It bounds the parser's own recursion.
pub const HCL_NESTING: u32 = 128;

/// How high an HCL expression's tree may be. It bounds what `a.b.c.d…` and `a + b + c…` build without any bracket,
/// so that whoever walks a tree, or drops it, may recurse.
pub const HCL_HEIGHT: u32 = 256;

/// How many errors of one HCL text are told before the rest of it is given up.
pub const HCL_ERRORS: usize = 100;

/// How deep JSON arrays and objects may stand inside each other.
pub const JSON_NESTING: usize = 128;

/// Longest YAML text that is parsed, in bytes. Bundles of custom resource definitions reach some megabytes.
pub const YAML_BYTES: usize = 32 << 20;

/// How many nodes one YAML text may have, those that aliases repeat counted each time. It bounds alias bombs.
pub const YAML_NODES: usize = 2_000_000;

/// How deep YAML collections may stand inside each other, so that whoever walks a tree, or drops it, may recurse.
pub const YAML_NESTING: usize = 128;

/// How many comments may follow each other before the parser knows what comes behind them.
pub const YAML_COMMENTS: usize = 100_000;

/// How many broken documents of one YAML text are told before the rest of it is given up.
pub const YAML_ERRORS: usize = 20;

/// How deep `$(…)` may stand inside each other in a shell script. What lies deeper is read as text.
pub const SHELL_NESTING: u32 = 32;

/// Longest Dockerfile that is parsed, in bytes.
pub const DOCKERFILE_BYTES: usize = 2 << 20;

/// How many errors of one Dockerfile are told.
pub const DOCKERFILE_ERRORS: usize = 100;

/// How deep an expression of GitHub Actions may be nested, operators in a row counted; GitHub itself takes 50 levels.
pub const GITHUB_EXPRESSION_NESTING: u32 = 100;
