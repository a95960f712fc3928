//! What a statement's notices say about its progress. Pure; knows neither the protocol's notification nor the client.

use crate::db::Notice;

/// What was reported of one call so far.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Progress {
    last: Option<f64>,
}

impl Progress {
    /// A notice's progress and total: from its DETAIL, `50/100` or `50`, else one more than before. `None` when it would not be more than what
    /// was said before: progress may only grow (MCP 2026-07-28, basic/utilities/progress).
    pub fn next(&mut self, notice: &Notice) -> Option<(f64, Option<f64>)> {
        let number = |text: &str| {
            text.trim()
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
        };
        let detail = notice.detail.as_deref().unwrap_or_default();
        let (now, total) = match detail.split_once('/') {
            Some((now, total)) => (number(now), number(total)),
            None => (number(detail), None),
        };
        let now = now.unwrap_or_else(|| self.last.map_or(1.0, |last| last + 1.0));
        if self.last.is_some_and(|last| now <= last) {
            return None;
        }
        self.last = Some(now);
        Some((now, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_grows() {
        let mut progress = Progress::default();
        for (detail, expected) in [
            (Some("0/100"), Some((0.0, Some(100.0)))),
            (Some("50 / 100"), Some((50.0, Some(100.0)))),
            (Some("50/100"), None),
            (Some("20"), None),
            (Some("60.5"), Some((60.5, None))),
            (None, Some((61.5, None))),
            (Some("words"), Some((62.5, None))),
            (Some("inf"), Some((63.5, None))),
        ] {
            let notice = Notice {
                severity: "NOTICE".into(),
                sqlstate: "00000".into(),
                message: "m".into(),
                detail: detail.map(Into::into),
            };
            assert_eq!(progress.next(&notice), expected, "{detail:?}");
        }
    }
}
