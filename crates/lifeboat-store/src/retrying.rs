#[derive(Debug)]
pub struct Retrying;
