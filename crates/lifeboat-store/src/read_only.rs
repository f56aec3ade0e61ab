#[derive(Debug)]
pub struct ReadOnly;
