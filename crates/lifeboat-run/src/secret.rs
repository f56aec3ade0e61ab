use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A value that is never printed, logged or serialized, and is wiped when it goes away.
///
/// There is no `Serialize` and no `Display`; `Debug` (which derives around it ask for) prints stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize = String>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Secret(Zeroizing::new(value))
    }

    /// Named so that every place where a secret leaves its wrapper can be found.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
