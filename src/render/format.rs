//! Numbers, sizes, dates and durations as people write them, in each language.

use std::fmt::Write;

use crate::catalog::{Lang, Text};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

const MONTHS: [Text; 12] = [
    Text { en: "Jan", pt_br: "jan." },
    Text { en: "Feb", pt_br: "fev." },
    Text { en: "Mar", pt_br: "mar." },
    Text { en: "Apr", pt_br: "abr." },
    Text { en: "May", pt_br: "maio" },
    Text { en: "Jun", pt_br: "jun." },
    Text { en: "Jul", pt_br: "jul." },
    Text { en: "Aug", pt_br: "ago." },
    Text { en: "Sep", pt_br: "set." },
    Text { en: "Oct", pt_br: "out." },
    Text { en: "Nov", pt_br: "nov." },
    Text { en: "Dec", pt_br: "dez." },
];

const JUST_NOW: Text = Text { en: "just now", pt_br: "agora" };

/// `value` with `decimals` places and its thousands in groups: `1,234.5` in English, `1.234,5` in Portuguese.
#[must_use]
pub fn number(value: f64, decimals: usize, lang: Lang) -> String {
    let (group, point) = match lang {
        Lang::En => (',', '.'),
        Lang::PtBr => ('.', ','),
    };
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = String::new();
    if value < 0.0 && plain.contains(|digit: char| ('1'..='9').contains(&digit)) {
        text.push('-');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(group);
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push(point);
        text.push_str(fraction);
    }
    text
}

/// A whole number.
#[must_use]
pub fn count(value: f64, lang: Lang) -> String {
    number(value, 0, lang)
}

/// `one` when `value` is 1, else `many`; both may hold `{}`, which stands for the number.
#[must_use]
pub fn plural(value: f64, one: Text, many: Text, lang: Lang) -> String {
    let text = if value.to_bits() == 1.0_f64.to_bits() { one } else { many };
    text.get(lang).replace("{}", &count(value, lang))
}

/// A size in bytes, in KiB, MiB or GiB.
#[must_use]
pub fn bytes(value: f64, lang: Lang) -> String {
    if value >= 10.0 * GIB {
        return format!("{} GiB", number(value / GIB, 1, lang));
    }
    if value > 0.0 && value < MIB {
        return format!("{} KiB", number((value / 1024.0).ceil(), 0, lang));
    }
    let mib = value / MIB;
    format!("{} MiB", number(mib, usize::from(mib < 100.0 && mib.fract() != 0.0), lang))
}

/// A share of 0 to 1, in percent.
#[must_use]
pub fn percent(ratio: f64, lang: Lang) -> String {
    format!("{}%", number(ratio * 100.0, 0, lang))
}

/// A duration in its largest unit.
#[must_use]
pub fn duration(seconds: f64, lang: Lang) -> String {
    let seconds = seconds.max(0.0);
    let in_units = |unit: f64| number((seconds / unit).floor(), 0, lang);
    if seconds < 1.0 {
        format!("{} ms", number(seconds * 1000.0, 0, lang))
    } else if seconds < 2.0 * MINUTE {
        format!("{} s", in_units(1.0))
    } else if seconds < 2.0 * HOUR {
        format!("{} min", in_units(MINUTE))
    } else if seconds < 2.0 * DAY {
        format!("{} h", in_units(HOUR))
    } else {
        let days = Text { en: "days", pt_br: "dias" };
        format!("{} {}", in_units(DAY), days.get(lang))
    }
}

/// A moment, in seconds since 1970-01-01 UTC: its time alone where that was on the day of `now`, else with its date.
#[must_use]
pub fn moment(seconds: f64, now: f64, lang: Lang) -> String {
    let (date, time) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let minutes = (time / MINUTE).floor();
    let mut text = String::new();
    if date.to_bits() != now.div_euclid(DAY).to_bits() {
        text = day(date, lang);
        text.push_str(", ");
    }
    let _ = write!(text, "{:02.0}:{:02.0} UTC", (minutes / 60.0).floor(), minutes % 60.0);
    text
}

/// A moment with its date and seconds.
#[must_use]
pub fn full_moment(seconds: f64, lang: Lang) -> String {
    let (date, time) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY).floor());
    let (hour, minute, second) = ((time / HOUR).floor(), (time % HOUR / MINUTE).floor(), time % MINUTE);
    format!("{}, {hour:02.0}:{minute:02.0}:{second:02.0} UTC", day(date, lang))
}

