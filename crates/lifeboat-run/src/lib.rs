//! The verbs of Lifeboat: back up, verify, restore, prune.
//!
//! *Plan decides. Store rests. Run does.* This crate joins the words of `lifeboat-plan` with the
//! bytes of `lifeboat-store`. It never sees Docker, HTTP, the terminal or the environment: the program
//! hands it sources, a store, keys, `now`, a [`Cancel`] and a [`Listener`], and gets a value back.
//!
//! Everything here blocks, on threads of its own: what it waits for is disks and cores.
//!
//! Start with [`backup`]: it reads like the story of one backup.

pub mod backup;

pub mod quiesce;
pub mod source;
pub mod target;

pub mod seal;

pub mod restore;
mod staging;
pub mod unseal;
pub mod verify;

pub mod drop;
pub mod promote;
pub mod prune;

pub mod catalog;
pub mod layout;
pub mod leftovers;
pub mod state;

pub mod authenticity;
pub mod cancel;
pub mod keys;
pub mod listen;
pub mod secret;

pub use authenticity::Authenticator;
pub use cancel::{Cancel, Cancelled};
pub use keys::Keyring;
pub use listen::Listener;
pub use secret::Secret;
