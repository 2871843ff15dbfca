//! Leading-edge coalescing: the first change is written at once, those right after it together. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a write further changes are collected.
pub const WINDOW: Duration = Duration::from_millis(50);

/// When the last write of one ToolsetConfig began.
#[derive(Debug, Default)]
pub struct Coalesce {
    last: Option<Instant>,
}

impl Coalesce {
    /// How long a change that is looked at now has to wait for others; `None`: not at all.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let ends = self.last? + WINDOW;
        (now < ends).then(|| ends - now)
    }

    /// A write begins. Only writes count: a look that found nothing to do must not delay the next one.
    pub fn writes(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_goes_out_at_once_and_the_next_ones_together() {
        let (mut coalesce, now) = (Coalesce::default(), Instant::now());
        assert_eq!(coalesce.wait(now), None);
        coalesce.writes(now);
        assert_eq!(coalesce.wait(now + Duration::from_millis(10)), Some(Duration::from_millis(40)));
        assert_eq!(coalesce.wait(now + WINDOW), None);
    }
}