/// How long ago a moment was, with the moment: `06:00 UTC (10 h)`. The moment alone where it lies ahead, which is so when the
/// clock was set back.
#[must_use]
pub fn since(seconds: f64, now: f64, lang: Lang) -> String {
    let ago = now - seconds;
    if ago < -MINUTE {
        return moment(seconds, now, lang);
    }
    let ago = if ago < 1.0 { JUST_NOW.get(lang).to_owned() } else { duration(ago, lang) };
    format!("{} ({ago})", moment(seconds, now, lang))
}

/// The date of a day, counted from 1970-01-01.
fn day(days: f64, lang: Lang) -> String {
    let (year, month, day) = civil(days);
    let month = MONTHS[month].get(lang);
    match lang {
        Lang::En => format!("{day} {month} {year}"),
        Lang::PtBr => format!("{day} de {month} de {year}"),
    }
}

/// Year, month (0 to 11) and day of the month of a day, counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: f64) -> (i64, usize, i64) {
    // Years beyond these are no dates of a log or a process.
    #[expect(clippy::cast_possible_truncation, reason = "bounded on the same line")]
    let days = days.clamp(-700_000.0, 2_900_000.0) as i64;
    // Years that begin in March put the leap day last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    (year, usize::try_from(month).unwrap_or_default(), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_marks_of_their_language() {
        for (value, decimals, en, pt_br) in [
            (4.1, 1, "4.1", "4,1"),
            (1_234_567.0, 0, "1,234,567", "1.234.567"),
            (999.0, 0, "999", "999"),
            (-1000.5, 1, "-1,000.5", "-1.000,5"),
            (-0.01, 1, "0.0", "0,0"),
            (0.0, 0, "0", "0"),
        ] {
            assert_eq!(
                (number(value, decimals, Lang::En).as_str(), number(value, decimals, Lang::PtBr).as_str()),
                (en, pt_br)
            );
        }
    }

    #[test]
    fn sizes_and_durations_have_one_unit() {
        let mib = 1024.0 * 1024.0;
        for (size, expected) in [
            (0.0, "0 MiB"),
            (1.0, "1 KiB"),
            (1.5 * mib, "1.5 MiB"),
            (1600.0 * mib, "1,600 MiB"),
            (20_480.0 * mib, "20.0 GiB"),
        ] {
            assert_eq!(bytes(size, Lang::En), expected);
        }
        for (seconds, expected) in [
            (0.25, "250 ms"),
            (-5.0, "0 ms"),
            (90.0, "90 s"),
            (600.0, "10 min"),
            (36_000.0, "10 h"),
            (200_000.0, "2 dias"),
        ] {
            assert_eq!(duration(seconds, Lang::PtBr), expected);
        }
    }

    #[test]
    fn a_moment_of_today_needs_no_date() {
        // 2026-11-25 16:36:40 UTC
        let now = 1_795_624_600.0;
        assert_eq!(moment(now - 60.0, now, Lang::En), "16:35 UTC");
        assert_eq!(moment(now - 86_400.0, now, Lang::En), "24 Nov 2026, 16:36 UTC");
        assert_eq!(moment(now - 86_400.0, now, Lang::PtBr), "24 de nov. de 2026, 16:36 UTC");
        assert_eq!(full_moment(now, Lang::PtBr), "25 de nov. de 2026, 16:36:40 UTC");
        assert_eq!(since(now - 7200.0, now, Lang::En), "14:36 UTC (2 h)");
        assert_eq!(since(now, now, Lang::PtBr), "16:36 UTC (agora)");
        assert_eq!(since(now + 3600.0, now, Lang::En), "17:36 UTC", "no age where the clock was set back");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, expected) in [
            (0.0, (1970, 0, 1)),
            (-1.0, (1969, 11, 31)),
            (58.0, (1970, 1, 28)),
            (59.0, (1970, 2, 1)),
            (11_016.0, (2000, 1, 29)),
            (19_782.0, (2024, 1, 29)),
            (19_783.0, (2024, 2, 1)),
            (20_782.0, (2026, 10, 25)),
        ] {
            assert_eq!(civil(days), expected, "{days}");
        }
    }

    #[test]
    fn one_is_no_plural() {
        let (one, many) = (Text { en: "{} file", pt_br: "{} arquivo" }, Text { en: "{} files", pt_br: "{} arquivos" });
        assert_eq!(plural(1.0, one, many, Lang::En), "1 file");
        assert_eq!(plural(0.0, one, many, Lang::En), "0 files");
        assert_eq!(plural(2000.0, one, many, Lang::PtBr), "2.000 arquivos");
    }
}
