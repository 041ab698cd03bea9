//! The last pass of each job as metrics.

use super::Figure;
use crate::housekeeper::{Report, Reports};

/// The figures of one job under its own names: metrics have static ones here, and no labels.
macro_rules! of_job {
    ($job:literal, $report:expr) => {{
        let report: Option<&Report> = $report.as_ref();
        let figure = |of: fn(&Report) -> u64| report.map_or(0, of);
        [
            (
                concat!("cloakroom_housekeeper_", $job, "_last_run_ms"),
                false,
                figure(|report| report.at.as_millis()),
            ),
            (
                concat!("cloakroom_housekeeper_", $job, "_last_took_ms"),
                false,
                figure(|report| report.took_ms),
            ),
            (
                concat!("cloakroom_housekeeper_", $job, "_last_expired"),
                false,
                figure(|report| report.expired),
            ),
            (
                concat!("cloakroom_housekeeper_", $job, "_last_purged"),
                false,
                figure(|report| report.purged),
            ),
            (
                concat!("cloakroom_housekeeper_", $job, "_last_evicted"),
                false,
                figure(|report| report.evicted),
            ),
            (
                concat!("cloakroom_housekeeper_", $job, "_last_unfinished"),
                false,
                figure(|report| u64::from(report.unfinished)),
            ),
            (
                concat!("cloakroom_housekeeper_", $job, "_last_failed"),
                false,
                figure(|report| u64::from(report.error.is_some())),
            ),
        ]
    }};
}

pub(super) fn figures(reports: &Reports) -> impl Iterator<Item = Figure> + use<> {
    let poll: [Figure; 7] = of_job!("poll", reports.poll);
    let purge: [Figure; 7] = of_job!("purge", reports.purge);
    poll.into_iter().chain(purge)
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Timestamp;

    use super::*;
    use crate::Job;

    #[test]
    fn each_job_has_the_figures_of_its_own_last_pass() {
        let purge = Report {
            took_ms: 1,
            expired: 2,
            purged: 3,
            evicted: 4,
            unfinished: true,
            error: Some("down".to_owned()),
            ..Report::new(Job::Purge, Timestamp::from_millis(9))
        };
        let reports = Reports {
            poll: None,
            purge: Some(purge),
        };
        let all: Vec<Figure> = figures(&reports).collect();
        let (poll, purge) = all.split_at(7);
        assert!(
            poll.iter()
                .all(|(name, _, value)| name.contains("_poll_") && *value == 0)
        );
        let values: Vec<u64> = purge.iter().map(|(.., value)| *value).collect();
        assert_eq!(values, [9, 1, 2, 3, 4, 1, 1]);
        assert!(purge.iter().all(|(name, ..)| name.contains("_purge_")));
    }
}
