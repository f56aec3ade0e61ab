use lifeboat_plan::event::RunEvent;

/// Hears what happens in a run. It can neither fail nor answer: a deaf listener never costs a backup.
/// It is called on the threads of the run, so it must return at once.
pub trait Listener: Send + Sync {
    fn hear(&self, event: &RunEvent);
}

/// Nobody listens.
impl Listener for () {
    fn hear(&self, _: &RunEvent) {}
}

impl<L: Listener> Listener for Vec<L> {
    fn hear(&self, event: &RunEvent) {
        for listener in self {
            listener.hear(event);
        }
    }
}

impl Listener for Box<dyn Listener> {
    fn hear(&self, event: &RunEvent) {
        (**self).hear(event);
    }
}

impl<L: Listener + ?Sized> Listener for std::sync::Arc<L> {
    fn hear(&self, event: &RunEvent) {
        (**self).hear(event);
    }
}
