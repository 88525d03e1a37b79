//! What a finding means here: derived from the rule, the values as evaluated and the links between resources.
//!
//! Nothing is decided and nothing is invented here: every sentence says what the verdict was based on, and there is none
//! where nothing is known.

mod clean;
mod context;
mod picture;
mod trail;

pub use clean::{clean, clean_text};
pub use context::{Explanation, explain, sentence};
pub use picture::picture;
pub use trail::{MOST_STEPS, Step, steps};
