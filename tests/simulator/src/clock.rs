//! Times in the forms that the product prints them. Pure but for reading the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in UTC, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Utc {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
    pub(crate) millis: u32,
}

impl Utc {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The moment `since` after the Unix epoch.
    pub(crate) fn from_unix(since: Duration) -> Self {
        let seconds = since.as_secs();
        // Days to a civil date: years are counted from 1 March 0000, so that the leap day is the last of its year.
        let days = i64::try_from(seconds / 86_400).unwrap_or(0) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let of_day = seconds % 86_400;
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            millis: since.subsec_millis(),
        }
    }

    /// `2021-05-31T08:42:18.124Z`: the first field of a log line.
    pub(crate) fn log_stamp(self) -> String {
        let Self { year, month, day, hour, minute, second, millis } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }

    /// `2021-08-27 15:43:48.862Z`: the second line of ping.jsp and mcPing.jsp, and how older log lines begin.
    pub(crate) fn ping_stamp(self) -> String {
        self.log_stamp().replace('T', " ")
    }

    /// `08:42:18`: how the first line of a command begins.
    pub(crate) fn time_of_day(self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_day_and_the_day_after_a_century_are_dated_rightly() {
        let stamp = |seconds: u64, millis: u32| Utc::from_unix(Duration::new(seconds, millis * 1_000_000)).log_stamp();
        assert_eq!(stamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(951_782_399, 7), "2000-02-28T23:59:59.007Z");
        assert_eq!(stamp(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(stamp(1_622_450_538, 124), "2021-05-31T08:42:18.124Z");
        assert_eq!(stamp(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }
}
