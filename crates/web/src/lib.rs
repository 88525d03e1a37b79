//! What people and programs see of the server: pages, events and the JSON API.
//!
//! One file a page in `pages/`, with its template of the same name. Every page works without a script; `assets/web.js` and htmx make it
//! quicker. Everything is asked of the database with the session's tenant. Nothing here renders an approval, holds a provider's credential
//! or reads infrastructure code: reports come from documents that the scanner wrote.

mod api;
mod assets;
mod events;
mod failure;
mod fields;
mod frame;
mod gate;
mod hand_over;
mod log;
mod login;
mod metrics;
mod moments;
mod pages;
mod rates;
mod report;
mod roles;
mod rules;
mod secrets;
mod serving;
mod settings;
mod state;
mod text;
mod tokens;
mod visitor;
mod words;

pub use api::openapi;
pub use hand_over::{Answering, Logins};
pub use login::login_link;
pub use roles::Role;
pub use serving::serve;
pub use settings::{AddressHeader, NoHeader, NoOrigin, Origin, Rates, Roles, Settings};
pub use state::Web;
pub use tokens::{MadeToken, Scope, TokenError, make_token};
