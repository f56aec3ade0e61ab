#[derive(Debug)]
pub struct Local;
